"""Tells observers of calls. Nothing that they do hurts a call.

What does not live here: what they make of it (`telemetry/`).
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from compatgw.dialects.base import Answer, Piece, Result
from compatgw.flow.cache import Recording
from compatgw.telemetry.base import Began, Ended, Observer, Refused, Said, Streamed, Tried, Trying

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from compatgw.dialects.base import Outgoing
    from compatgw.errors import GatewayError
    from compatgw.flow.attempt import Ending, Stream
    from compatgw.flow.call import Call, Headers, House
    from compatgw.flow.tasks import Tasks
    from compatgw.policy.money import Meter

_log = logging.getLogger("compatgw")
# Headers that hold what nobody else is to see.
_SECRET = frozenset(
    {"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization", "x-goog-api-key", "x-csrf-token"}
)
# What is asked of a model in numbers and flags.
_OPTIONS = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty", "seed",
    "n", "dimensions", "reasoning_effort", "encoding_format",
)  # fmt: skip
_CANCELLED = "cancelled"
_NOTHING: Mapping[str, Any] = MappingProxyType({})
# Bytes of an answer that observers hear of.
_HEARD = 256 * 1024
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


class Callback(Observer):
    """The `on_call` of a host as an observer: it is told of every call that is over.

    Args:
        tell: Takes an `Ended`; may be async. It is then run as a task of its own.
        tasks: Owns that.
    """

    def __init__(self, tell: Callable[[Ended], Awaitable[None] | None], tasks: Tasks) -> None:
        self._tell = tell
        self._tasks = tasks

    def ended(self, token: Any, call: Ended) -> None:
        """Tells the host."""
        found = self._tell(call)
        if inspect.isawaitable(found):
            self._tasks.start(_awaited(found))


async def _awaited(told: Awaitable[None]) -> None:
    try:
        await told
    except Exception:  # noqa: BLE001 - the host's own; whatever it is, the call goes on
        _log.exception("on_call= raised. The call that it was told of is not touched by that.")


class Shown(Mapping[str, str]):
    """Request headers without those that hold secrets; read only when somebody asks.

    Args:
        headers: Gives all of them, names in lower case.
    """

    __slots__ = ("_found", "_headers")

    def __init__(self, headers: Callable[[], Mapping[str, str]]) -> None:
        self._headers = headers
        self._found: Mapping[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._shown[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown)

    def __len__(self) -> int:
        return len(self._shown)

    @property
    def _shown(self) -> Mapping[str, str]:
        if self._found is None:
            self._found = {name: value for name, value in self._headers().items() if name not in _SECRET}
        return self._found


class Heard:
    """What an answer says, for observers that want to hear it."""

    __slots__ = ("_recording", "_whole")

    def __init__(self) -> None:
        self._recording = Recording(_HEARD)
        self._whole: Answer | None = None

    def whole(self, answer: Answer) -> None:
        """All of it is there."""
        self._whole = answer

    def add(self, pieces: Sequence[Any]) -> None:
        """The next pieces of a stream."""
        self._recording.add([piece for piece in pieces if isinstance(piece, Piece)])

    @property
    def choices(self) -> Sequence[Any]:
        """What was answered; nothing where it broke off, or is too much."""
        answer = self._whole or self._recording.answer()
        return answer.completion["choices"] if answer is not None else ()


def passed(header: Callable[[str], str | None]) -> Headers:
    """The trace that a request is part of, as it goes on to upstreams where nobody here has a part in it."""
    parent = header("traceparent")
    if parent is None or not _TRACEPARENT.fullmatch(parent):
        return ()
    state = header("tracestate")
    if state is None or not _TRACESTATE.fullmatch(state):
        return (("traceparent", parent),)
    return (("traceparent", parent), ("tracestate", state))


def refused(house: House, error: GatewayError) -> None:
    """A request never became a call."""
    told = Refused(status=error.status, code=error.code or "")
    for observer in house.observers:
        _safely(observer.refused, told)


def began(call: Call, house: House, headers: Callable[[], Mapping[str, str]]) -> None:
    """The call is on its way."""
    told = Began(
        id=call.id, endpoint=call.surface.name, model=call.request["model"], stream=call.stream, at=house.clock(),
        headers=Shown(headers),
    )  # fmt: skip
    watched, content = [], False
    for observer in house.observers:
        token = _safely(observer.began, told)
        watched.append((observer, token, None))
        if token is not None:
            call.traced = call.traced or observer.traces
            content = content or observer.content
    call.watched = tuple(watched)
    if content and call.surface.codec == "chat":
        call.heard = Heard()


def trying(call: Call, house: House, outgoing: Outgoing) -> Outgoing:
    """An attempt at the call's route begins; gives what is sent, with what observers add to it."""
    call.marks = call.watched
    sent: list[tuple[str, str]] = []
    route, server = call.route, call.server
    if call.traced and route is not None and server is not None:
        told = Trying(
            endpoint=call.surface.name, provider=route.deployment.name, model=route.target.model, stream=call.stream,
            at=house.clock(), server=server.base_url, options=_options(call.request),
        )  # fmt: skip
        call.marks = tuple((each, token, _safely(each.trying, token, told)) for each, token, _ in call.watched)
        for observer, token, mark in call.marks:
            sent += _safely(observer.headers, token, mark) or ()
    if not sent and not call.trace:
        return outgoing
    # Whoever takes part in the trace is its next station, in place of the caller.
    return outgoing._replace(headers=(*outgoing.headers, *(sent or call.trace)))


