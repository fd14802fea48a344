"""The fault wall: one call through a real gateway whose upstream goes wrong, and what a client may see of it.

A cell is one way to go wrong, in one dialect, plain or streamed, with a way out or without. Whatever happens,
a call ends as one of three: the whole answer, an honest error before anything was sent, or, once content was
sent, one error event at the end of the stream. The judge reads bytes with the standard library alone.

What does not live here: which troubles there are (`troubles.py`), the tests (`test_fault_wall.py`), every k
(`tests/soak/wall.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from compatgw import Gateway
from compatgw.state.base import Entry, UsageRow
from compatgw_testing import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.clock import EPOCH
from compatgw_testing.harness import gateway_over
from compatgw_testing.script import Step, reply
from tests.flow.paying import CHEAP, PRICE, RING

Ending = Literal["answer", "error", "broken"]
Way = Literal["neither", "retry", "fallback", "hopeless"]

MODELS: Mapping[str, str] = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}
SPARE: Mapping[str, str] = {"openai": "anthropic", "anthropic": "gemini", "gemini": "cohere", "cohere": "openai"}
"""Who takes over from whom: always another dialect, so that nothing of one answer may colour the other."""

WAYS: tuple[Way, ...] = ("neither", "retry", "fallback", "hopeless")
"""`hopeless`: both ways out, and every upstream goes wrong each time."""

FIRST = "Grüße aus dem Süden: ein Bär 🐻 zählt 日本 vor dem Schlaf und hört dann auf."
AGAIN = "Beim zweiten Mal geht es: Äpfel, Öl, 🍎 und Brot."
OTHER = "Jemand anders antwortet, übrigens mit 一二三."
USAGE = (11, 7)
_START = Decimal(100_000)


@dataclass(slots=True)
class Seen:
    """What a client saw of one call.

    Attributes:
        status: HTTP status. kind: Content type. id: Request id.
        body: All bytes.
        at_content: Calls of upstreams when the first content was sent to the client; None: none was.
    """

    status: int = 0
    kind: str = ""
    id: str = ""
    body: bytes = b""
    at_content: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended.

    Attributes:
        ending: Which of the three. status: HTTP status. code: Of the error.
        calls: Calls of upstreams. id: Request id. text: What was said.
        wrong: What no call may do, in words; empty when all is well.
    """

    ending: Ending
    status: int
    code: str
    calls: int
    id: str
    text: str
    wrong: tuple[str, ...]


class Clock:
    """Stands still but for what `pass_by` adds."""

    def __init__(self) -> None:
        self.now = float(EPOCH)

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        """Two hours: whatever an upstream asked for, or opened, is over."""
        self.now += 7200


