"""What every fake is: a pure ASGI application that plays a script, keeps a journal and can go wrong on purpose.

A dialect's fake adds its routes, its credential check, its error envelope and its `Chat`; this
file reads the request, takes the next step of the script and hands the answer on.

What does not live here: anything that a vendor defines; sending (`delivery.py`), sockets (`server.py`).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypedDict, TypeVar
from urllib.parse import parse_qsl

from compatgw_testing import sample, script
from compatgw_testing.clock import EPOCH, Timeline
from compatgw_testing.doors.lifespan import answer_lifespan
from compatgw_testing.fakes.answer import Answer, Chat, Frame, Headers, Problem, Refused, Said, settle
from compatgw_testing.fakes.delivery import Line, bent, deliver, read_body
from compatgw_testing.fakes.form import read_form
from compatgw_testing.fakes.scripted import Scripted, bare
from compatgw_testing.journal import Call
from compatgw_testing.rules import RuleError
from compatgw_testing.script import Failure, Raw, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
    from typing import Self

    from compatgw_testing.clock import Clock
    from compatgw_testing.doors.exchange import Receive, Send
    from compatgw_testing.fakes.delivery import Pace
    from compatgw_testing.fakes.scripted import Unscripted
    from compatgw_testing.faults import Fault
    from compatgw_testing.request import Request
    from compatgw_testing.script import RetryForm

Made = TypeVar("Made")
MIB = 1024 * 1024


class Route(NamedTuple):
    """One path below the fake's base path.

    Attributes:
        method: HTTP method.
        pattern: Of the path; its groups are handed on.
        handler: Name of the handling method.
        body: What a POST carries: JSON, a multipart form, or nothing that matters.
    """

    method: str
    pattern: str
    handler: str
    body: Literal["json", "form", "none"] = "json"


class Options(TypedDict, total=False):
    """What every fake takes beside its key; `Fake` says what each is."""

    seed: int | str
    strict: bool
    models: Sequence[str] | None
    pace: Pace | None
    unscripted: Unscripted
    clock: Clock | None


class Fake(Scripted, ABC):
    """A fake of one vendor's API: an ASGI application with a script and a journal.

    Args:
        key: The one credential that is accepted.
        seed: From which ids, times and made-up texts follow.
        strict: Refuse what the vendor refuses. False serves any request that can be read.
        models: The only models that exist. Default: any model id is served.
        pace: Awaited with its number before each stream event. Default: nothing.
        unscripted, clock: As in `Scripted`.
    """

    base_path: str = ""
    sdk_path: ClassVar[str] = ""
    default_key: ClassVar[str] = "test-key"
    default_models: ClassVar[tuple[str, ...]] = ()
    max_body: ClassVar[int] = 32 * MIB
    routes: ClassVar[tuple[Route, ...]] = ()
    retry_form: ClassVar[RetryForm] = "seconds"

    def __init__(
        self,
        key: str | None = None,
        *,
        seed: int | str = 0,
        strict: bool = True,
        models: Sequence[str] | None = None,
        pace: Pace | None = None,
        unscripted: Unscripted = "answer",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(seed=seed, unscripted=unscripted, clock=clock)
        self.api_key = self.default_key if key is None else key
        self.strict = strict
        self.pace = pace
        self._arrivals = 0
        self._models = None if models is None else tuple(models)

    @property
    def app(self) -> Self:
        """The ASGI application: the fake itself."""
        return self

    def reset(self) -> None:
        """Forgets script, rules, quota and journal; ids start over."""
        super().reset()
        self._arrivals = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the list endpoint."""
        return self.default_models if self._models is None else self._models

    # What a dialect gives.

    def prefixes(self) -> tuple[str, ...]:
        """Patterns of what may stand before a route."""
        return (re.escape(self.base_path),)

    @abstractmethod
    def authorize(self, call: Call) -> None:
        """Raises Refused unless the call carries the key the vendor's way."""

    @abstractmethod
    def problem(self, failure: Failure) -> Problem:
        """What the vendor means by a scripted failure."""

    @abstractmethod
    def no_route(self, call: Call, *, method: bool) -> Problem:
        """For a path that does not exist, or one that does but not with this `method`."""

    @abstractmethod
    def no_model(self, call: Call, model: str) -> Problem:
        """For a model that does not exist."""

    @abstractmethod
    def bad_json(self, call: Call) -> Problem:
        """For a body that is no JSON."""

    def too_large(self) -> Problem:
        """For a body over `max_body`."""
        return self.problem(Failure(status=413))

    @abstractmethod
    def envelope(self, call: Call, problem: Problem) -> object:
        """The body of an error answer."""

    def headers(self, call: Call) -> Headers:
        """Headers that the vendor sends with every answer."""
        return []

    # Helpers for a dialect.

    @staticmethod
    def bearer(value: str) -> str:
        """The token of an `authorization` header; all of it, if it is of another scheme. The scheme has no case."""
        scheme, _, token = value.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else value

    def ids(self, call: Call) -> sample.Ids:
        """Ids for the answer to `call`."""
        return sample.Ids(self.seed, call.ordinal)

    def now(self, call: Call) -> int:
        """When a call was answered, as the fake says it: seconds since 1970, a second after the call before."""
        return EPOCH + call.ordinal

    def retry_headers(self, failure: Failure) -> dict[str, str]:
        """The headers of a failure: those given, and how long to wait before trying again."""
        headers = dict(failure.headers)
        if failure.should_retry is not None:
            headers["x-should-retry"] = "true" if failure.should_retry else "false"
        if failure.retry_after is None:
            return headers
        form = failure.retry_form or self.retry_form
        if form in ("seconds", "both"):
            headers["retry-after"] = f"{failure.retry_after:g}"
        if form in ("ms", "both"):
            headers["retry-after-ms"] = f"{failure.retry_after * 1000:g}"
        return headers

    def require_model(self, call: Call, model: str) -> None:
        """Raises Refused if only certain models exist and this is none of them."""
        if self._models is not None and model not in self._models:
            raise Refused(self.no_model(call, model))

    def json_answer(self, call: Call, body: object, status: int = 200) -> Answer:
        """A JSON answer with the vendor's headers."""
        headers = [("content-type", "application/json"), *self.headers(call)]
        return Answer(status=status, headers=headers, body=script.dump(body).encode())

    def error(self, call: Call, problem: Problem) -> Answer:
        """An error answer in the vendor's envelope."""
        answer = self.json_answer(call, self.envelope(call, problem), problem.status)
        answer.headers.extend(problem.headers.items())
        return answer

    def read(self, make: Callable[[], Made]) -> Made:
        """What `make` reads out of a request; one that it cannot read (nobody checked it) is refused."""
        try:
            return make()
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise Refused(self.problem(Failure(status=400))) from None

    # Playing one call.

    def play(self, call: Call, chat: Chat) -> Answer:
        """Answers an accepted chat request with what the script says."""
        request = chat.request
        taken = self._taken(call, request, takes=True)
        if isinstance(taken, Answer):
            return taken
        turn = taken or self.made_up(request)
        fault = turn.fault
        if fault is not None:
            if bare(turn):
                turn = replace(turn, improvised=True)
            if (instead := self._instead(call, fault, streamed=request.stream)) is not None:
                return instead
        if turn.improvised:
            made = self.made_up(request)
            thought, finish = turn.reasoning or made.reasoning, turn.finish or made.finish
            turn = replace(turn, text=made.text, calls=made.calls, reasoning=thought, finish=finish)
        said = settle(turn, chat)
        call.turn = replace(turn, calls=said.calls, usage=said.usage, finish=said.finish)
        if self.limits is not None:
            self.limits.spend(said.usage.input + said.usage.output)
        if request.stream:
            headers = [*self.stream_headers(), *self.headers(call)]
            frames = chat.frames(said)
            if fault is not None:
                error = None if fault.error is None else self.problem(fault.error)
                frames = bent(chat, fault, frames, error)
            answer = Answer(headers=headers, frames=frames)
        else:
            answer = self.json_answer(call, chat.plain(said))
        return self._finished(answer, turn, said)

    def serve(
        self, call: Call, request: Request, make: Callable[[Turn | None], Answer], *, takes: bool = False
    ) -> Answer:
        """Answers an accepted request that is no chat.

        Args:
            call: The call.
            request: The same in the shape over all dialects.
            make: Gives the answer; gets the turn of the script, if there is one.
            takes: Turns of the script answer it (as they do a transcription). Otherwise it answers by itself, and
                only failures, raw bytes and bare faults of the script apply, and rules that name its surface.
        """
        turn = self._taken(call, request, takes=takes)
        if isinstance(turn, Answer):
            return turn
        if turn is not None and turn.fault is not None:
            instead = self._instead(call, turn.fault, streamed=False)
            if instead is not None:
                return instead
        answer = make(None if turn is None or bare(turn) else turn)
        return answer if turn is None else self._finished(answer, turn, None)

    def _finished(self, answer: Answer, turn: Turn, said: Said | None) -> Answer:
        answer.fault = turn.fault
        answer.first, answer.rate = turn.first, turn.rate
        if answer.frames is None and turn.rate and said is not None:
            answer.first += said.usage.output / turn.rate
        answer.cut = 1 if turn.chunks in ("bytes", "torture") else None
        if turn.fault is not None and turn.fault.kind == "content_type":
            answer.headers = [one for one in answer.headers if one[0] != "content-type"]
            answer.headers.append(("content-type", turn.fault.content_type))
        answer.headers.extend(turn.headers.items())
        return answer

    def _taken(self, call: Call, request: Request, *, takes: bool) -> Answer | Turn | None:
        """The turn that the script has for a call; or the answer, if it is none of the model's."""
        call.request = request
        if self.limits is not None:
            wait = self.limits.refuse(len(script.dump(request.prompt)) // 4 + 1)
            if wait is not None:
                call.outcome = "failed"
                return self.error(call, self.problem(Failure(status=429, retry_after=math.ceil(wait * 1000) / 1000)))
        try:
            step = call.step = self.choose(call, request, takes=takes)
        except RuleError as error:
            self.complaints.append(str(error))
            problem = self.problem(Failure(status=400, message=f"compatgw_testing: {error}"))
            raise Refused(replace(problem, code="no_rule_matched")) from None
        if isinstance(step, Failure):
            call.outcome = "failed"
            answer = self.error(call, self.problem(step))
            if step.retry_after is not None and step.retry_form == "date":
                when = formatdate(math.ceil(call.dated + step.retry_after), usegmt=True)
                answer.headers.append(("retry-after", when))
            return answer
        if isinstance(step, Raw):
            pieces = [Frame(piece) for piece in step.pieces]
            return Answer(status=step.status, headers=list(step.headers.items()), frames=pieces)
        return step

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]

    def _instead(self, call: Call, fault: Fault, *, streamed: bool) -> Answer | None:
        """The answer of a fault that leaves nothing of the real one."""
        answer: Answer | None = None
        if fault.kind == "html":
            page = f"<html><head><title>{fault.status}</title></head><body><h1>{fault.status}</h1></body></html>"
            answer = Answer(status=fault.status, headers=[("content-type", "text/html")], body=page.encode())
        elif fault.kind == "empty":
            answer = Answer(status=fault.status, headers=[("content-type", "application/json")])
        elif fault.kind == "refuse":
            answer = Answer(fault=fault)
        elif fault.error is not None and (fault.kind == "error_200" or not streamed):
            answer = self.error(call, self.problem(fault.error))
            if fault.kind == "error_200":
                answer.status = 200
        if answer is not None:
            call.outcome = "faulted"
        return answer

    # ASGI.

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request, as ASGI demands. Lifespan is answered and means nothing."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a fake serves HTTP, not {scope['type']}")
        call = self._arrived(scope)
        try:
            if await read_body(call, receive, self.max_body):
                timeline, reset = _door(scope)
                await deliver(call, self._answer(call), Line(receive, send, timeline, reset, self.pace))
        except asyncio.CancelledError:
            if call.outcome == "pending":
                call.outcome = "client_closed"
            raise

    def _arrived(self, scope: MutableMapping[str, Any]) -> Call:
        path, mount = scope["path"], scope.get("root_path", "")
        self._arrivals += 1
        call = Call(
            ordinal=self._arrivals,
            at=self.clock.now(),
            # A client on a socket reckons dates with its machine's clock, whatever the fake's says.
            dated=time.time() if _able(scope).get("virtual") is False else self.clock.now(),
            method=scope["method"],
            path=path[len(mount) :] if mount and path.startswith(mount + "/") else path,
            query=dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        )
        self.calls.add(call)
        return call

    def _answer(self, call: Call) -> Answer:
        try:
            if len(call.raw) > self.max_body:
                raise Refused(self.too_large())
            route, match = self._find(call)
            self.authorize(call)
            if call.method == "POST" and route.body != "none":
                try:
                    if route.body == "form":
                        call.body = read_form(call.raw, call.headers.get("content-type", ""))
                    else:
                        call.body = json.loads(call.raw, parse_constant=_no_constant)
                except (ValueError, RecursionError):
                    raise Refused(self.bad_json(call)) from None
            answer: Answer = getattr(self, route.handler)(call, *match.groups())
        except Refused as refused:
            call.outcome = "refused"
            return self.error(call, refused.problem)
        return answer

    def _find(self, call: Call) -> tuple[Route, re.Match[str]]:
        exists = False
        for prefix in self.prefixes():
            for route in self.routes:
                match = re.fullmatch(prefix + route.pattern, call.path)
                if match and route.method == call.method:
                    return route, match
                exists = exists or match is not None
        raise Refused(self.no_route(call, method=exists))


def _able(scope: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """What the door says of itself; empty for one that is not ours."""
    return (scope.get("extensions") or {}).get("compatgw_testing") or {}


def _door(scope: MutableMapping[str, Any]) -> tuple[Timeline, Callable[[], Awaitable[None]] | None]:
    """What the door that a call came through can do beyond ASGI: virtual time, and resetting the connection."""
    able = _able(scope)
    timeline = Timeline(virtual=bool(able.get("virtual")), read_timeout=able.get("read_timeout"))
    return timeline, able.get("reset")


def _no_constant(name: str) -> None:
    """NaN and the infinities are Python's, not JSON's."""
    raise ValueError(f"{name} is no JSON")
