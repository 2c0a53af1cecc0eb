"""How long a model takes to become as good as another."""

from kgrec.bench.fits import Result

#: Whose accuracy is to be reached.
GOAL = "ease"
METRIC = "ndcg@20"


def seconds_to_reach(result: Result, goal: Result) -> float | None:
    """Gives the seconds of training until NDCG@20 on valid is at least the goal's.

    Of a model that trained by epochs, and only once, these are the seconds of training until the
    first look at valid that is good enough, the looks themselves not counted; of a model made of
    parts, those until the first part that is good enough alone was fitted, its search included; of
    any other all its seconds, searches and looks included.

    Args:
        result: The model's.
        goal: Of the same split.

    Returns:
        Seconds; None if the goal was not reached, or valid was learned from.
    """
    wanted = goal.rows[""].valid.get(METRIC)
    if wanted is None:
        return None
    looks = result.chosen.get("history")
    if looks and "tried" not in result.chosen:
        reached = (look["training_seconds"] for look in looks if look[f"valid_{METRIC}"] >= wanted)
        return next(reached, None)
    seconds = 0.0
    for step, took in result.chosen.get("seconds", {}).items():  # in the order of fitting
        seconds += float(took)
        alone = result.rows[step].valid.get(METRIC) if step in result.rows else None
        if alone is not None and alone >= wanted:
            return seconds
    found = result.rows[""].valid.get(METRIC)
    return result.train_seconds if found is not None and found >= wanted else None
