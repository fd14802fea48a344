"""What a fake was sent, how each call ended, and assertions about it.

What does not live here: how a difference is told (`difference.py`), which calls are attempts of
one request (`attempts.py`), judging the client (`verdict.py`), answering a call (`fakes/`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from compatgw_testing.attempts import Attempts, attempts_of, fits
from compatgw_testing.difference import differences
from compatgw_testing.script import ToolCall, Turn

if TYPE_CHECKING:
    from compatgw_testing.request import Message, Request
    from compatgw_testing.script import Step

Outcome = Literal["pending", "completed", "refused", "failed", "faulted", "client_closed"]
# Of a call's headers, those that its author chose: the rest names hosts, versions, keys and moments.
_KEPT = ("content-type", "anthropic-version", "anthropic-beta", "openai-organization", "openai-project", "openai-beta")
_SECRET = ("key", "access_token")
_NEVER = "the fake was never called; point the client's base URL at it"


@dataclass(slots=True, kw_only=True, repr=False)
class Call:
    """One request as it arrived, and its end.

    Attributes:
        ordinal: Which call of this fake it is, from 1.
        at: When it arrived, by the fake's clock.
        dated: What dates in its answer count from: `at`, or on a socket the machine's time.
        arrived: When it arrived, by the machine's monotonic clock: for measuring how long a client waited.
        method: HTTP method.
        path: Path as the fake's own routes see it, percent-decoded, without the mount.
        query: The last value of each name.
        headers: Names in lower case; of a repeated one the last value.
        raw: The body's bytes.
        body: The body parsed as JSON; None if it is no JSON.
        request: The same in the shape over all dialects; None if it was refused before it could be read.
        rule: The rule that answered, as text; None if none did.
        step: The scripted step that answered it; None if it was not scripted.
        turn: What was answered, with everything that the step left open: made-up text, ids of calls, usage, finish.
            None if it was no answer of the model's.
        status: HTTP status of the answer; None while there is none.
        response_headers: As the headers of the call, of the answer; empty until its head was sent.
        outcome: `completed` answered in full; `refused` the vendor would not take it; `failed` a scripted error;
            `faulted` a scripted fault; `client_closed` the client left before the end.
        sent: Stream events sent whole.
        finished: The client was told that the answer is whole: by the event of its finish, or by all of a plain body.
        pieces: What was written of the body: seconds since the arrival, and the bytes.
        virtual: Those seconds are of virtual time.
        answered: When the head was sent, by the machine's monotonic clock.
        ended: When nothing more was sent, by the same clock.
    """

    ordinal: int
    at: float = 0.0
    arrived: float = field(default_factory=time.monotonic, compare=False)
    dated: float = field(default=0.0, compare=False)
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    body: Any = None
    request: Request | None = None
    rule: str | None = None
    step: Step | None = None
    turn: Turn | None = None
    status: int | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    outcome: Outcome = "pending"
    sent: int = 0
    finished: bool = False
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    virtual: bool = False
    answered: float | None = field(default=None, compare=False)
    ended: float | None = field(default=None, compare=False)

    @property
    def written(self) -> bytes:
        """What was written of the answer's body."""
        return b"".join(piece for _, piece in self.pieces)

    @property
    def fault(self) -> str | None:
        """The kind of fault that its step plays; None if it plays none."""
        return None if not isinstance(self.step, Turn) or self.step.fault is None else self.step.fault.kind

    @property
    def hangs(self) -> bool:
        """It is answered by a wait, from which clients leave."""
        return self.fault in ("stall", "slow", "dribble")

    def dump(self) -> dict[str, object]:
        """The call as plain values, equal in each run: without moments, ports, keys and versions of clients.

        A fake on the machine's clock tells moments in its own headers; `stable` masks them.
        """
        text = None if self.body is not None or not self.raw else self.raw.decode("utf-8", "backslashreplace")
        pieces = [(at if self.virtual else None, one.decode("utf-8", "backslashreplace")) for at, one in self.pieces]
        return {
            "ordinal": self.ordinal,
            "method": self.method,
            "path": self.path,
            "query": {name: value for name, value in self.query.items() if name not in _SECRET},
            "headers": {name: self.headers[name] for name in _KEPT if name in self.headers},
            "body": self.body if text is None else text,
            "request": None if self.request is None else _plain(self.request),
            "rule": self.rule,
            "step": None if self.step is None else _said(self.step),
            "status": self.status,
            "response_headers": dict(self.response_headers),
            "outcome": self.outcome,
            "sent": self.sent,
            "pieces": [text if at is None else [at, text] for at, text in pieces],
        }

    def __str__(self) -> str:
        text = self.raw[:300].decode("utf-8", "replace")
        return f"#{self.ordinal} {self.method} {self.path} -> {self.status} {self.outcome}: {text}"

    def __repr__(self) -> str:
        model = "" if self.request is None else f" {self.request.model}"
        return f"<Call #{self.ordinal} {self.method} {self.path}{model} -> {self.status} {self.outcome}>"


