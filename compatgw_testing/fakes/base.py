"""What every fake is: a pure ASGI application that plays a script, keeps a journal and can go wrong on purpose.

A dialect's fake adds its routes, its credential check, its error envelope and its `Chat`; this
file reads the request, takes the next step of the script and hands the answer on.

What does not live here: anything that a vendor defines; sending (`delivery.py`), sockets (`server.py`).
"""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from compatgw_testing import sample, script
from compatgw_testing.fakes.answer import Answer, Asked, Chat, Frame, Headers, Json, Problem, Refused, settle
from compatgw_testing.fakes.delivery import bent, deliver, lifespan, read_body
from compatgw_testing.journal import Call, Journal
from compatgw_testing.script import Failure, Fault, Raw, Script, ScriptError, Step, ToolCall, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence
    from typing import Self, Unpack

    from compatgw_testing.fakes.delivery import Pace, Receive, Send
    from compatgw_testing.script import CallLike, CallsMembers, FailMembers, FaultWay, ReplyMembers

Made = TypeVar("Made")
MIB = 1024 * 1024
# All made-up times start here (2026-06-01T00:00:00Z); each call is a second later than the one before.
EPOCH = 1_780_272_000


class Route(NamedTuple):
    """One path below the fake's base path: method, pattern, name of the handling method."""

    method: str
    pattern: str
    handler: str


