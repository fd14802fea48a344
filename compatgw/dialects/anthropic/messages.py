"""How Anthropic writes the blocks of a conversation.

What does not live here: their order (`blocks/messages.py`), parts (`content.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects.anthropic import content
from compatgw.dialects.blocks import messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.anthropic.models import Traits
    from compatgw.dialects.base import Leftovers, Target
    from compatgw.dialects.blocks.messages import Block, Conversation
    from compatgw.dialects.blocks.names import Names


def translate(
    given: Sequence[Mapping[str, Any]], target: Target, traits: Traits, names: Names, left: Leftovers
) -> Conversation:
    """The conversation that the messages of a request are.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: A part that cannot be sent; an end that this model cannot go on with.
    """
    rules = messages.Rules(traits.able, True, traits.system_role, traits.prefill)
    return messages.translate(given, target, _Spelling(target, left), rules, names, left)


class _Spelling:
    """Writes blocks (see `blocks/messages.py`)."""

    __slots__ = ("_left", "_links")

    def __init__(self, target: Target, left: Leftovers) -> None:
        self._links = target.quirks.image_urls
        self._left = left

    def text(self, value: str) -> list[Block]:
        return content.text(value)

    def parts(self, given: Any, where: str) -> list[Block]:
        return content.blocks(given, where, self._left, links=self._links)

    def marked(self, blocks: list[Block], holder: Mapping[str, Any]) -> list[Block]:
        return [*blocks[:-1], content.marked(blocks[-1], holder)] if blocks else blocks

    def thought(self, block: Block) -> Block:
        return block

    def use(self, id: str, name: str, value: Block) -> Block:
        return {"type": "tool_use", "id": id, "name": name, "input": value}

    def result(self, id: str, found: list[Block], message: Mapping[str, Any]) -> list[Block]:
        result: Block = {"type": "tool_result", "tool_use_id": id}
        given = message.get("content")
        if found:
            # A plain string stays one: fewer bytes, and nothing that a cache could miss.
            result["content"] = given if isinstance(given, str) else found
        if message.get("is_error") is True:
            result["is_error"] = True
        return [content.marked(result, message)]

    def missing(self, id: str) -> Block:
        return {"type": "tool_result", "tool_use_id": id, "is_error": True, "content": messages.NO_RESULT}

    def heard(self, blocks: list[Block]) -> list[Block]:
        return blocks
