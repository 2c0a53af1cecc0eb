"""Numbers as people read them."""


def short_number(value: float) -> str:
    """Writes a number in about four characters: 950, 1.2k, 34k, 5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            scaled = value / size
            return (
                f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 10 else f"{scaled:.0f}{unit}"
            )
    return f"{value:g}"


def percent(share: float) -> str:
    """Writes a share with as many digits as it needs: 0.004%, 1.2%, 34%, 100%."""
    value = 100 * share
    if value == 0 or value == 100:
        return f"{value:.0f}%"
    if value < 0.1:
        return f"{value:.1g}%" if value >= 1e-4 else f"{value:.0e}%"
    if value > 99.9:
        return "99.9%"
    return f"{value:.1f}%" if value < 10 else f"{value:.0f}%" if value < 99.5 else f"{value:.1f}%"


def share(part: float | None, of: float | None) -> str:
    """Writes one number's share of another; of nothing, or of what nobody counted, it is a dash."""
    return percent(part / of) if part is not None and of else "–"


def number(value: float | None) -> str:
    """Writes a number with up to four significant digits, whole ones in full; None is a dash."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def moment(time: str | None) -> str:
    """Writes an ISO time to the minute; None is a dash."""
    return "–" if time is None else time.removesuffix("Z")[:-3].replace("T", " ")


def day(time: str | None) -> str:
    """Writes an ISO time's day; None is a dash."""
    return "–" if time is None else time.partition("T")[0]


def fixed(value: float | None, digits: int) -> str:
    """Writes a number with so many digits after the point; None is a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int) -> str:
    """Writes a number with its sign; None is a dash."""
    return "–" if value is None else f"{value:+.{digits}f}"


def metric(value: float | None) -> str:
    """Writes a metric: four digits after the point below one, two beyond; None is a dash."""
    return fixed(value, 4 if value is None or abs(value) < 1 else 2)
