"""Each place in a request where Cohere takes only certain things: good requests, and what is wrong with others."""

from typing import Any

from tests.testing.changed import MISSING, ODD, changed
from tests.testing.cohere.cases import IMAGE, embedding, picture, ranking

_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}
_CALL = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "model": "command-a-03-2025",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "a"}],
            "tool_calls": [_CALL],
            "tool_plan": "a",
        },
        {
            "role": "tool",
            "tool_call_id": "f_1",
            "content": [{"type": "document", "document": {"id": "1", "data": {"a": "b"}}}],
        },
    ],
    "tools": [_TOOL],
    "documents": [{"id": "1", "data": {"a": "b"}}],
    "citation_options": {"mode": "FAST"},
    "thinking": {"type": "enabled", "token_budget": 9},
    "response_format": {"type": "text"},
}
GOOD: dict[str, tuple[str, Any]] = {
    "chat": ("/v2/chat", CHAT),
    "texts": ("/v2/embed", embedding()),
    "images": ("/v2/embed", embedding(texts=None, images=[IMAGE])),
    "inputs": (
        "/v2/embed",
        embedding(
            texts=None,
            inputs=[{"content": [{"type": "text", "text": "a"}, *picture(IMAGE)["content"]]}],
        ),
    ),
    "rank": ("/v2/rerank", ranking()),
    "tokens": ("/v1/tokenize", {"text": "a", "model": "m"}),
}
_SAMPLING: list[tuple[str, tuple[Any, ...]]] = [
    ("temperature", (-0.1, 1.1)),
    ("p", (0, 1)),
    ("k", (-1, 501, 1.5)),
    ("max_tokens", (0, 1.5)),
    ("stop_sequences", (["a"] * 6,)),
    ("frequency_penalty", (-0.1, 1.1)),
    ("presence_penalty", (-0.1, 1.1)),
    ("seed", (-1, 1.5)),
    ("priority", (-1, 1000, 1.5)),
]
# Values in place of what stands there.
WRONG: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
    "chat": [
        *_SAMPLING,
        ("messages", ([],)),
        ("messages.0.role", (ODD,)),
        ("messages.0.content.0.type", (ODD,)),
        ("messages.1.content.0.type", (ODD,)),
        ("messages.1.content.1.image_url.detail", (ODD,)),
        ("messages.2.content.0.type", (ODD,)),
        ("messages.2.tool_calls.0.type", (ODD,)),
        ("messages.3.content.0.type", (ODD,)),
        ("tools.0.type", (ODD,)),
        ("tools.0.function.name", ("",)),
        ("tool_choice", (ODD,)),
        ("citation_options.mode", (ODD,)),
        ("thinking.type", (ODD,)),
        ("thinking.token_budget", (0, 1.5)),
        ("safety_mode", (ODD,)),
        ("response_format.type", (ODD,)),
    ],
    "texts": [
        ("model", ("",)),
        ("input_type", (ODD,)),
        ("texts", ([], ["a"] * 97)),
        ("embedding_types", ([ODD],)),
        ("output_dimension", (0, 256.5)),
        ("max_tokens", (0, 1.5)),
        ("truncate", (ODD,)),
        ("priority", (-1, 1000, 1.5)),
    ],
    "images": [("images", ([],))],
    "inputs": [
        ("inputs", ([], [picture(IMAGE)] * 97)),
        ("inputs.0.content", ([],)),
        ("inputs.0.content.0.type", (ODD,)),
        ("inputs.0.content.1.image_url.detail", (ODD,)),
    ],
    "rank": [
        ("model", ("",)),
        ("query", ("",)),
        ("documents", ([],)),
        ("top_n", (0, 1.5)),
        ("max_tokens_per_doc", (0, 1.5)),
        ("priority", (-1, 1000, 1.5)),
    ],
    "tokens": [("text", ("", "a" * 65_537)), ("model", ("",))],
}
# What has to be there.
NEEDED: dict[str, tuple[str, ...]] = {
    "chat": (
        "model",
        "messages",
        "messages.0.content",
        "messages.0.content.0.text",
        "messages.1.content",
        "messages.1.content.1.image_url",
        "messages.1.content.1.image_url.url",
        "messages.2.content.1.thinking",
        "messages.2.tool_calls.0.id",
        "messages.2.tool_calls.0.type",
        "messages.2.tool_calls.0.function",
        "messages.2.tool_calls.0.function.name",
        "messages.2.tool_calls.0.function.arguments",
        "messages.3.tool_call_id",
        "messages.3.content",
        "messages.3.content.0.document",
        "messages.3.content.0.document.data",
        "tools.0.type",
        "tools.0.function",
        "tools.0.function.name",
        "tools.0.function.parameters",
        "documents.0.data",
        "thinking.type",
        "response_format.type",
    ),
    "texts": ("model", "input_type"),
    "inputs": (
        "inputs.0.content",
        "inputs.0.content.0.text",
        "inputs.0.content.1.image_url",
        "inputs.0.content.1.image_url.url",
    ),
    "rank": ("model", "query", "documents"),
    "tokens": ("text", "model"),
}
# What takes no further member.
CLOSED: dict[str, tuple[str, ...]] = {
    "chat": (
        "",
        "messages.0",
        "messages.0.content.0",
        "messages.1",
        "messages.1.content.1",
        "messages.1.content.1.image_url",
        "messages.2",
        "messages.2.content.1",
        "messages.2.tool_calls.0",
        "messages.2.tool_calls.0.function",
        "messages.3",
        "messages.3.content.0",
        "messages.3.content.0.document",
        "tools.0",
        "tools.0.function",
        "documents.0",
        "citation_options",
        "thinking",
        "response_format",
    ),
    "texts": ("",),
    "inputs": ("inputs.0", "inputs.0.content.0", "inputs.0.content.1", "inputs.0.content.1.image_url"),
    "rank": ("",),
    "tokens": ("",),
}


def _cases() -> dict[str, tuple[str, Any, int, str]]:
    found: dict[str, tuple[str, Any, int, str]] = {}
    for name, (path, good) in GOOD.items():
        for place, values in WRONG.get(name, ()):
            for value in values:
                text = f"{value!r}"[:40]
                found[f"{name}: {place} is {text}"] = (path, changed(good, place, value), 400, _written(place))
        for place in NEEDED.get(name, ()):
            hint = f"{_written(place)} must be provided"
            found[f"{name}: {place} is needed"] = (path, changed(good, place, MISSING), 400, hint)
        for place in CLOSED.get(name, ()):
            where = f"{place}.{ODD}" if place else ODD
            hint = f"parameter '{_written(where)}' is not a valid field"
            found[f"{name}: {place or 'body'} is closed"] = (path, changed(good, where, 1), 422, hint)
    return found


def _written(place: str) -> str:
    """As Cohere writes a place: `messages[0].content`."""
    out = ""
    for step in place.split("."):
        out += f"[{step}]" if step.isdigit() else f".{step}" if out else step
    return out


# What is wrong: path, request, status, part of the message.
CASES = _cases()
