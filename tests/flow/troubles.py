"""Every way in which an upstream goes wrong, with how a call must end that meets it.

What does not live here: meeting it (`wall.py`), each k of a stream (`test_fault_wall.py`, `tests/soak/wall.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from compatgw_testing.faults import FaultWay
from compatgw_testing.script import Step, fail, fault, reply
from tests.flow.wall import FIRST, USAGE

WELL, PASSES, MOVES, CALLER, LATE = "AAAA", "EAAE", "EEAE", "EEEE", "BBBB"
"""How the four ways end: neither, retry, fallback, hopeless. `A`: answer, `E`: honest error, `B`: broken off.

WELL is no trouble at all. PASSES: the same upstream may answer a moment later. MOVES: only somebody else may.
CALLER: nobody would take the request. LATE: content was sent, so that nobody else may be asked.
"""

CONTENT: Mapping[str, int] = {"openai": 1, "anthropic": 3, "gemini": 0, "cohere": 2}
"""Events of each fake's stream before the first that says something."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One way to go wrong.

    Attributes:
        name: In the table.
        step: What the fake of a dialect does.
        plain: How the four ways end for plain calls. stream: For streams.
        but: By dialect, where it is otherwise: plain and stream.
        hangs: It ends only because somebody's patience does.
        side_by_side: It leaves no mark on its upstream, so that other calls may be under way.
    """

    name: str
    step: Callable[[str], Step]
    plain: str
    stream: str
    but: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    hangs: bool = False
    side_by_side: bool = True

    def must(self, dialect: str, *, stream: bool) -> str:
        """How the four ways end."""
        return self.but.get(dialect, (self.plain, self.stream))[stream]


def _status(status: int, ends: str) -> Trouble:
    return Trouble(str(status), lambda _: fail(status), ends, ends, side_by_side=False)


def _named(name: str, ends: str) -> Trouble:
    return Trouble(name, lambda _: fail(name), ends, ends, side_by_side=False)


def _way(name: str, way: FaultWay, plain: str, stream: str, *, hangs: bool = False) -> Trouble:
    return Trouble(name, lambda _: fault(reply(FIRST, usage=USAGE), **way), plain, stream, hangs=hangs)


def _at(
    name: str, way: Callable[[int], FaultWay], past: int, plain: str, stream: str, *, hangs: bool = False
) -> Trouble:
    """A fault so many events past the last one that says nothing."""

    def step(dialect: str) -> Step:
        return fault(reply(FIRST, usage=USAGE), **way(CONTENT[dialect] + past))

    return Trouble(name, step, plain, stream, hangs=hangs)


STATUSES = (
    *(_status(status, CALLER) for status in (400, 413, 422)),
    *(_status(status, MOVES) for status in (401, 402, 403, 404)),
    *(_status(status, PASSES) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
    *(_named(name, MOVES) for name in ("context_length", "quota", "key", "model")),
    _named("overloaded", PASSES),
    Trouble("429, soon", lambda _: fail(429, retry_after=0.002), PASSES, PASSES, side_by_side=False),
    Trouble("429, in an hour", lambda _: fail(429, retry_after=3600), MOVES, MOVES, side_by_side=False),
    replace(_way("HTML, 403", {"html": 403}, MOVES, MOVES), side_by_side=False),
    Trouble("503, in an hour", lambda _: fail(503, retry_after=3600), MOVES, MOVES, side_by_side=False),
)

CONNECTION = (
    _way("refused", {"refused": True}, PASSES, PASSES),
    _way("cut after the head", {"cut_after": 0}, PASSES, PASSES),
    _at("cut before content", lambda at: {"cut_after": at}, 0, PASSES, PASSES),
    _at("cut after content", lambda at: {"cut_after": at}, 3, PASSES, LATE),
    _way("reset after the head", {"reset_after": 0}, PASSES, PASSES),
    _at("reset before content", lambda at: {"reset_after": at}, 0, PASSES, PASSES),
    _at("reset after content", lambda at: {"reset_after": at}, 3, PASSES, LATE),
    _at("clean end before content", lambda at: {"truncate_after": at}, 0, PASSES, PASSES),
    _at("clean end after content", lambda at: {"truncate_after": at}, 3, PASSES, LATE),
    _way("clean end before the last events", {"truncated": True}, PASSES, LATE),
)

BYTES = (
    _at("garbage before content", lambda at: {"garbage_after": at}, 0, PASSES, PASSES),
    _at("garbage after content", lambda at: {"garbage_after": at}, 3, PASSES, LATE),
    _at("no UTF-8 before content", lambda at: {"bad_utf8_after": at}, 0, PASSES, PASSES),
    _at("no UTF-8 after content", lambda at: {"bad_utf8_after": at}, 3, PASSES, LATE),
    _way("cut within characters", {"split_utf8": True}, WELL, WELL),
    _way("byte by byte", {"dribble": 0.0}, WELL, WELL),
    _way("wrong content type", {"content_type": "text/plain"}, WELL, PASSES),
    _way("no content type that is one", {"content_type": "json"}, WELL, PASSES),
    _way("HTML, 200", {"html": 200}, PASSES, PASSES),
    _way("HTML, 502", {"html": 502}, PASSES, PASSES),
    _way("a head and nothing", {"empty": True}, PASSES, PASSES),
    # After the finish, two dialects have another mark that says no more than the finish did.
    replace(
        _way("no end mark", {"no_end_mark": True}, WELL, LATE), but=dict.fromkeys(("openai", "cohere"), (WELL, WELL))
    ),
    _way("two end marks", {"two_end_marks": True}, WELL, WELL),
)

ERRORS = (
    _way("200 with a 500", {"error_200": True, "error": 500}, PASSES, PASSES),
    _way("200 with a 429", {"error_200": True, "error": 429}, PASSES, PASSES),
    _way("200 with an overload", {"error_200": True, "error": "overloaded"}, PASSES, PASSES),
    # Cohere's envelope has a message alone: without a status nobody knows whose fault it was.
    replace(
        _way("200 with a 400", {"error_200": True, "error": 400}, CALLER, CALLER), but={"cohere": (PASSES, PASSES)}
    ),
    _way("error as the first event", {"error_after": 0}, PASSES, PASSES),
    _way("overload as the first event", {"error_after": 0, "error": "overloaded"}, PASSES, PASSES),
    _at("error before content", lambda at: {"error_after": at}, 0, PASSES, PASSES),
    _at("error after content", lambda at: {"error_after": at}, 3, PASSES, LATE),
    _at("overload after content", lambda at: {"error_after": at, "error": "overloaded"}, 3, PASSES, LATE),
)

# A plain call gives its first upstream all of its time; a stream's first content may be waited for elsewhere.
HANGING = (
    _way("slow head", {"slow": 3600.0}, CALLER, MOVES, hangs=True),
    _way("stall after the head", {"stall_after": 0}, CALLER, MOVES, hangs=True),
    _at("stall before content", lambda at: {"stall_after": at}, 0, CALLER, MOVES, hangs=True),
    _at("stall after content", lambda at: {"stall_after": at}, 3, CALLER, LATE, hangs=True),
    _way("a byte an hour", {"dribble": 3600.0}, CALLER, MOVES, hangs=True),
)

TROUBLES = (*STATUSES, *CONNECTION, *BYTES, *ERRORS, *HANGING)