def _plain(request: Request) -> dict[str, object]:
    """A request as plain values, without what says nothing."""
    found: dict[str, object] = {"model": request.model, "surface": request.surface}
    messages = [_message(one) for one in request.messages]
    members: dict[str, object] = {
        "messages": messages,
        "tools": dict(request.tools),
        "force": request.force,
        "schema": request.schema,
        "json": request.json,
        "limit": request.limit,
        "thinks": request.thinks,
        "stream": request.stream,
        "settings": dict(request.settings),
        "inputs": list(request.inputs),
    }
    return found | {name: value for name, value in members.items() if value not in (None, False, [], {})}


def _message(message: Message) -> dict[str, object]:
    members: dict[str, object] = {
        "text": message.text,
        "media": list(message.media),
        "reasoning": message.reasoning,
        "calls": [_call(one) for one in message.calls],
        "tool": message.tool,
        "call_id": message.call_id,
    }
    return {"role": message.role} | {name: value for name, value in members.items() if value not in (None, "", [])}


def _call(call: ToolCall) -> dict[str, object]:
    arguments = call.arguments if isinstance(call.arguments, str) else dict(call.arguments)
    return {"name": call.name, "arguments": arguments, "id": call.id}


def _said(step: Step) -> str:
    """A step in short: its class, and what it sets."""
    names = type(step).__dataclass_fields__
    default = type(step)(pieces=()) if "pieces" in names else type(step)()  # type: ignore[call-arg]
    shown = [f"{one}={getattr(step, one)!r}" for one in names if getattr(step, one) != getattr(default, one)]
    return f"{type(step).__name__}({', '.join(shown)})"


