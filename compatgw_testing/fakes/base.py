"""What every fake is: a pure ASGI application that plays a script, keeps a journal and can go wrong on purpose.

A dialect's fake gives its routes, its credential check, its error envelope, and a `Chat` that
turns what shall be said into the vendor's plain answer and into the vendor's stream events.
This file drives them: it reads the request, takes the next step, applies the fault, sends.

What does not live here: anything that a vendor defines; sockets (`server.py`).
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl

from compatgw_testing import sample, script
from compatgw_testing.journal import Call, Journal
from compatgw_testing.script import Failure, Fault, Raw, Script, Step, ToolCall, Turn, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
    from typing import Self

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Pace = Callable[[int], Awaitable[None]]

Json = dict[str, Any]
Headers = list[tuple[str, str]]
MIB = 1024 * 1024
# All made-up times start here (2026-06-01T00:00:00Z); each call is a second later than the one before.
EPOCH = 1_780_272_000


class ConnectionCut(ConnectionError):
    """The fake breaks the connection, as its script says; the server below it closes the socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error answer, before a vendor's envelope is put round it.

    Attributes:
        status: HTTP status.
        message: For humans.
        type: The vendor's class of error.
        code: The vendor's finer code, where it has one.
        param: The member at fault, where the vendor names it.
        details: Further parts of the envelope.
        headers: Extra response headers.
    """

    status: int
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    details: tuple[Any, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The vendor would not serve this request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Frame(NamedTuple):
    """One event of a stream, framed. `end` marks the events that end an answer: finish, usage, end marks."""

    data: bytes
    end: bool = False


@dataclass(slots=True, kw_only=True)
class Answer:
    """What goes back: one body, or frames."""

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    frames: Iterable[Frame] | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a made-up answer has to obey.

    Attributes:
        text: The latest words of the user.
        prompt: Everything that the model reads; counted for usage.
        tools: Schemas of the arguments, by name.
        force: A call is demanded: of this tool, or of any if empty. None: no demand.
        schema: The answer is JSON that satisfies this.
        json: The answer is some JSON object.
        limit: Most tokens to write.
    """

    text: str
    prompt: object
    tools: Mapping[str, object] = field(default_factory=dict)
    force: str | None = None
    schema: object = None
    json: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer with nothing left open: pieces, ids, usage and finish reason are settled.

    Attributes:
        reasoning: Pieces of thought.
        redacted: The thought is encrypted.
        text: Pieces of text; None for no text at all.
        refusal: Pieces of a refusal; None for none.
        calls: Tool calls, each with its id.
        usage: Tokens.
        finish: `stop`, `length`, `tool_calls`, `content_filter`, `refusal`, or a vendor's own word.
    """

    reasoning: tuple[str, ...]
    redacted: bool
    text: tuple[str, ...] | None
    refusal: tuple[str, ...] | None
    calls: tuple[ToolCall, ...]
    usage: Usage
    finish: str


class Chat:
    """One accepted chat request, and how its vendor answers it. Made per call."""

    def __init__(self, call: Call, ids: sample.Ids, asked: Asked, *, streamed: bool) -> None:
        self.call = call
        self.ids = ids
        self.asked = asked
        self.streamed = streamed

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`, in the vendor's form."""
        raise NotImplementedError

    def plain(self, said: Said) -> Json:
        """The body of an answer that is not streamed."""
        raise NotImplementedError

    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a streamed answer."""
        raise NotImplementedError

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """An error inside a stream."""
        raise NotImplementedError

    def garbage(self) -> bytes:
        """An event whose JSON is broken."""
        return b'data: {"broken": \n\n'


class Route(NamedTuple):
    """One path below the fake's base path: method, pattern, name of the handling method."""

    method: str
    pattern: str
    handler: str


