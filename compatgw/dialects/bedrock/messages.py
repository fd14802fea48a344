"""How Bedrock writes the blocks of a conversation.

What does not live here: their order (`blocks/messages.py`), parts (`content.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects.bedrock import content
from compatgw.dialects.blocks import messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers, Target
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.bedrock.names import Names
    from compatgw.dialects.blocks.messages import Block, Conversation

ATTACHED = "See the attached document."


def translate(
    given: Sequence[Mapping[str, Any]], target: Target, traits: Traits, names: Names, left: Leftovers
) -> Conversation:
    """The conversation that the messages of a request are.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: A part that cannot be sent; an end that this model cannot go on with.
    """
    rules = messages.Rules(bool(traits.thinking), traits.system, False, traits.prefill)
    return messages.translate(given, target, _Spelling(traits, names, left), rules, names, left)


class _Spelling:
    """Writes blocks (see `blocks/messages.py`)."""

    __slots__ = ("_parts", "_traits")

    def __init__(self, traits: Traits, names: Names, left: Leftovers) -> None:
        self._traits = traits
        self._parts = content.Parts(traits, names, left)

    def text(self, value: str) -> list[Block]:
        return content.text(value)

    def parts(self, given: Any, where: str) -> list[Block]:
        return self._parts.blocks(given, where)

    def marked(self, blocks: list[Block], holder: Mapping[str, Any]) -> list[Block]:
        return [*blocks, *content.point(holder, self._traits)] if blocks else blocks

    def thought(self, block: Block) -> Block:
        if block["type"] == "redacted_thinking":
            return {"reasoningContent": {"redactedContent": block["data"]}}
        said = {"text": block["thinking"], "signature": block["signature"]}
        return {"reasoningContent": {"reasoningText": said}}

    def use(self, id: str, name: str, value: Block) -> Block:
        return {"toolUse": {"toolUseId": id, "name": name, "input": value}}

    def result(self, id: str, found: list[Block], message: Mapping[str, Any]) -> list[Block]:
        # Cache points have no place inside a result: one there stands for one behind it.
        inner = [block for block in found if "cachePoint" not in block]
        points = [block for block in found if "cachePoint" in block][-1:] or content.point(message, self._traits)
        result: Block = {"toolUseId": id, "content": inner or content.text(messages.EMPTY)}
        if message.get("is_error") is True:
            result["status"] = "error"
        return [{"toolResult": result}, *points]

    def missing(self, id: str) -> Block:
        return {"toolResult": {"toolUseId": id, "content": content.text(messages.NO_RESULT), "status": "error"}}

    def heard(self, blocks: list[Block]) -> list[Block]:
        """`blocks` with some text in them: a document alone is refused."""
        alone = any("document" in block for block in blocks) and not any("text" in block for block in blocks)
        return [*blocks, *content.text(ATTACHED)] if alone else blocks
