"""Several choices from upstreams that give one at a time: as many calls side by side, merged into one answer.

Each part goes its own way through retries and fallbacks, in a task of its own that is owned and ends with
the answer. A stream begins when every part has content, so that until then a part that fails falls back
unseen; after it, one part that breaks off ends the whole stream honestly. Usage is the sum of all parts.

What does not live here: what one part does (`attempts.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.base import Answer, Piece, Result
from compatgw.flow.attempts import answered
from compatgw.flow.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw.flow.attempt import Stream
    from compatgw.flow.call import Call, House
    from compatgw.wire.chat import ChatCompletion, Usage

# Pieces of a part that wait for the client; a slow one slows the upstreams down and fills no memory.
_WAITING = 32


def needs_several(call: Call) -> bool:
    """True when more choices are asked for than one of the targets gives in one call."""
    if call.surface.codec != "chat" or (call.request.get("n") or 1) < 2:
        return False
    return any(
        (codec := route.deployment.dialect.chat) is not None and not (codec.n and route.target.quirks.n)
        for route in call.targets
    )


async def several(call: Call, house: House) -> Answer | Merged:
    """The choices that `call` asks for, each from a call of its own.

    Raises:
        GatewayError: A part failed for good before anything was sent.
    """
    count = call.request.get("n") or 1
    # What the request links to is got once for all parts.
    call.fetcher(house)
    parts = [_Part(call, house, index) for index in range(count)]
    merged = Merged(parts)
    try:
        heads = await asyncio.gather(*[part.head for part in parts])
    except BaseException:
        await merged.aclose()
        raise
    call.join([part.call for part in parts])
    if call.stream:
        merged.begin()
        return merged
    return Answer(_merged([head.completion for head in heads if isinstance(head, Answer)]))


class _Part:
    """One choice under way. `head` is its whole answer, or its stream once that has content."""

    def __init__(self, call: Call, house: House, index: int) -> None:
        request: Any = {name: value for name, value in call.request.items() if name != "n"}
        native = call.native
        if native is not None:
            native = native._replace(body={name: value for name, value in native.body.items() if name != "n"})
        self.call = call.part(request, native)
        self.index = index
        self.pieces: asyncio.Queue[list[Piece] | Exception | None] = asyncio.Queue(_WAITING)
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[Answer | Result | Stream] = loop.create_future()
        self.task = loop.create_task(self._run(house))

    async def _run(self, house: House) -> None:
        # Waits are bounded by task, and this is another one.
        self.call.patience = Patience()
        try:
            found = await answered(self.call, house)
        except BaseException as error:
            if not self.head.done():
                self.head.set_exception(error) if isinstance(error, Exception) else self.head.cancel()
            if not isinstance(error, Exception):
                raise
            return
        finally:
            self.call.patience.close()
        if self.head.done():
            # Another part failed meanwhile, and nobody waits for this one.
            if not isinstance(found, (Answer, Result)):
                await found.aclose()
            return
        self.head.set_result(found)
        if not isinstance(found, (Answer, Result)):
            await self._pump(found)

    async def _pump(self, live: Stream) -> None:
        try:
            pieces = live.held
            while True:
                await self.pieces.put(pieces)
                if live.over:
                    break
                pieces = await live.next()
        except Exception as error:  # noqa: BLE001 - handed to whoever reads, who raises it
            await self.pieces.put(error)
        else:
            await self.pieces.put(None)
        finally:
            await live.aclose()
            self.call.patience.close()


class Merged:
    """A stream of several parts, read like one; see `attempt.Live`."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._reading: dict[asyncio.Task[Any], _Part] = {}
        self._first: dict[str, Any] | None = None
        self._usages: list[Usage] = []
        self.held: list[Piece] = []
        self.over = False
        self.type = ""

    def begin(self) -> None:
        """Reads from all parts from now on."""
        for part in self._parts:
            self._read(part)

    def _read(self, part: _Part) -> None:
        self._reading[asyncio.get_running_loop().create_task(part.pieces.get())] = part

    async def next(self, seconds: float | None = None) -> list[Piece]:
        """The next chunks of whichever part has some. Each part bounds its own waits.

        Raises:
            UpstreamFailure: A part failed.
        """
        done, _ = await asyncio.wait(self._reading, return_when=asyncio.FIRST_COMPLETED)
        out: list[Piece] = []
        for task in done:
            part = self._reading.pop(task)
            found = task.result()
            if isinstance(found, Exception):
                raise found
            if found is not None:
                out += [piece for one in found if (piece := self._of(part, one)) is not None]
                self._read(part)
        if not self._reading:
            self.over = True
            if self._usages and self._first is not None:
                chunk: Any = {**self._first, "choices": [], "usage": summed(self._usages)}
                out.append(Piece(chunk))
        return out

    def _of(self, part: _Part, piece: Piece) -> Piece | None:
        """A part's chunk as one of the whole: one id and model for all, the part's index, no usage of its own."""
        chunk: dict[str, Any] = {**piece.chunk}
        if usage := chunk.pop("usage", None):
            self._usages.append(usage)
        if not chunk["choices"]:
            return None
        if self._first is None:
            self._first = {name: chunk[name] for name in ("id", "object", "created", "model")}
        choices = [{**choice, "index": part.index} for choice in chunk["choices"]]
        return Piece(cast("Any", {**chunk, **self._first, "choices": choices}))

    async def aclose(self) -> None:
        """Ends all parts."""
        tasks = [*self._reading, *[part.task for part in self._parts]]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for part in self._parts:
            if part.head.done() and not part.head.cancelled():
                # Whoever waited was told of the first failure; the others are no news.
                part.head.exception()


def _merged(completions: list[ChatCompletion]) -> ChatCompletion:
    first = completions[0]
    choices = [{**choice, "index": index} for index, one in enumerate(completions) for choice in one["choices"][:1]]
    out: Any = {**first, "choices": choices}
    usages = [one["usage"] for one in completions if one.get("usage")]
    if usages:
        out["usage"] = summed(usages)
    return cast("ChatCompletion", out)


def summed(usages: Iterable[Usage]) -> Usage:
    """All numbers added, also those inside."""
    total: dict[str, Any] = {}
    for usage in usages:
        _add(total, cast("dict[str, Any]", usage))
    return cast("Usage", total)


def _add(total: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            inner = total.setdefault(name, {})
            if isinstance(inner, dict):
                _add(inner, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            before = total.get(name)
            total[name] = value + (before if isinstance(before, (int, float)) else 0)
        else:
            total.setdefault(name, value)
