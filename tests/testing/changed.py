"""Requests that differ from a good one in a single place.

What does not live here: any dialect's requests.
"""

import copy
from typing import Any, Final


class Missing:
    """Stands for a member that is taken out."""


MISSING: Final = Missing()
# A member that no vendor knows.
ODD = "odd_one"


def changed(body: Any, path: str, value: Any = MISSING) -> Any:
    """A copy of `body` with another value at a path such as `messages.0.content`, or with nothing there."""
    whole = {"": copy.deepcopy(body)}
    place: Any = whole
    last: Any = ""
    for step in path.split(".") if path else ():
        place, last = place[last], int(step) if step.isdigit() else step
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return whole[""]
