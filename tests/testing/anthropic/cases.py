"""What Anthropic refuses beside what `test_strict_anthropic.py` holds: counting, listing, versions, search results."""

from typing import Any

from tests.testing.surfaces import Case
from tests.testing.test_strict_anthropic import OBJECT, TOOL, USER, assistant, shaped, talk, text, use, user

COUNT = "/v1/messages/count_tokens"
SEARCH = {"type": "search_result", "source": "https://a.example", "title": "A"}


def counted(**members: Any) -> dict[str, Any]:
    """The smallest request for a count, with these members."""
    return {"model": "claude-sonnet-4-6", "messages": [USER], **members}


def refers(*path: str) -> dict[str, Any]:
    """A schema whose `a` is a tree of `path`."""
    inner: dict[str, Any] = {**OBJECT, "properties": {"next": {"$ref": "/".join(("#", *path))}}}
    return {**OBJECT, "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": inner}}


def listed(query: str, hint: str) -> Case:
    """A list that is asked for wrongly."""
    return Case(f"/v1/models?{query}", None, hint, method="GET")


def found(*content: object, **members: object) -> dict[str, Any]:
    """A request with a search result."""
    return talk(user({**SEARCH, "content": list(content), **members}, text()))


MESSAGES = "/v1/messages"
CASES: dict[str, Case] = {
    "counting takes no max_tokens": Case(COUNT, counted(max_tokens=9), "max_tokens: Extra inputs"),
    "counting takes no stream": Case(COUNT, counted(stream=True), "stream: Extra inputs"),
    "counting takes no metadata": Case(COUNT, counted(metadata={"user_id": "a"}), "metadata: Extra inputs"),
    "counting takes no stop_sequences": Case(COUNT, counted(stop_sequences=["a"]), "stop_sequences: Extra inputs"),
    "counting takes no temperature": Case(COUNT, counted(temperature=1), "temperature: Extra inputs"),
    "counting takes no top_p": Case(COUNT, counted(top_p=1), "top_p: Extra inputs"),
    "counting takes no top_k": Case(COUNT, counted(top_k=1), "top_k: Extra inputs"),
    "counting takes no service_tier": Case(COUNT, counted(service_tier="auto"), "service_tier: Extra inputs"),
    "counting needs messages": Case(COUNT, {"model": "claude-sonnet-4-6"}, "messages: Field required"),
    "counting needs a model": Case(COUNT, {"messages": [USER]}, "model: Field required"),
    "counting judges turns": Case(COUNT, counted(messages=[assistant(text())]), "first message must use the user role"),
    "counting judges tools": Case(COUNT, counted(tools=[TOOL, TOOL]), "Tool names must be unique"),
    "counting judges thinking": Case(
        COUNT, counted(model="claude-opus-4-7", thinking={"type": "enabled", "budget_tokens": 1024}), "thinking.type"
    ),
    "counting wants the version": Case(
        COUNT, counted(), "anthropic-version: header is required", headers={"anthropic-version": ""}
    ),
    "a version is one": Case(MESSAGES, {}, "is not a valid version", headers={"anthropic-version": "2024-01-01"}),
    "a key is needed": Case(MESSAGES, {}, "x-api-key header is required", 401, headers={"x-api-key": ""}),
    "a key is checked": Case(COUNT, {}, "invalid x-api-key", 401, headers={"x-api-key": "no"}),
    "a limit is a number": listed("limit=many", "limit: Input should be a valid integer"),
    "a limit is above 0": listed("limit=0", "limit: Input should be greater than or equal to 1"),
    "a limit is at most 1000": listed("limit=1001", "limit: Input should be less than or equal to 1000"),
    "a search result is text": Case(MESSAGES, found({"type": "image"}), "content.0.content.0: Input should be a text"),
    "its text is no number": Case(MESSAGES, found({"type": "text", "text": 1}), "content.0: Input should be a text"),
    "its text is not empty": Case(MESSAGES, found(text(""), text()), "content.0.content.0.text: text content blocks"),
    "it is text in results, too": Case(
        MESSAGES,
        talk(
            USER,
            assistant(use()),
            user({"type": "tool_result", "tool_use_id": "toolu_a", "content": [{**SEARCH, "content": ["a"]}]}),
        ),
        "messages.2.content.0.content.0.content.0: Input should be a text block",
    ),
    "it cites nothing in the new version": Case(
        MESSAGES,
        found(text(citations=[{"type": "char_location"}])),
        "citations are not permitted in user messages",
        headers={"anthropic-version": "2026-10-21"},
    ),
    "schemas do not contain themselves": Case(MESSAGES, shaped(refers("$defs", "a")), "Recursive schemas"),
    "nor the whole": Case(MESSAGES, shaped(refers()), "Recursive schemas"),
}
# What is taken, so that no rule takes too much.
TAKEN: dict[str, Any] = {
    "a search result": found(text()),
    "a search result with citations switched on": found(text(), citations={"enabled": True}),
    "a schema with references": shaped(
        {**OBJECT, "properties": {"a": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/$defs/b"}}, "$defs": {"b": OBJECT}}
    ),
    "a schema that says what it is written in": shaped(
        {"$schema": "http://json-schema.org/draft-07/schema#", **OBJECT}
    ),
    "a schema that refers to nothing": shaped({**OBJECT, "properties": {"a": {"$ref": "#/$defs/none"}}}),
}
