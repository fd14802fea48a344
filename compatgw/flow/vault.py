"""The vault: reasoning that models want to see again, kept for clients that drop it.

A convenience, never a condition: a vault that is lost, full or has forgotten costs nothing but what it would have
given, and nobody is told. It is bounded by time, by the size of an entry, and by how many entries a call looks for.

What does not live here: what is kept and under which names (`policy/reasoning.py`), where (`Counters`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import orjson

from compatgw.policy import reasoning
from compatgw.policy.reasoning import Kept
from compatgw.state.base import CountersLost
from compatgw.wire import stored

if TYPE_CHECKING:
    from compatgw.dialects.base import Dialect, Target
    from compatgw.policy.reasoning import Want
    from compatgw.state.base import Counters
    from compatgw.wire.chat import ChatCompletion, ChatRequest

KEEP = 86_400.0
"""Seconds."""
MAX_ENTRY = 256 * 1024
"""Bytes: some models sign with several kilobytes, and a thought may be long."""

_log = logging.getLogger("compatgw")
_KIND = "thought"


class Vault:
    """Reasoning of earlier turns.

    Args:
        counters: Where it is kept.
        keep: Seconds for which. max_entry: Bytes that one entry may have; a larger one is not kept.
    """

    __slots__ = ("_counters", "_keep", "_lost", "_most")

    def __init__(self, counters: Counters, *, keep: float = KEEP, max_entry: int = MAX_ENTRY) -> None:
        self._counters = counters
        self._keep = keep
        self._most = max_entry
        self._lost = False

    async def remember(
        self, tenant: str, request: ChatRequest, dialect: Dialect, target: Target, completion: ChatCompletion
    ) -> int:
        """Keeps what an answer's next turn will want; how many entries were kept.

        Args:
            tenant: Whose; nobody else finds it.
            request: What was asked.
            dialect, target: Who answered.
            completion: The whole answer, plain or put together.
        """
        if not reasoning.returns(dialect, target):
            return 0
        count = 0
        try:
            for key, entry in reasoning.kept(tenant, request, completion, reasoning.family(dialect, target)):
                data = _written(entry)
                if data is not None and len(data) <= self._most:
                    count += await self._counters.put(key, data, self._keep)
            self._lost = False
        except CountersLost as error:
            self._missing(error)
        return count

    async def restored(self, tenant: str, request: ChatRequest, dialect: Dialect, target: Target) -> ChatRequest:
        """`request` with what its client dropped and `target` made; itself when there is nothing of that."""
        if not reasoning.returns(dialect, target):
            return request
        wanted = reasoning.wanted(tenant, request)
        if not wanted:
            return request
        try:
            found = await self._look(wanted)
            self._lost = False
        except CountersLost as error:
            self._missing(error)
            return request
        return reasoning.restored(request, found, reasoning.family(dialect, target))

    async def _look(self, wanted: list[Want]) -> dict[Want, Kept]:
        if self._counters.shared:
            # All of them end before one that failed is told, so that none is left behind.
            got = await asyncio.gather(*[self._counters.get(want.key) for want in wanted], return_exceptions=True)
            for one in got:
                if isinstance(one, BaseException):
                    raise one
            data = [one for one in got if not isinstance(one, BaseException)]
        else:
            data = [await self._counters.get(want.key) for want in wanted]
        entries = [None if one is None else _read(one) for one in data]
        return {want: entry for want, entry in zip(wanted, entries, strict=True) if entry is not None}

    def _missing(self, error: CountersLost) -> None:
        # Every call comes by here while they are lost.
        if not self._lost:
            self._lost = True
            _log.info("%s Until it is back no reasoning is kept for clients that drop it.", error)


def _written(entry: Kept) -> bytes | None:
    try:
        return stored.pack(_KIND, {"family": entry.family}, orjson.dumps({"call": entry.call, "turn": entry.turn}))
    except (orjson.JSONEncodeError, ValueError):
        # Nested deeper than can be written, or text that is none.
        return None


def _read(data: bytes) -> Kept | None:
    found = stored.unpack(_KIND, data)
    if found is None:
        return None
    try:
        body = orjson.loads(found.body)
        return Kept(str(found.head["family"]), body["call"], body["turn"])
    except (KeyError, TypeError, ValueError):
        return None
