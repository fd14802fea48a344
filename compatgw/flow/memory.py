"""What a call leaves for later ones: reasoning that its client may drop, and a response that can be gone on with.

Both are kept before the client hears of the end, so that its next call finds them.

What does not live here: where they are kept (`vault.py`, `conversations.py`), answers for others (`cache.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.assemble import Assembler
from compatgw.dialects.base import Answer, Piece
from compatgw.errors import StreamInterrupted
from compatgw.flow.cache import tenant_of
from compatgw.policy import reasoning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.flow.call import Call, House
    from compatgw.surfaces.responses import ResponsesFace
    from compatgw.wire.chat import ChatCompletion

# The surface whose answers can be gone on with.
_RESPONSES = "responses"


class Memory:
    """What one call leaves."""

    __slots__ = ("_assembler", "_call", "_house", "_signed")

    def __init__(self, call: Call, house: House) -> None:
        self._call = call
        self._house = house
        route = call.route
        # A kept answer, and one of an identical call, is remembered where it was made.
        self._signed = (
            call.surface.codec == "chat"
            and house.vault is not None
            and route is not None
            and not call.ticket.free
            and reasoning.returns(route.deployment.dialect, route.target)
        )
        self._assembler = Assembler() if self._signed and call.stream else None

    def add(self, pieces: Sequence[Any]) -> None:
        """Takes the next pieces of a stream."""
        if self._assembler is not None:
            for piece in pieces:
                if isinstance(piece, Piece):
                    self._assembler.add(piece.chunk)

    async def keep(self, answer: Any = None) -> None:
        """Keeps what there is, once all of the answer is there; `answer` where it is no stream. Never fails a call."""
        call, house = self._call, self._house
        if self._signed and (completion := self._completion(answer)) is not None:
            route = call.route
            if house.vault is not None and route is not None:
                await house.vault.remember(
                    tenant_of(call.caller), call.request, route.deployment.dialect, route.target, completion
                )
        if call.surface.name == _RESPONSES:
            face = cast("ResponsesFace", call.face)
            await house.conversations().settle(tenant_of(call.caller), call.parsed, face, call.deployment, answer)

    def _completion(self, answer: Any) -> ChatCompletion | None:
        if isinstance(answer, Answer):
            return answer.completion
        try:
            return self._assembler.result() if self._assembler is not None else None
        except StreamInterrupted:
            return None
