"""Each place in a request where Anthropic takes only certain things: a good request, and what is wrong with others."""

from typing import Any

from compatgw_testing import FakeAnthropic
from tests.testing.changed import MISSING, ODD, changed
from tests.testing.driver import PNG
from tests.testing.test_strict_anthropic import MARK, PDF, TOOL, media, text, use

SIGNATURE, DATA = "c2lnbmVk", "c2VhbGVk"
EMPTY: dict[str, Any] = {"type": "object", "additionalProperties": False}


def sourced(kind: str, **source: Any) -> dict[str, Any]:
    """A block with a source."""
    return {"type": kind, "source": source}


GOOD: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 2000,
    "temperature": 0.5,
    "system": [text(cache_control={**MARK, "ttl": "5m"})],
    "messages": [
        {
            "role": "user",
            "content": [
                text(),
                media("image", "image/png", PNG),
                sourced("image", type="url", url="https://a.example/a.png"),
                sourced("image", type="file", file_id="file_1"),
                {**media("document", "application/pdf", PDF), "citations": {"enabled": True}},
                sourced("document", type="text", media_type="text/plain", data="Hi"),
                sourced("document", type="content", content="Hi"),
                {"type": "search_result", "source": "a", "title": "A", "content": [text()]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": DATA},
                use(),
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_a", "content": [text()]}]},
    ],
    "tools": [{**TOOL, "type": "custom", "cache_control": MARK}],
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": EMPTY}},
    "metadata": {"user_id": "a"},
}
# In place of what stands there; each is refused with words about that place.
WRONG: dict[str, Any] = {
    "model": "",
    "max_tokens": -1,
    "temperature": -0.1,
    "top_p": 1.1,
    "top_k": -1,
    "stop_sequences": [1],
    "stream": "yes",
    "service_tier": ODD,
    "speed": ODD,
    "output_config.effort": ODD,
    "output_config.format.type": ODD,
    "output_config.format.schema": [],
    "system.0.type": ODD,
    "system.0.cache_control.ttl": "2h",
    "messages.0.role": ODD,
    "messages.0.content.0.type": ODD,
    "messages.0.content.1.source.type": ODD,
    "messages.0.content.4.source.type": ODD,
    "messages.0.content.5.source.media_type": "text/html",
    "messages.1.content.0.type": ODD,
    "messages.2.content.0.content.0.type": ODD,
    "tools.0.strict": "yes",
    "tools.0.allowed_callers": [1],
}
# The same twice in one place: the other end of a range, or another type.
ALSO_WRONG: dict[str, Any] = {"top_p": -0.1, "top_k": 1.5, "max_tokens": 1.5, "temperature": 1.1}
# Whole members, for what excludes each other: place of the fault, the member.
MEMBERS: dict[str, tuple[str, Any]] = {
    "thinking.type": ("thinking", {"type": ODD}),
    "tool_choice.type": ("tool_choice", {"type": ODD}),
    "cache_control.ttl": ("cache_control", {**MARK, "ttl": "2h"}),
    "thinking.budget_tokens": ("thinking", {"type": "enabled", "budget_tokens": 1024.5}),
    "thinking.display": ("thinking", {"type": "enabled", "budget_tokens": 1024, "display": ODD}),
    f"thinking.{ODD} of enabled": ("thinking", {"type": "enabled", "budget_tokens": 1024, ODD: 1}),
    f"thinking.{ODD} of between_tools": ("thinking", {"type": "between_tools", ODD: 1}),
    f"thinking.{ODD} of disabled": ("thinking", {"type": "disabled", ODD: 1}),
    f"tool_choice.{ODD} of auto": ("tool_choice", {"type": "auto", ODD: 1}),
    f"tool_choice.{ODD} of any": ("tool_choice", {"type": "any", ODD: 1}),
    f"tool_choice.{ODD} of tool": ("tool_choice", {"type": "tool", "name": "f", ODD: 1}),
    "tool_choice.name": ("tool_choice", {"type": "tool"}),
    f"messages.3.{ODD}": (
        "messages",
        [*GOOD["messages"], {"role": "system", "content": [text()], ODD: 1}],
    ),
    "messages.3.content": ("messages", [*GOOD["messages"], {"role": "system"}]),
    "messages.3.content.0.type": ("messages", [*GOOD["messages"], {"role": "system", "content": [use()]}]),
}
# What has to be there.
NEEDED = (
    "messages.0.content",
    "messages.0.content.0.text",
    "messages.0.content.1.source",
    "messages.0.content.1.source.media_type",
    "messages.0.content.1.source.data",
    "messages.0.content.2.source.url",
    "messages.0.content.3.source.file_id",
    "messages.0.content.4.source",
    "messages.0.content.4.source.media_type",
    "messages.0.content.4.source.data",
    "messages.0.content.5.source.media_type",
    "messages.0.content.5.source.data",
    "messages.0.content.6.source.content",
    "messages.0.content.7.source",
    "messages.0.content.7.title",
    "messages.0.content.7.content",
    "messages.1.content",
    "messages.1.content.0.thinking",
    "messages.1.content.0.signature",
    "messages.1.content.1.data",
    "messages.1.content.2.id",
    "messages.1.content.2.name",
    "messages.1.content.2.input",
    "messages.2.content.0.tool_use_id",
    "system.0.cache_control.type",
    "output_config.format.type",
    "output_config.format.schema",
    "tools.0.name",
    "tools.0.input_schema",
)
# What takes no further member.
CLOSED = (
    "",
    "messages.0",
    "messages.0.content.0",
    "messages.0.content.1",
    "messages.0.content.1.source",
    "messages.0.content.2.source",
    "messages.0.content.3.source",
    "messages.0.content.4",
    "messages.0.content.4.source",
    "messages.0.content.4.citations",
    "messages.0.content.5.source",
    "messages.0.content.6.source",
    "messages.0.content.7",
    "messages.1",
    "messages.1.content.0",
    "messages.1.content.1",
    "messages.1.content.2",
    "messages.2.content.0",
    "system.0.cache_control",
    "output_config",
    "output_config.format",
    "metadata",
    "tools.0",
)


def _cases() -> dict[str, tuple[Any, str]]:
    found = {}
    for table in (WRONG, ALSO_WRONG):
        for path, value in table.items():
            hint = f"{path}." if isinstance(value, list) and value else f"{path}: "
            found[f"{path} is {value!r}"] = (changed(GOOD, path, value), hint)
    for name, (member, value) in MEMBERS.items():
        found[name] = ({**GOOD, member: value}, f"{name.partition(' ')[0]}: ")
    for path in NEEDED:
        found[f"{path} is needed"] = (changed(GOOD, path, MISSING), f"{path}: Field required")
    for path in CLOSED:
        where = f"{path}.{ODD}" if path else ODD
        found[f"{path or 'body'} is closed"] = (changed(GOOD, where, 1), f"{where}: Extra inputs")
    return found


# What is wrong: request, part of the message.
CASES = _cases()


def fake() -> FakeAnthropic:
    """One that takes the signatures of the good request for its own."""
    made = FakeAnthropic()
    for signature in (SIGNATURE, DATA):
        made.thoughts.trust(signature)
    return made