class Fake(ABC):
    """A fake of one vendor's API: an ASGI application with a script and a journal.

    Args:
        key: The one credential that is accepted.
        seed: From which ids, times and made-up texts follow.
        strict: Refuse what the vendor refuses. False serves any request that can be read.
        models: The only models that exist. Default: any model id is served.
        pace: Awaited with its number before each stream event. Default: nothing.
    """

    dialect: ClassVar[str]
    base_path: str = ""
    sdk_path: ClassVar[str] = ""
    default_key: ClassVar[str] = "test-key"
    default_models: ClassVar[tuple[str, ...]] = ()
    max_body: ClassVar[int] = 32 * MIB
    routes: ClassVar[tuple[Route, ...]] = ()
    failures: ClassVar[Mapping[str, Problem]] = {}

    def __init__(
        self,
        key: str | None = None,
        *,
        seed: int | str = 0,
        strict: bool = True,
        models: Sequence[str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.api_key = self.default_key if key is None else key
        self.seed = seed
        self.strict = strict
        self.pace = pace
        self.calls = Journal()
        self.script = Script()
        self._arrivals = 0
        self._models = None if models is None else tuple(models)

    # The script.

    def reply(self, text: str | None = None, *, times: int = 1, **members: Unpack[ReplyMembers]) -> Self:
        """Answers a call with text, and with what else `ReplyMembers` names."""
        return self.enqueue(script.reply(text, **members), times=times)

    def tool_call(self, name: str, /, **arguments: object) -> Self:
        """Answers a call with one tool call; every keyword is an argument of the tool."""
        return self.enqueue(script.tool_call(name, **arguments))

    def tool_calls(self, *calls: CallLike, **members: Unpack[CallsMembers]) -> Self:
        """Answers a call with several tool calls at once, after text and reasoning if given."""
        return self.enqueue(script.tool_calls(*calls, **members))

    def refuse(self, text: str = "I cannot help with that.") -> Self:
        """Answers a call by declining, in the vendor's own way."""
        return self.enqueue(script.refuse(text))

    def fail(
        self, what: int | str, message: str | None = None, *, times: int = 1, **members: Unpack[FailMembers]
    ) -> Self:
        """Answers a call with an error; see `compatgw_testing.fail`."""
        return self.enqueue(script.fail(what, message, **members), times=times)

    def fault(self, answer: Turn | str | None = None, /, *, times: int = 1, **way: Unpack[FaultWay]) -> Self:
        """Answers a call, but something goes wrong on the way: exactly one of `FaultWay`."""
        return self.enqueue(script.fault(answer, **way), times=times)

    def raw(self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Answers a call with exactly these bytes. Default content type: JSON."""
        return self.enqueue(Raw(pieces=pieces, status=status, headers=headers or {"content-type": "application/json"}))

    def enqueue(self, *steps: Step, times: int = 1) -> Self:
        """Appends steps to the script.

        Raises:
            ScriptError: A failure has a name that this vendor does not know.
        """
        for step in steps:
            self.script.add(self._known(step), times)
        return self

    def always(self, step: Step | str) -> Self:
        """Answers so whenever nothing else is scripted."""
        self.script.stand(script.reply(step) if isinstance(step, str) else self._known(step))
        return self

    def _known(self, step: Step) -> Step:
        """`step`, unless it fails in a way that the vendor has no answer for."""
        fault = step.fault if isinstance(step, Turn) else None
        failure = step if isinstance(step, Failure) else fault and fault.error
        if failure and failure.name is not None and failure.name not in self.failures:
            known = ", ".join(sorted(self.failures))
            raise ScriptError(f"{self.dialect} has no failure named {failure.name!r}; it knows {known}, and any status")
        return step

    # The journal.

    @property
    def app(self) -> Self:
        """The ASGI application: the fake itself."""
        return self

    @property
    def journal(self) -> Journal:
        """The same object as `calls`."""
        return self.calls

    @property
    def last(self) -> Call:
        """The latest call."""
        return self.calls.last

    @property
    def unused(self) -> tuple[Step, ...]:
        """Scripted steps that no call has taken."""
        return self.script.unused

    def assert_called_once(self) -> Call:
        """The only call; raises AssertionError if there was another number of them."""
        return self.calls.assert_called_once()

    def reset(self) -> None:
        """Forgets script and journal; ids start over."""
        self.script.clear()
        self.calls.clear()
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
    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""

    def headers(self, call: Call) -> Headers:
        """Headers that the vendor sends with every answer."""
        return []

    # Helpers for a dialect.

    def ids(self, call: Call) -> sample.Ids:
        """Ids for the answer to `call`."""
        return sample.Ids(self.seed, call.ordinal)

    def now(self, call: Call) -> int:
        """The fake's time of a call, seconds since 1970."""
        return EPOCH + call.ordinal

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
        """Answers an accepted chat request with the next step of the script."""
        step = call.step = self.script.next()
        if isinstance(step, Failure):
            call.outcome = "failed"
            return self.error(call, self.problem(step))
        if isinstance(step, Raw):
            pieces = [Frame(piece) for piece in step.pieces]
            return Answer(status=step.status, headers=list(step.headers.items()), frames=pieces)
        turn = step or self.made_up(chat.asked)
        fault = turn.fault
        if fault is not None:
            if turn == Turn(fault=fault):
                turn = replace(self.made_up(chat.asked), fault=fault)
            if (instead := self._instead(call, chat, fault)) is not None:
                call.outcome = "faulted"
                return instead
        said = settle(turn, chat)
        if chat.streamed:
            headers = [*self.stream_headers(), *self.headers(call)]
            frames = chat.frames(said)
            if fault is not None:
                error = None if fault.error is None else self.problem(fault.error)
                frames = bent(chat, fault, frames, error)
            answer = Answer(headers=headers, frames=frames, fault=fault)
        else:
            answer = self.json_answer(call, chat.plain(said))
            answer.fault = fault
        answer.headers.extend(turn.headers.items())
        return answer

    def made_up(self, asked: Asked) -> Turn:
        """An answer that obeys the request and is the same each time it is asked."""
        source = sample.rng(self.seed, asked.text)
        thought = "This asks for a short answer." if asked.thinks else None
        if asked.force is not None and asked.tools:
            name = asked.force or next(iter(asked.tools))
            arguments = sample.value_for(asked.tools.get(name), source)
            calls = (ToolCall(name, arguments if isinstance(arguments, dict) else {}),)
            return Turn(calls=calls, reasoning=thought)
        if asked.schema is not None:
            return Turn(text=script.dump(sample.value_for(asked.schema, source)), reasoning=thought)
        text = sample.sentence(source)
        if asked.json:
            return Turn(text=script.dump({"answer": text}), reasoning=thought)
        pieces = script.words(text)
        if asked.limit is not None and asked.limit < len(pieces):
            return Turn(text="".join(pieces[: asked.limit]), finish="length", reasoning=thought)
        return Turn(text=text, reasoning=thought)

    def stream_headers(self) -> Headers:
        """Headers of an event stream."""
        return [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]

    def _instead(self, call: Call, chat: Chat, fault: Fault) -> Answer | None:
        """The answer of a fault that leaves nothing of the real one."""
        if fault.kind == "html":
            page = f"<html><head><title>{fault.status}</title></head><body><h1>{fault.status}</h1></body></html>"
            return Answer(status=fault.status, headers=[("content-type", "text/html")], body=page.encode())
        if fault.kind == "empty":
            return Answer(status=fault.status, headers=[("content-type", "application/json")])
        if fault.error is not None and (fault.kind == "error_200" or not chat.streamed):
            answer = self.error(call, self.problem(fault.error))
            if fault.kind == "error_200":
                answer.status = 200
            return answer
        return None

    # ASGI.

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request, as ASGI demands. Lifespan is answered and means nothing."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a fake serves HTTP, not {scope['type']}")
        call = self._arrived(scope)
        try:
            if await read_body(call, receive, self.max_body):
                await deliver(call, self._answer(call), receive, send, self.pace)
        except asyncio.CancelledError:
            call.outcome = "client_closed"
            raise

    def _arrived(self, scope: MutableMapping[str, Any]) -> Call:
        path, mount = scope["path"], scope.get("root_path", "")
        self._arrivals += 1
        call = Call(
            ordinal=self._arrivals,
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
            handler, match = self._find(call)
            self.authorize(call)
            if call.method == "POST":
                try:
                    call.body = json.loads(call.raw, parse_constant=_no_constant)
                except (ValueError, RecursionError):
                    raise Refused(self.bad_json(call)) from None
            answer: Answer = getattr(self, handler)(call, *match.groups())
        except Refused as refused:
            call.outcome = "refused"
            return self.error(call, refused.problem)
        return answer

    def _find(self, call: Call) -> tuple[str, re.Match[str]]:
        exists = False
        for prefix in self.prefixes():
            for route in self.routes:
                match = re.fullmatch(prefix + route.pattern, call.path)
                if match and route.method == call.method:
                    return route.handler, match
                exists = exists or match is not None
        raise Refused(self.no_route(call, method=exists))


def _no_constant(name: str) -> None:
    """NaN and the infinities are Python's, not JSON's."""
    raise ValueError(f"{name} is no JSON")
