"""Names of tools and ids of calls that an upstream takes, and the way back to the caller's own.

What does not live here: which tools there are (`tools.py`), pairing calls with results (`messages.py`).
"""

from __future__ import annotations

from typing import Any

from compatgw.dialects import ids


class Names:
    """The stand-ins of one request: the same for the same input, so that history and cache agree.

    Args:
        name_limit: Characters that the name of a tool may have.
        id_limit: Characters that the id of a call may have.
    """

    __slots__ = ("_id_limit", "_ids", "_name_limit", "_names", "_taken")

    def __init__(self, name_limit: int, id_limit: int) -> None:
        self._name_limit = name_limit
        self._id_limit = id_limit
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._taken: set[str] = set()

    def name(self, given: str) -> str:
        """The name that is sent for the tool that the caller calls `given`."""
        sent = ids.portable(given, self._name_limit)
        if sent != given:
            self._names[sent] = given
        return sent

    def id(self, given: str, *position: int) -> str:
        """The id that is sent for a call of the history; unlike all others in it.

        Args:
            given: The caller's id, perhaps empty or used before.
            position: Where the call stands; tells it from others of the same id.
        """
        sent = ids.portable(given, self._id_limit) if given else ids.minted("", *map(str, position))
        if sent in self._taken:
            sent = ids.minted(given, *map(str, position))
        self._taken.add(sent)
        if sent != given:
            self._ids[sent] = given
        return sent

    def memo(self) -> dict[str, Any]:
        """Sent to given, as far as they differ: `names` and `ids`."""
        return {key: value for key, value in (("names", self._names), ("ids", self._ids)) if value}