class Fake:
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
        self._models = None if models is None else tuple(models)

    # The script.

    def reply(self, text: str | None = None, *, times: int = 1, **members: Any) -> Self:
        """Answers a call with text and what `compatgw_testing.reply` takes."""
        return self.enqueue(script.reply(text, **members), times=times)

    def tool_call(self, name: str, /, **arguments: object) -> Self:
        """Answers a call with one tool call; every keyword is an argument of the tool."""
        return self.enqueue(script.tool_call(name, **arguments))

    def tool_calls(self, *calls: ToolCall | tuple[str, Mapping[str, object]], **members: Any) -> Self:
        """Answers a call with several tool calls at once; members as in `compatgw_testing.tool_calls`."""
        return self.enqueue(script.tool_calls(*calls, **members))

    def refuse(self, text: str = "I cannot help with that.") -> Self:
        """Answers a call by declining, in the vendor's own way."""
        return self.enqueue(script.refuse(text))

    def fail(self, what: int | str, message: str | None = None, *, times: int = 1, **members: Any) -> Self:
        """Answers a call with an error; see `compatgw_testing.fail`."""
        return self.enqueue(script.fail(what, message, **members), times=times)

    def fault(self, answer: Turn | str | None = None, /, *, times: int = 1, **way: Any) -> Self:
        """Answers a call, but something goes wrong on the way; see `compatgw_testing.fault`."""
        return self.enqueue(script.fault(answer, **way), times=times)

    def raw(self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Answers a call with exactly these bytes. Default content type: JSON."""
        return self.enqueue(
            Raw(pieces=pieces, status=status, headers=headers or {"content-type": "application/json"})
        )

    def enqueue(self, *steps: Step, times: int = 1) -> Self:
        """Appends steps to the script."""
        for step in steps:
            self.script.add(step, times)
        return self

    def always(self, step: Step | str) -> Self:
        """Answers so whenever nothing else is scripted."""
        self.script.stand(script.reply(step) if isinstance(step, str) else step)
        return self

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

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the list endpoint."""
        return self.default_models if self._models is None else self._models

    # What a dialect gives.

    def prefixes(self) -> tuple[str, ...]:
        """Patterns of what may stand before a route."""
        return (re.escape(self.base_path),)

    def authorize(self, call: Call) -> None:
        """Raises Refused unless the call carries the key the vendor's way."""
        raise NotImplementedError

    def problem(self, failure: Failure) -> Problem:
        """What the vendor means by a scripted failure."""
        raise NotImplementedError

    def no_route(self, call: Call, *, method: bool) -> Problem:
        """For a path that does not exist, or one that does but not with this `method`."""
        raise NotImplementedError

    def no_model(self, call: Call, model: str) -> Problem:
        """For a model that does not exist."""
        raise NotImplementedError

    def bad_json(self, call: Call) -> Problem:
        """For a body that is no JSON."""
        raise NotImplementedError

    def too_large(self) -> Problem:
        """For a body over `max_body`."""
        return self.problem(Failure(status=413))

    def envelope(self, call: Call, problem: Problem) -> Json:
        """The body of an error answer."""
        raise NotImplementedError

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

    # Playing one call.

    def play(self, call: Call, chat: Chat) -> Answer:
        """Answers an accepted chat request with the next step of the script."""
        step = call.step = self.script.next()
        if isinstance(step, Failure):
            call.outcome = "failed"
            return self.error(call, self.problem(step))
        if isinstance(step, Raw):
            frames = [Frame(piece) for piece in step.pieces]
            return Answer(status=step.status, headers=list(step.headers.items()), frames=frames)
        turn = step or self.made_up(chat.asked)
        if turn.fault is not None:
            if turn == Turn(fault=turn.fault):
                turn = replace(self.made_up(chat.asked), fault=turn.fault)
            if (answer := self._instead(call, chat, turn.fault)) is not None:
                call.outcome = "faulted"
                return answer
        said = settle(turn, chat)
        answer = self._streamed(call, chat, said) if chat.streamed else self.json_answer(call, chat.plain(said))
        answer.headers.extend(turn.headers.items())
        answer.fault = turn.fault
        if turn.fault is not None and chat.streamed:
            answer.frames = self._bent(chat, turn.fault, answer.frames or ())
        return answer

    def made_up(self, asked: Asked) -> Turn:
        """An answer that obeys the request and is the same each time it is asked."""
        source = sample.rng(self.seed, asked.text)
        if asked.force is not None and asked.tools:
            name = asked.force or next(iter(asked.tools))
            arguments = sample.value_for(asked.tools.get(name), source)
            return Turn(calls=(ToolCall(name, arguments if isinstance(arguments, dict) else {}),))
        if asked.schema is not None:
            return Turn(text=script.dump(sample.value_for(asked.schema, source)))
        text = sample.sentence(source)
        if asked.json:
            return Turn(text=script.dump({"answer": text}))
        pieces = script.words(text)
        if asked.limit is not None and asked.limit < len(pieces):
            return Turn(text="".join(pieces[: asked.limit]), finish="length")
        return Turn(text=text)

    def _streamed(self, call: Call, chat: Chat, said: Said) -> Answer:
        return Answer(headers=[*self.stream_headers(), *self.headers(call)], frames=chat.frames(said))

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

    def _bent(self, chat: Chat, fault: Fault, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of a stream as a fault leaves them; where it ends in a break, `_send_frames` breaks."""
        done = False
        for number, frame in enumerate(frames):
            # A stream shorter than `after` still goes wrong: at its end, rather than not at all.
            late = frame.end and fault.kind in ("garbage", "error_event") and not done
            if number == fault.after or late:
                done = True
                if fault.kind == "garbage":
                    yield Frame(chat.garbage())
                else:
                    if fault.kind == "error_event" and fault.error is not None:
                        yield from chat.error_frames(self.problem(fault.error))
                    return
            if fault.kind == "truncate" and fault.after is None and frame.end:
                return
            yield frame

    # ASGI.

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request, as ASGI demands. Lifespan is answered and means nothing."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a fake serves HTTP, not {scope['type']}")
        call = self._arrived(scope)
        try:
            if await _read(call, receive, self.max_body):
                await self._deliver(call, self._answer(call), receive, send)
        except asyncio.CancelledError:
            call.outcome = "client_closed"
            raise

    def _arrived(self, scope: MutableMapping[str, Any]) -> Call:
        path, mount = scope["path"], scope.get("root_path", "")
        call = Call(
            ordinal=len(self.calls) + 1,
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
                    call.body = json.loads(call.raw)
                except ValueError:
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

    async def _deliver(self, call: Call, answer: Answer, receive: Receive, send: Send) -> None:
        call.status = answer.status
        left = asyncio.ensure_future(_left(receive))
        try:
            if answer.frames is None:
                await _send_body(call, answer, left, send)
            else:
                await self._send_frames(call, answer, left, send)
        finally:
            left.cancel()
        if call.outcome == "pending":
            call.outcome = "completed" if answer.fault is None else "faulted"

    async def _send_frames(self, call: Call, answer: Answer, left: asyncio.Future[None], send: Send) -> None:
        await send(_head(answer))
        for frame in answer.frames or ():
            if self.pace is not None:
                await self.pace(call.sent)
            if left.done():
                call.outcome = "client_closed"
                return
            await send({"type": "http.response.body", "body": frame.data, "more_body": True})
            call.sent += 1
        await _break_off(call, answer.fault, left)
        if call.outcome == "pending":
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def settle(turn: Turn, chat: Chat) -> Said:
    """Fills in what a turn leaves open."""
    calls = tuple(
        one if one.id is not None else replace(one, id=chat.tool_id(index, one.name))
        for index, one in enumerate(turn.calls)
    )
    reasoning = script.words(turn.reasoning or "")
    text = turn.chunks if turn.chunks is not None else None if turn.text is None else script.words(turn.text)
    refusal = None if turn.refusal is None else script.words(turn.refusal)
    usage = turn.usage
    if usage is None:
        arguments = sum(len(one.text) // 4 + 1 for one in calls)
        written = len(reasoning) + len(text or ()) + len(refusal or ()) + arguments
        read = len(script.dump(chat.asked.prompt)) // 4 + 1
        usage = Usage(input=read, output=max(1, written), reasoning=len(reasoning))
    finish = turn.finish or ("refusal" if refusal is not None else "tool_calls" if calls else "stop")
    return Said(
        reasoning=reasoning,
        redacted=turn.redacted,
        text=text,
        refusal=refusal,
        calls=calls,
        usage=usage,
        finish=finish,
    )


def fragments(text: str, count: int = 3) -> list[str]:
    """`text` in about `count` pieces, none empty."""
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]


async def _break_off(call: Call, fault: Fault | None, left: asyncio.Future[None]) -> None:
    if fault is not None and fault.kind == "cut":
        call.outcome = "faulted"
        raise ConnectionCut("the script cuts the connection here")
    if fault is not None and fault.kind == "stall":
        call.outcome = "faulted"
        await left
        call.outcome = "client_closed"


async def _send_body(call: Call, answer: Answer, left: asyncio.Future[None], send: Send) -> None:
    fault, body = answer.fault, answer.body
    if fault is not None and fault.kind == "stall":
        await _break_off(call, fault, left)
        return
    if fault is not None and fault.kind in ("truncate", "garbage"):
        body = body[: len(body) // 2]
    answer.headers.append(("content-length", str(len(body))))
    await send(_head(answer))
    if fault is not None and fault.kind == "cut":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _break_off(call, fault, left)
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _head(answer: Answer) -> Message:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _read(call: Call, receive: Receive, limit: int) -> bool:
    """Reads the body, a little more than `limit` at most; False if the client left before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            call.outcome = "client_closed"
            return False
        if size <= limit:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if not message.get("more_body", False):
            call.raw = b"".join(parts)
            return True


async def _left(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
