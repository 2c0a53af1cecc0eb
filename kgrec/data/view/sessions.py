"""Sessions: a user's events that follow each other without a long silence."""

import numpy as np
import numpy.typing as npt

from kgrec.data.cleaning.report import Report
from kgrec.data.journal.events import NO_TIME, Events
from kgrec.data.view.runs import is_start


def number_sessions(events: Events, gap: float, report: Report) -> npt.NDArray[np.int32]:
    """Numbers each user's sessions from 1 by time.

    Args:
        events: Of any behaviours, in any order.
        gap: Minutes; a longer silence opens a new session.
        report: Is told how many sessions there are, and of events without a time.

    Returns:
        The session of each event, int32 (n,); 0 where the event has no time.
    """
    session = np.zeros(len(events), dtype=np.int32)
    dated = np.flatnonzero(events.time != NO_TIME)
    report.add(
        "interactions",
        "no session",
        "noted",
        len(events) - len(dated),
        "events have no time and belong to no session",
    )
    order = dated[np.lexsort((events.time[dated], events.user[dated]))]
    new_user = is_start(events.user[order])
    opens = new_user.copy()
    opens[1:] |= np.diff(events.time[order]) > gap * 60
    number = np.cumsum(opens)
    # What was counted before a user's first event is taken off.
    users = np.flatnonzero(new_user)
    before = np.repeat(number[users] - 1, np.diff(users, append=len(order)))
    session[order] = number - before
    report.add(
        "interactions",
        "session",
        "noted",
        int(opens.sum()),
        f"sessions were found, with more than {gap:g} minutes of silence between two of a user",
    )
    return session
