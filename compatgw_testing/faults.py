"""What can go wrong with an answer on its way, and through which door.

What does not live here: errors that a vendor sends on purpose (`script.Failure`), playing a
fault (`fakes/delivery.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.script import Failure

FaultKind = Literal[
    "refuse",
    "slow",
    "stall",
    "dribble",
    "cut",
    "reset",
    "truncate",
    "garbage",
    "bad_utf8",
    "split_utf8",
    "content_type",
    "html",
    "empty",
    "error_200",
    "error_event",
    "no_end_mark",
    "two_end_marks",
]


class ConnectionCut(ConnectionError):
    """The fake breaks the connection, as its script says; the server below it closes the socket."""


class ConnectionReset(ConnectionError):
    """The fake resets the connection: what a client sees after a TCP RST."""


class ConnectRefused(ConnectionError):
    """The fake refuses the connection, before anything is answered."""


class ReadTimedOut(TimeoutError):
    """On virtual time: the client would not have waited for the next piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How an answer goes wrong on its way.

    Attributes:
        kind: See `FAULTS`.
        after: Events sent before it; None for the last moment (`truncate`: all but the ending events).
        bytes: With `cut`, `reset` and `truncate`: bytes sent before it, in place of events.
        seconds: Of `slow` before the head, of `dribble` between two bytes.
        status: HTTP status of `html` and `empty`.
        content_type: Of `content_type`.
        error: What `error_event` and `error_200` report.
    """

    kind: FaultKind
    after: int | None = None
    bytes: int | None = None
    seconds: float = 0.0
    status: int = 200
    content_type: str = "text/plain"
    error: Failure | None = None


class Ability(NamedTuple):
    """What a kind of fault is, and which door can do it.

    Attributes:
        what: One sentence.
        in_process: How a client in this process sees it; None if it cannot.
        socket: How a client on a real port sees it; None if it cannot.
    """

    what: str
    in_process: str | None
    socket: str | None


_SAME = ("the same bytes", "the same bytes")

FAULTS: Mapping[FaultKind, Ability] = {
    "refuse": Ability(
        "The connection is refused.",
        "the library's ConnectError",
        "a reset; `with server.refusing():` refuses for real",
    ),
    "slow": Ability("The head comes late.", "virtual time", "real time"),
    "stall": Ability("After some events nothing more comes.", "the library's ReadTimeout at once", "real time"),
    "dribble": Ability("One byte at a time.", "virtual time", "real time"),
    "cut": Ability("The connection is closed too early.", "the library's RemoteProtocolError", "FIN after a flush"),
    "reset": Ability("The connection is reset.", "the library's ReadError", "RST after a flush"),
    "truncate": Ability("A clean end, too early.", "as on a socket", "the chunked body ends well"),
    "garbage": Ability(
        "One event whose JSON is broken; plain answers end halfway.", "the same bytes", "the same bytes"
    ),
    "bad_utf8": Ability("One event with a byte that is no UTF-8.", *_SAME),
    "split_utf8": Ability("Pieces end within characters.", "the same pieces", "the same writes"),
    "content_type": Ability("The right body under a wrong content type.", *_SAME),
    "html": Ability("An HTML page under some status.", *_SAME),
    "empty": Ability("A head and no body.", *_SAME),
    "error_200": Ability("An error envelope under status 200.", *_SAME),
    "error_event": Ability(
        "An error inside the stream; plain answers are that error.", "the same bytes", "the same bytes"
    ),
    "no_end_mark": Ability("A finished stream without the event that ends it.", *_SAME),
    "two_end_marks": Ability("The event that ends a stream comes twice.", *_SAME),
}


class FaultWay(TypedDict, total=False):
    """The way an answer goes wrong: give exactly one (and `error` with those that report one).

    Attributes:
        refused: The connection is refused.
        slow: So many seconds pass before the head.
        dribble: Every byte comes alone, so many seconds after the one before.
        cut_after: The connection breaks after so many events (0: after the head); plain answers break halfway.
        cut_after_bytes: The connection breaks after so many bytes of the body.
        reset_after: As `cut_after`, but the connection is reset.
        reset_after_bytes: As `cut_after_bytes`, but the connection is reset.
        stall_after: After so many events nothing more comes, until the client leaves.
        truncate_after: A clean end after so many events; plain answers end halfway.
        truncate_after_bytes: A clean end after so many bytes.
        truncated: A clean end before the events that would have ended it.
        garbage_after: After so many events, one whose JSON is broken; the rest follows.
        bad_utf8_after: After so many events, one with a byte that is no UTF-8; the rest follows.
        split_utf8: Pieces end within characters.
        error_after: After so many events, `error` inside the stream; plain answers are that error.
        no_end_mark: The stream finishes, but the event after which no more comes is missing.
        two_end_marks: That event comes twice.
        content_type: The right body under this content type.
        html: An HTML page under this status.
        empty: 200 and no body.
        error_200: The envelope of `error`, but under status 200.
        error: An HTTP status or a name, as in `fail`. Default: 500.
    """

    refused: bool
    slow: float
    dribble: float
    cut_after: int
    cut_after_bytes: int
    reset_after: int
    reset_after_bytes: int
    stall_after: int
    truncate_after: int
    truncate_after_bytes: int
    truncated: bool
    garbage_after: int
    bad_utf8_after: int
    split_utf8: bool
    error_after: int
    no_end_mark: bool
    two_end_marks: bool
    content_type: str
    html: int
    empty: bool
    error_200: bool
    error: int | str


def faults_of(way: FaultWay, error: Failure) -> list[Fault]:
    """Every fault that `way` names; `error` is what those report that report one."""
    found: list[Fault] = []
    counted: tuple[tuple[FaultKind, int | None], ...] = (
        ("cut", way.get("cut_after")),
        ("reset", way.get("reset_after")),
        ("stall", way.get("stall_after")),
        ("truncate", way.get("truncate_after")),
        ("garbage", way.get("garbage_after")),
        ("bad_utf8", way.get("bad_utf8_after")),
    )
    found += [Fault(kind=kind, after=after) for kind, after in counted if after is not None]
    measured: tuple[tuple[FaultKind, int | None], ...] = (
        ("cut", way.get("cut_after_bytes")),
        ("reset", way.get("reset_after_bytes")),
        ("truncate", way.get("truncate_after_bytes")),
    )
    found += [Fault(kind=kind, bytes=size) for kind, size in measured if size is not None]
    switched: tuple[tuple[FaultKind, bool | None], ...] = (
        ("refuse", way.get("refused")),
        ("truncate", way.get("truncated")),
        ("split_utf8", way.get("split_utf8")),
        ("no_end_mark", way.get("no_end_mark")),
        ("two_end_marks", way.get("two_end_marks")),
        ("empty", way.get("empty")),
    )
    found += [Fault(kind=kind) for kind, on in switched if on]
    timed: tuple[tuple[FaultKind, float | None], ...] = (("slow", way.get("slow")), ("dribble", way.get("dribble")))
    found += [Fault(kind=kind, seconds=seconds) for kind, seconds in timed if seconds is not None]
    if (after := way.get("error_after")) is not None:
        found.append(Fault(kind="error_event", after=after, error=error))
    if way.get("error_200"):
        found.append(Fault(kind="error_200", error=error))
    if (status := way.get("html")) is not None:
        found.append(Fault(kind="html", status=status))
    if (kind := way.get("content_type")) is not None:
        found.append(Fault(kind="content_type", content_type=kind))
    return found
