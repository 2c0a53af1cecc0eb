"""Sessions: a user's events that follow each other without a long silence."""

import numpy as np
import numpy.typing as npt

from kgrec.data.journal.events import NO_TIME, Events
from kgrec.data.view.findings import SOURCE, note
from kgrec.data.view.runs import is_start


def number_sessions(events: Events, gap: float) -> npt.NDArray[np.int32]:
    """Numbers each user's sessions from 1 by time.

    Args:
        events: Of any behaviours, in any order.
        gap: Minutes; a longer silence opens a new session.

    Returns:
        The session of each event, int32 (n,); 0 where the event has no time.
    """
    session = np.zeros(len(events), dtype=np.int32)
    dated = np.flatnonzero(events.time != NO_TIME)
    note(SOURCE, "no session", events.time == NO_TIME)
    order = dated[np.lexsort((events.time[dated], events.user[dated]))]
    new_user = is_start(events.user[order])
    opens = new_user.copy()
    opens[1:] |= np.diff(events.time[order]) > gap * 60
    number = np.cumsum(opens)
    # What was counted before a user's first event is taken off.
    users = np.flatnonzero(new_user)
    before = np.repeat(number[users] - 1, np.diff(users, append=len(order)))
    session[order] = number - before
    note(SOURCE, "session", opens, gap=gap)
    return session
