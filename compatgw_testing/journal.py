"""What a fake was sent, and how each call ended.

What does not live here: judging a call (`fakes/`), answering it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from compatgw_testing.request import Request
    from compatgw_testing.script import Step

Outcome = Literal["pending", "completed", "refused", "failed", "faulted", "client_closed"]


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as it arrived, and its end.

    Attributes:
        ordinal: Which call of this fake it is, from 1.
        at: When it arrived, by the fake's clock.
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
        status: HTTP status of the answer; None while there is none.
        outcome: `completed` answered in full; `refused` the vendor would not take it; `failed` a scripted error;
            `faulted` a scripted fault; `client_closed` the client left before the end.
        sent: Stream events sent.
        pieces: What was written of the body: seconds since the arrival, and the bytes.
    """

    ordinal: int
    at: float = 0.0
    arrived: float = field(default_factory=time.monotonic, compare=False)
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    body: Any = None
    request: Request | None = None
    rule: str | None = None
    step: Step | None = None
    status: int | None = None
    outcome: Outcome = "pending"
    sent: int = 0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    def __str__(self) -> str:
        text = self.raw[:300].decode("utf-8", "replace")
        return f"#{self.ordinal} {self.method} {self.path} -> {self.status} {self.outcome}: {text}"


class Journal(Sequence[Call]):
    """The calls of one fake, in the order of their arrival."""

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
            raise AssertionError("the fake was never called")
        return self._calls[-1]

    def assert_called_once(self) -> Call:
        """The only call.

        Raises:
            AssertionError: There was none, or more than one; the message lists them.
        """
        if len(self._calls) != 1:
            raise AssertionError(f"expected one call, the fake got {len(self._calls)}\n{self!r}")
        return self._calls[0]

    def assert_not_called(self) -> None:
        """Nothing arrived.

        Raises:
            AssertionError: Something did; the message lists it.
        """
        if self._calls:
            raise AssertionError(f"expected no call, the fake got {len(self._calls)}\n{self!r}")
