"""Who may come in, and how many at a time.

What does not live here: recognising a caller (`web/identify.py`), limits per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.errors import Overloaded, StreamingDisabled
from compatgw.policy import access

if TYPE_CHECKING:
    from types import TracebackType

    from compatgw.flow.call import Call, House


class Capacity:
    """A cap on the calls in flight: what is over it is refused at once, never queued."""

    __slots__ = ("_limit", "in_flight")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0

    def __enter__(self) -> None:
        if self.in_flight >= self._limit:
            raise Overloaded(
                f"The gateway already has {self._limit} calls in flight. Try again in a moment.", retry_after=1
            )
        self.in_flight += 1

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.in_flight -= 1


def admit(call: Call, house: House) -> None:
    """Passes when the caller may make this call.

    Raises:
        Forbidden: The model is not for this key.
        StreamingDisabled: A stream was asked where the operator switched streams off.
    """
    access.require(call.principal, call.request["model"])
    if call.stream and not house.settings.streaming:
        raise StreamingDisabled("Streaming is switched off on this gateway. Send the request with 'stream': false.")
