"""What surfaces share whose answers always come whole: their face, and the refusal of `stream`.

What does not live here: any one of these surfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Result
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import Parsed, View


class WholeFace:
    """How a client is told an answer as it is; a surface that changes it overrides `body`."""

    __slots__ = ("_model", "request", "view")

    stream_type = ""

    def __init__(self, parsed: Parsed, view: View) -> None:
        self.request: Mapping[str, Any] = parsed.request
        self.view = view
        self._model: str | None = self.request["model"] if view.echo else None

    def body(self, answer: Result) -> Mapping[str, Any] | None:
        """What the client gets, `model` aside; None when that is the upstream's own bytes."""
        return None if answer.data is not None else answer.body

    def whole(self, answer: Result) -> bytes:
        """The body of an answer."""
        told = self.body(answer)
        if self._model is not None:
            return orjson.dumps({**(answer.body if told is None else told), "model": self._model})
        if told is None:
            return answer.data or b""
        return orjson.dumps(told)

    def begin(self) -> bytes:
        """Nothing: there are no streams."""
        return b""

    def events(self, pieces: Sequence[Any]) -> bytes:
        """Nothing."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """Nothing."""
        return b""


def unstreamed(value: dict[str, Any], name: str) -> dict[str, Any]:
    """`value` without `stream: false`, which says nothing here.

    Raises:
        UnsupportedParameter: It asks for a stream.
    """
    if "stream" not in value:
        return value
    if value["stream"] is not False:
        raise UnsupportedParameter(f"'stream' is not supported by {name}. Leave it out.", param="stream")
    return {member: one for member, one in value.items() if member != "stream"}