class Journal(Sequence[Call]):
    """The calls of one fake, in the order of their arrival. Assertions raise AssertionError, and list what came."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        return self._calls[index]

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return "\n".join(["Journal:", *(f"  {call}" for call in self._calls)]) if self._calls else "Journal: no call"

    def add(self, call: Call) -> None:
        """Notes a call that is arriving."""
        self._calls.append(call)

    def clear(self) -> None:
        """Forgets all calls."""
        self._calls.clear()

    @property
    def last(self) -> Call:
        """The latest call.

        Raises:
            AssertionError: There was none.
        """
        if not self._calls:
            raise AssertionError(_NEVER)
        return self._calls[-1]

    @property
    def attempts(self) -> list[Attempts]:
        """The requests, each with its attempts."""
        return attempts_of(self._calls)

    def dump(self) -> list[dict[str, object]]:
        """All calls as plain values that are equal in each run; see `Call.dump`."""
        return [one.dump() for one in self._calls]

    # How many.

    def assert_called(self, times: int | None = None) -> Self:
        """There were so many calls; without a number: at least one."""
        if not self._calls:
            raise AssertionError(_NEVER)
        if times is not None and len(self._calls) != times:
            raise AssertionError(f"expected {_count(times)}, the fake got {len(self._calls)}\n{self!r}")
        return self

    def assert_called_once(self) -> Call:
        """The only call."""
        if len(self._calls) != 1:
            raise AssertionError(f"expected one call, the fake got {len(self._calls)}\n{self!r}")
        return self._calls[0]

    def assert_not_called(self) -> None:
        """Nothing arrived."""
        if self._calls:
            raise AssertionError(f"expected no call, the fake got {len(self._calls)}\n{self!r}")

    # What was asked.

    def assert_called_once_with(self, **expected: object) -> Call:
        """The only call, which is as expected.

        Args:
            expected: What to compare: `model`, `user`, `system`, `messages`, `tools`, `force`, `schema`, `limit`,
                `stream`, `media`, `inputs`, ... of `Request`; `settings`, or one of them by its name (`temperature`);
                or `path`, `query`, `headers`, `body` of the call. Values may be matchers (`contains(...)`) and
                `like(...)`; messages, tool calls and tools may be written as the SDKs take them.

        Raises:
            TypeError: There is no such member.
        """
        return self._as_expected(self.assert_called_once(), expected)

    def assert_called_with(self, **expected: object) -> Call:
        """The latest call, which is as expected; `assert_called_once_with` says what can be."""
        return self._as_expected(self.last, expected)

    def assert_any_call(self, **expected: object) -> Call:
        """The first call that is as expected; `assert_called_once_with` says what can be."""
        found = self._matching(expected)
        if found:
            return found[0]
        if not self._calls:
            raise AssertionError(_NEVER)
        judged = [(differences(expected, one), one) for one in self._calls]
        lines, nearest = min(judged, key=lambda one: len(one[0]))
        raise AssertionError(
            "\n".join([f"none of {_count(len(self._calls))} is as expected; nearest is {nearest!r}:", *_listed(lines)])
        )

    def _as_expected(self, call: Call, expected: Mapping[str, object]) -> Call:
        if lines := differences(expected, call):
            raise AssertionError("\n".join([f"{call!r} is not as expected:", *_listed(lines)]))
        return call

    def _matching(self, expected: Mapping[str, object]) -> list[Call]:
        return [one for one in self._calls if not differences(expected, one)]

    # How often and how soon the client tried again.

    def assert_attempts(self, count: int, **which: object) -> Self:
        """Each request was tried exactly so often: the same body again after a failure is a further attempt.

        Args:
            count: Attempts, the first one included.
            which: Only requests that are so; `assert_called_once_with` says what can be compared.
        """
        found = [one for one in self.attempts if not differences(which, one.calls[0])]
        if not found:
            raise AssertionError(f"expected {count} attempts of a request, none came\n{self!r}")
        if any(len(one.calls) != count for one in found):
            listed = _listed([str(one) for one in found])
            raise AssertionError("\n".join([f"expected {count} attempts of each request:", *listed]))
        return self

    def assert_waited(self, form: str | float, **which: object) -> Self:
        """Between any two attempts of a request, the client waited so long.

        Args:
            form: Seconds to wait at least, or a form: `">=0.2"`, `"<1"`, `">200ms"`.
            which: As in `assert_attempts`.

        Raises:
            ValueError: The form is none.
        """
        found = [one for one in self.attempts if len(one.calls) > 1 and not differences(which, one.calls[0])]
        if not found:
            raise AssertionError(f"expected waits of {form} between attempts, nothing was tried twice\n{self!r}")
        if any(fits(one.waits, form) for one in found):
            listed = _listed([str(one) for one in found])
            raise AssertionError("\n".join([f"expected waits of {form} between attempts:", *listed]))
        return self


def _count(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


def _listed(lines: Sequence[str]) -> list[str]:
    return [f"  {one}" for one in lines]
