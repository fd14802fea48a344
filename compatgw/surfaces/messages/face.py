"""How a client of this protocol is told its answer: as it came from an upstream of the same protocol, or translated.

What does not live here: the translation (`answer.py`, `stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from compatgw.surfaces.messages.answer import Teller, message
from compatgw.surfaces.messages.envelope import failed
from compatgw.surfaces.messages.stream import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.dialects.base import Answer, Piece, Result
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import Parsed, View


class MessagesFace:
    """The face of `POST /v1/messages`.

    Args:
        parsed: The request.
        view: Of the gateway.
    """

    __slots__ = ("_native", "_teller", "_telling")

    stream_type = "text/event-stream"

    def __init__(self, parsed: Parsed, view: View) -> None:
        self._teller = Teller(parsed, view)
        self._telling = Telling(self._teller)
        self._native = False

    def whole(self, answer: Answer) -> bytes:
        """The body of a whole answer."""
        if answer.native is not None:
            return self._teller.echoed(answer.native)
        return orjson.dumps(message(answer.completion, self._teller))

    def begin(self) -> bytes:
        """Nothing: the first event names the model, which the first piece tells."""
        return b""

    def events(self, pieces: Sequence[Piece]) -> bytes:
        """The frames of `pieces`: the upstream's own where they are there."""
        own: list[bytes] = []
        for piece in pieces:
            if piece.native is not None:
                self._native = True
                own.append(self._teller.echoed_start(piece.native))
            elif not self._native:
                self._telling.take(piece)
        return b"".join(own) or self._telling.told()

    def end(self) -> bytes:
        """What was held back, why the answer ended, its totals, and `message_stop`."""
        if self._native:
            return b""
        self._telling.finish()
        return self._telling.told()

    def failed(self, error: GatewayError) -> bytes:
        """An event `error`; nothing follows it."""
        return failed(error)


class CountFace(MessagesFace):
    """The face of `POST /v1/messages/count_tokens`."""

    __slots__ = ()

    def whole(self, answer: Answer | Result) -> bytes:
        """The count, an upstream's own or an estimate."""
        return orjson.dumps(answer.body)  # type: ignore[union-attr]