@dataclass
class Wall:
    """A gateway over four fakes, with a ledger and a team that pays.

    Attributes:
        app: The gateway. fakes: By dialect. clock: Its clock.
        key: Of the team, set by `open`.
        ended: All outcomes so far, which the books are held against.
    """

    app: Gateway
    fakes: dict[str, Fake]
    clock: Clock
    key: str = ""
    ended: list[Outcome] = field(default_factory=list)
    _count: int = 0

    async def open(self) -> None:
        """Makes the team and its key."""
        records = self.app._standing.records
        assert records is not None
        records.verifier._hasher, records.office._hash = CHEAP, CHEAP.hash
        office: Any = records.office
        await office.add_team("t1", "Team", wallet=True, by="test")
        await office.topup("t1", _START, by="test")
        _, self.key = await office.mint_key("t1", "App", by="test")

    async def call(
        self,
        dialect: str,
        step: Callable[[str], Step],
        way: Way,
        *,
        stream: bool,
        patience: int | None = None,
        model: str | None = None,
    ) -> Outcome:
        """One call whose first attempt meets `step`; calls may be made side by side.

        Args:
            dialect: Whom it asks first.
            step: What the fake of a dialect does then.
            way: The way out.
            stream: Whether it wants events.
            patience: Milliseconds for the call; None: as long as it takes.
            model: The model's name in the request. Default: that of the dialect.
        """
        self._count += 1
        word = f"cell {self._count}"
        main, spare = self.fakes[dialect].on(user=word), self.fakes[SPARE[dialect]].on(user=word)
        if way == "hopeless":
            main.always(step(dialect))
            spare.always(step(SPARE[dialect]))
        else:
            main.enqueue(step(dialect), reply(AGAIN, usage=USAGE))
            spare.reply(OTHER, usage=USAGE)
        body: dict[str, Any] = {
            "model": model or dialect,
            "messages": [{"role": "user", "content": word}],
            "retries": int(way in ("retry", "hopeless")),
        }
        body |= {"stream": True} if stream else {}
        body |= {"fallback": [SPARE[dialect]]} if way in ("fallback", "hopeless") else {}
        body |= {"timeout": patience} if patience is not None else {}
        seen = await self._ask(body, word)
        outcome = judge(seen, stream=stream, calls=self._calls(word))
        self.ended.append(outcome)
        return outcome

    def forget(self) -> None:
        """Forgets what the fakes were told and asked; no call may be under way."""
        for fake in self.fakes.values():
            fake.reset()

    async def _ask(self, body: dict[str, Any], word: str) -> Seen:
        """Through the gateway as a server would call it; notes what was known when content left."""
        seen, given, never = Seen(), iter([json.dumps(body).encode()]), asyncio.Event()

        async def receive() -> dict[str, Any]:
            piece = next(given, None)
            if piece is None:
                await never.wait()
            return {"type": "http.request", "body": piece, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
                seen.status, seen.kind = message["status"], headers.get("content-type", "")
                seen.id = headers["x-request-id"]
            else:
                seen.body += message.get("body", b"")
                if seen.at_content is None and seen.status == 200 and said(seen.body):
                    seen.at_content = self._calls(word)

        await self.app(scope_of(self.key), receive, send)
        return seen

    def _calls(self, word: str) -> int:
        marks = json.dumps(word).encode()
        return sum(marks in call.raw for fake in self.fakes.values() for call in fake.calls)

    async def wrong_in_the_books(self) -> list[str]:
        """Closes the gateway; what its ledger has other than one settlement for each call."""
        records = self.app._standing.records
        assert records is not None
        await self.app.aclose()
        rows = await _all(records.ledger, UsageRow)
        charges = [entry for entry in await _all(records.ledger, Entry) if entry.kind == "charge"]
        wallet = await records.ledger.wallet("t1")
        assert wallet is not None
        # Reading opened it again.
        await self.app.aclose()
        wrong = [] if wallet.reserved == 0 else [f"{wallet.reserved} is still reserved"]
        if wallet.balance != _START + sum(entry.amount for entry in charges):
            wrong.append(f"the balance {wallet.balance} is not what the charges left")
        by_id: dict[str, list[UsageRow]] = {}
        for row in rows:
            by_id.setdefault(row.request, []).append(row)
        taken = Counter(entry.reservation for entry in charges)
        amounts = {entry.reservation: -entry.amount for entry in charges}
        if len(rows) != len(self.ended):
            wrong.append(f"{len(self.ended)} calls have {len(rows)} usage rows")
        for outcome in self.ended:
            wrong += [f"{outcome.id}: {fault}" for fault in _unsettled(outcome, by_id, taken, amounts)]
        return wrong


def _unsettled(
    outcome: Outcome, rows: Mapping[str, list[UsageRow]], taken: Mapping[str, int], amounts: Mapping[str, Decimal]
) -> Iterable[str]:
    own = rows.get(outcome.id, [])
    if len(own) != 1:
        yield f"{len(own)} usage rows for one call"
        return
    (row,) = own
    count = taken.get(row.id, 0)
    if count != (outcome.ending != "error"):
        yield f"{outcome.ending}, and {count} charges"
    if amounts.get(row.id, Decimal(0)) != row.charge:
        yield f"the row says {row.charge}, the wallet {amounts.get(row.id)}"
    if outcome.ending == "answer" and (row.status, row.code) != (200, ""):
        yield f"an answer, recorded as {row.status} {row.code}"
    if outcome.ending != "answer" and row.code != outcome.code:
        yield f"told {outcome.code}, recorded {row.code}"
    if outcome.ending == "error" and row.status != outcome.status:
        yield f"told {outcome.status}, recorded {row.status}"


async def _all(ledger: Any, kind: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = await ledger.page(kind, cursor=cursor, limit=1000)
        found += page.items
        if (cursor := page.cursor) is None:
            return found


def scope_of(key: str) -> dict[str, Any]:
    """What a server says of a chat request with this key."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"gateway"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {key}".encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("gateway", 80),
        "state": {},
        "extensions": {},
    }


def wall(url: str, **options: Any) -> Wall:
    """A wall on the ledger of `url`; call its `open` first."""
    made: dict[str, Callable[..., Fake]] = {
        "openai": FakeOpenAI,
        "anthropic": FakeAnthropic,
        "gemini": FakeGemini,
        "cohere": FakeCohere,
    }
    fakes: dict[str, Fake] = {name: make() for name, make in made.items()}
    clock = Clock()
    given: dict[str, Any] = {
        "state": {"ledger": url, "key_ring": RING},
        "models": {name: {"target": target, "price": PRICE} for name, target in MODELS.items()},
        "retries": {"most": 1, "base": 0.001, "cap": 0.002},
        "clock": clock,
        **options,
    }
    return Wall(gateway_over(fakes, options=given), fakes, clock)


# --- the judge ---


def said(body: bytes) -> bool:
    """True once a stream said something that a client would show."""
    return any(_content(event) for event in _events(body)[0])


def judge(seen: Seen, *, stream: bool, calls: int) -> Outcome:
    """Which of the three ends it was, and what was wrong with it."""
    wrong: list[str] = []
    ending: Ending = "error"
    if seen.status != 200:
        code, text = _refused(seen, wrong), ""
    elif stream:
        ending, code, text = _streamed(seen, wrong)
    else:
        ending, code, text = _plain(seen, wrong)
    if seen.at_content not in (None, calls):
        wrong.append(f"{calls - (seen.at_content or 0)} calls of upstreams after content was sent")
    if calls > 4:
        wrong.append(f"{calls} calls of upstreams")
    return Outcome(ending, seen.status, code, calls, seen.id, text, tuple(wrong))


def _refused(seen: Seen, wrong: list[str]) -> str:
    """The code of an ordinary error."""
    if not 400 <= seen.status < 600:
        wrong.append(f"status {seen.status}")
    if seen.kind != "application/json":
        wrong.append(f"an error of type {seen.kind!r}")
    try:
        return _envelope(json.loads(seen.body), wrong)
    except ValueError:
        wrong.append("an error that is no JSON")
        return ""


def _plain(seen: Seen, wrong: list[str]) -> tuple[Ending, str, str]:
    body = json.loads(seen.body)
    (choice,) = body["choices"]
    text = choice["message"]["content"]
    if text not in (FIRST, AGAIN, OTHER):
        wrong.append(f"200 with {text!r}")
    if choice["finish_reason"] != "stop":
        wrong.append(f"finish reason {choice['finish_reason']!r}")
    if body["usage"]["total_tokens"] != sum(USAGE):
        wrong.append(f"usage {body['usage']}")
    return "answer", "", text


def _streamed(seen: Seen, wrong: list[str]) -> tuple[Ending, str, str]:
    events, rest, done = _events(seen.body)
    if rest:
        wrong.append(f"half an event at the end: {rest[-80:]!r}")
    if not seen.kind.startswith("text/event-stream"):
        wrong.append(f"a stream of type {seen.kind!r}")
    text = "".join(_content(event) for event in events)
    errors = [event for event in events if "error" in event]
    finishes = [c["finish_reason"] for e in events for c in e.get("choices", ()) if c["finish_reason"] is not None]
    if done:
        if done != 1 or not seen.body.endswith(b"data: [DONE]\n\n"):
            wrong.append("more than one end, or something after it")
        if errors:
            wrong.append("an error and [DONE]")
        if finishes != ["stop"]:
            wrong.append(f"[DONE] after finish reasons {finishes}")
        if text not in (FIRST, AGAIN, OTHER):
            wrong.append(f"[DONE] after {text!r}")
        return "answer", "", text
    if len(errors) != 1 or errors[0] is not events[-1]:
        wrong.append(f"no end, and {len(errors)} error events")
        return "broken", "", text
    if not text:
        wrong.append("an error in a stream that said nothing: it should have been a status")
    if not any(whole.startswith(text) for whole in (FIRST, AGAIN, OTHER)):
        wrong.append(f"broken off after {text!r}")
    return "broken", _envelope(errors[0], wrong), text


def _envelope(body: Any, wrong: list[str]) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not {"message", "type", "param", "code"} <= set(error):
        wrong.append(f"no envelope: {body!r}")
        return ""
    if not error["message"]:
        wrong.append("an error without a message")
    return str(error["code"])


def _events(body: bytes) -> tuple[list[Any], bytes, int]:
    """Events of a stream, what is left of an unfinished one, and how often `[DONE]` came."""
    *frames, rest = body.split(b"\n\n")
    data = [frame.removeprefix(b"data: ") for frame in frames if not frame.startswith(b":")]
    return [json.loads(one) for one in data if one != b"[DONE]"], rest, data.count(b"[DONE]")


def _content(event: Any) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