def _options(request: Any) -> dict[str, Any]:
    return {name: value for name in _OPTIONS if isinstance(value := request.get(name), (int, float, str))}


def tried(
    call: Call, house: House, at: float, seconds: float, found: GatewayError | Answer | Result | Stream | None
) -> None:
    """An attempt at the call's route is over, or streams; `found` is None where nobody waited for it any more."""
    if found is not None:
        call.attempts += 1
        call.upstream += seconds
    route = call.route
    if not call.marks or route is None:
        return
    code, status, about = "", None, _NOTHING
    if found is None:
        code = _CANCELLED
    elif isinstance(found, Exception):
        code, status = found.code or "", getattr(found, "upstream_status", None)
    elif call.traced:
        about = _told_of(found)
    told = Tried(
        provider=route.deployment.name, model=route.target.model, at=at, seconds=seconds, code=code, status=status,
        **about,
    )  # fmt: skip
    for observer, token, mark in call.marks:
        _safely(observer.tried, token, mark, told)
    if not told.live:
        call.marks = ()


def _told_of(found: Answer | Result | Stream) -> dict[str, Any]:
    if isinstance(found, Result):
        return _used(found.usage)
    if isinstance(found, Answer):
        return {**_of_answer(found.completion), **_used(found.completion.get("usage"))}
    first = next((piece.chunk for piece in found.held if isinstance(piece, Piece)), None)
    return {"live": not found.over, **({} if first is None else _of_answer(first))}


def _of_answer(answer: Any) -> dict[str, Any]:
    finish = tuple(reason for choice in answer["choices"] if (reason := choice.get("finish_reason")))
    return {"id": str(answer.get("id") or ""), "answered": str(answer.get("model") or ""), "finish": finish}


def _used(usage: Any) -> dict[str, Any]:
    return {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]} if usage else {}


def streamed(call: Call, house: House, marks: Sequence[Any], ending: Ending) -> None:
    """A stream that had begun is over."""
    code = "" if ending == "whole" else _CANCELLED if ending == "left" else ending.code or ""
    told = Streamed(at=house.clock(), code=code)
    for observer, token, mark in marks:
        _safely(observer.streamed, token, mark, told)


def ended(call: Call, house: House, used: Meter, *, estimated: bool, status: int, code: str) -> None:
    """The call is over."""
    route, ticket = call.route, call.ticket
    seconds = house.monotonic() - call.started
    told = Ended(
        id=call.id,
        endpoint=call.surface.name,
        model=call.request["model"],
        provider=call.deployment,
        target=route.target.model if route is not None else "",
        stream=call.stream,
        status=status,
        code=code,
        at=house.clock() - seconds,
        seconds=seconds,
        first_token=call.first_token,
        upstream=call.upstream,
        input=used.input,
        output=used.output,
        cached=used.cached,
        reasoning=used.reasoning,
        estimated=estimated,
        cost=ticket.cost,
        attempts=call.attempts,
        retries=call.retries,
        fallback=route is not None and bool(call.targets) and route.key != call.targets[0].key,
        cached_answer=ticket.free and route is None,
        byok=call.byok,
        team=call.caller.team,
        key=call.caller.key,
    )
    said = None
    if call.heard is not None:
        said = Said(messages=call.request["messages"], choices=call.heard.choices)
    for observer, token, _ in call.watched:
        if said is not None and observer.content:
            _safely(observer.said, token, said)
        _safely(observer.ended, token, told)


def _safely(told: Callable[..., Any], *args: Any) -> Any:
    try:
        return told(*args)
    except Exception:  # noqa: BLE001 - as above
        _log.exception("An observer of calls raised. The call is not touched by that.")
        return None
