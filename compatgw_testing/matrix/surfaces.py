"""The client surfaces that the matrix can speak, by name.

A new one is a class with the members of `Surface` and a line here. What does not live
here: the surfaces themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from compatgw_testing.matrix.chat import Chat
from compatgw_testing.matrix.messages import Messages
from compatgw_testing.matrix.responses import Responses

if TYPE_CHECKING:
    from compatgw_testing.matrix.asked import Asked, Mode, Seen


class Surface(Protocol):
    """An API that clients speak to a gateway."""

    @property
    def path(self) -> str:
        """Where it is served, below the gateway's base URL."""

    @property
    def cannot(self) -> frozenset[str]:
        """What its requests have no words for, out of `Asked.features`."""

    def headers(self, key: str) -> dict[str, str]:
        """What a client sends beside its body: its key, and what the API wants to know."""

    def write(
        self, asked: Asked, model: str, mode: Mode, more: Sequence[dict[str, Any]] = (), after: str = ""
    ) -> dict[str, Any]:
        """The body of the request.

        Args:
            asked: What is asked.
            model: The model's name.
            mode: Plain or streamed.
            more: Follows the conversation, in the surface's own form.
            after: Id of the answer up to which the server keeps the conversation, where it does.
        """

    def answered(self, asked: Asked, seen: Seen, results: Sequence[str], user: str) -> list[dict[str, Any]]:
        """What a client appends to its conversation: what it saw, a result for each call, what the user says next."""

    def read(self, seen: Seen, mode: Mode) -> Seen:
        """Fills in `seen` from its status, headers and raw body; may trip over shapes that no client could read."""


SURFACES: Mapping[str, Surface] = {"chat": Chat(), "messages": Messages(), "responses": Responses()}


def read(client: str, seen: Seen, mode: Mode) -> Seen:
    """What a client surface sees: as its own `read`, and a shape that it cannot follow is one more problem."""
    try:
        return SURFACES[client].read(seen, mode)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as odd:
        seen.problems.append(f"the answer has a shape that no client could read: {odd!r}")
        seen.ended = "error" if seen.error is not None else "open"
        return seen
