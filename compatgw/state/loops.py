"""Things that belong to one event loop: made when a loop first needs them, closed with it.

Hosts need not tell a gateway of start or end, tests have a loop each, and connections work only
in the loop that they were made in.

What does not live here: what the things are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


class Closable(Protocol):
    """Something with an end."""

    async def aclose(self) -> None:
        """Ends it."""
        ...


Thing = TypeVar("Thing", bound=Closable)


class PerLoop(Generic[Thing]):
    """One thing for each running loop.

    Args:
        make: Makes one, in the loop that it is for.
    """

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._things: dict[asyncio.AbstractEventLoop, tuple[Thing, AsyncGenerator[None, None]]] = {}

    def __iter__(self) -> Iterator[Thing]:
        return iter([thing for thing, _ in list(self._things.values())])

    def here(self) -> Thing | None:
        """The running loop's thing, if it has one."""
        found = self._things.get(asyncio.get_running_loop())
        return found[0] if found is not None else None

    async def get(self) -> Thing:
        """The running loop's thing, made if need be."""
        loop = asyncio.get_running_loop()
        if (found := self._things.get(loop)) is not None:
            return found[0]
        for other in [other for other in list(self._things) if other.is_closed()]:
            self._things.pop(other, None)
        thing = self._make()
        guard = self._closed_with(loop, thing)
        self._things[loop] = (thing, guard)
        await anext(guard)
        return thing

    async def _closed_with(self, loop: asyncio.AbstractEventLoop, thing: Thing) -> AsyncGenerator[None, None]:
        # A loop closes the generators that were begun in it (`shutdown_asyncgens`) before it closes
        # itself: the one signal that reaches a library whose host has no lifespan for it.
        try:
            yield
        finally:
            self._things.pop(loop, None)
            await thing.aclose()

    async def aclose(self) -> None:
        """Closes the running loop's thing. Idempotent."""
        found = self._things.get(asyncio.get_running_loop())
        if found is not None:
            await found[1].aclose()
