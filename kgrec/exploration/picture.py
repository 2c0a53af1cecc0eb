"""Static pictures, for papers and pages: PNG, SVG or PDF through matplotlib."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from kgrec.errors import ConfigError
from kgrec.exploration.layout import LETTER, SMALL, Box, Drawing, Line, lay_out
from kgrec.exploration.look import INTERACTION_COLOUR, TONE_WORDS, TONES, fold
from kgrec.exploration.scatter import scatter
from kgrec.exploration.subgraph import Subgraph

KINDS = (".png", ".svg", ".pdf")
_INK, _SOFT, _PAPER = "#1C2430", "#5B6675", "#FFFFFF"
_TITLE, _LEGEND = 34.0, 30.0
_FACES = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei"]


def draw_subgraph(subgraph: Subgraph, path: Path | str | None = None, *, dpi: int = 160) -> Figure:
    """Draws a subgraph.

    An explanation stands in columns, from the user over the own items to what is recommended, with
    what each own item adds; anything else around what was asked for.

    Args:
        subgraph: What to draw.
        path: The file to write: .png, .svg or .pdf; None writes none.
        dpi: Dots an inch, of PNG.

    Returns:
        The figure; a notebook shows it.

    Raises:
        ConfigError: If the file is of another kind, or cannot be written.
    """
    if path is not None and Path(path).suffix.lower() not in KINDS:
        raise ConfigError(
            f"no picture can be written to {path}; expected a file that ends in {', '.join(KINDS)}"
        )
    with _faces():
        figure = _columns(subgraph) if subgraph.trails else scatter(subgraph)
        if path is not None:
            _save(figure, Path(path), dpi)
    return figure


def _save(figure: Figure, path: Path, dpi: int) -> None:
    metadata = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        figure.savefig(path, dpi=dpi, metadata=metadata[path.suffix.lower()])
    except OSError as exc:
        raise ConfigError(
            f"cannot write the picture to {path}: {exc.strerror or exc}; give it a file in a "
            f"folder that exists and takes files"
        ) from exc


@contextmanager
def _faces() -> Iterator[None]:
    """Takes faces for names in any script, as far as they are installed; SVG keeps its texts."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    faces = [face for face in _FACES if face in installed]
    settings: Any = {"font.family": faces, "svg.fonttype": "none", "svg.hashsalt": "kgrec"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name that no installed face can show is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _columns(subgraph: Subgraph) -> Figure:
    drawing = lay_out(subgraph)
    wide, tall = max(drawing.width, 420.0), drawing.height + _TITLE + _LEGEND
    figure = Figure(figsize=(wide / 72, tall / 72), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim((drawing.width - wide) / 2, (drawing.width + wide) / 2)
    axes.set_ylim(drawing.height + _LEGEND, -_TITLE)
    axes.axis("off")
    _title(axes, subgraph, drawing.width)
    for line in drawing.lines:
        _draw_line(axes, line)
    for box in drawing.boxes:
        _draw_box(axes, box)
    _draw_legend(axes, drawing)
    return figure


def _title(axes: Axes, subgraph: Subgraph, width: float) -> None:
    lines = fold(subgraph.title, max(int(width / 9.5), 24), 1)
    axes.text(
        width / 2, -_TITLE / 2, lines[0], ha="center", va="center",
        fontsize=LETTER + 1, color=_INK, weight="bold", parse_math=False,
    )  # fmt: skip


def _draw_line(axes: Axes, line: Line) -> None:
    (x1, y1), (x2, y2) = line.start, line.end
    bend = (x2 - x1) / 2
    corners = [(x1, y1), (x1 + bend, y1), (x2 - bend, y2), (x2, y2)]
    axes.add_patch(
        PathPatch(
            Outline(corners, [Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]),
            facecolor="none", edgecolor=line.colour, linewidth=line.width,
            alpha=0.35 if line.faint else 0.8,
            linestyle=(0, (3, 2)) if line.dashed else "-", capstyle="round" if not line.dashed
            else "butt", zorder=1,
        )
    )  # fmt: skip
    if line.label:
        axes.text(
            *line.at, line.label, ha="center", va="center", fontsize=SMALL - 1,
            color=_INK if line.colour == INTERACTION_COLOUR else line.colour, zorder=3,
            path_effects=[withStroke(linewidth=4, foreground=_PAPER)],
            parse_math=False,
        )  # fmt: skip


def _draw_box(axes: Axes, box: Box) -> None:
    tone = TONES[box.tone]
    axes.add_patch(
        FancyBboxPatch(
            (box.x - box.width / 2 + 3, box.y - box.height / 2 + 3), box.width - 6, box.height - 6,
            boxstyle="round,pad=3,rounding_size=7", facecolor=tone.fill, edgecolor=tone.line,
            linewidth=1.6 if box.tone == "recommended" else 1.1, zorder=2,
        )
    )  # fmt: skip
    axes.text(
        box.x, box.y, "\n".join(box.lines), ha="center", va="center", fontsize=LETTER - 1.5,
        color=_INK, zorder=4, linespacing=1.15, parse_math=False,
        weight="bold" if box.tone == "recommended" else "normal",
    )  # fmt: skip


def _draw_legend(axes: Axes, drawing: Drawing) -> None:
    tones = {box.tone for box in drawing.boxes}
    marks = [
        Line2D([], [], marker="s", linestyle="", markersize=9, markerfacecolor=TONES[tone].fill,
               markeredgecolor=TONES[tone].line, label=words)
        for tone, words in TONE_WORDS.items() if tone in tones
    ]  # fmt: skip
    marks.append(Line2D([], [], linestyle="", label="+0.12: what an own item adds to the score"))
    axes.legend(
        handles=marks, loc="lower center", ncols=len(marks), frameon=False, fontsize=SMALL - 1.5,
        labelcolor=_SOFT, handletextpad=0.4, columnspacing=1.2, borderaxespad=0.3,
    )  # fmt: skip
