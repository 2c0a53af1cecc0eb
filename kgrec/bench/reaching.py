"""How long a model takes to become as good as another."""

from kgrec.bench.fits import Fit

#: Whose accuracy is to be reached.
GOAL = "ease"
METRIC = "ndcg@20"


def seconds_to_reach(fit: Fit, goal: Fit) -> float | None:
    """Gives the seconds of training until NDCG@20 on valid is at least the goal's.

    Of a model that trained by epochs, and only once, these are the seconds of training until the
    first look at valid that is good enough, the looks themselves not counted; of a model made of
    parts, those until the first part that is good enough alone was fitted, its search included; of
    any other all its seconds, searches and looks included.

    Args:
        fit: The model's.
        goal: Of the same split.

    Returns:
        Seconds; None if the goal was not reached, or valid was learned from.
    """
    aim = goal.rows[""].valid.get(METRIC)
    if aim is None:
        return None
    if fit.looks:
        return next((seconds for seconds, accuracy in fit.looks if accuracy >= aim), None)
    total = 0.0
    for step, seconds in fit.choices.get("seconds", {}).items():  # in the order of fitting
        total += float(seconds)
        alone = fit.rows[step].valid.get(METRIC) if step in fit.rows else None
        if alone is not None and alone >= aim:
            return total
    accuracy = fit.rows[""].valid.get(METRIC)
    return fit.train_seconds if accuracy is not None and accuracy >= aim else None
