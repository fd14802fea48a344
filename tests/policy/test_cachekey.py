"""Which requests share an answer, and which are never answered from what was kept."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.policy.cachekey import bypass, fingerprint, key
from compatgw.surfaces import chat

ASKED: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hello"}],
    "temperature": 0.5,
}


def key_of(request: dict[str, Any], **changed: Any) -> str:
    """The key in one tenant and configuration, unless changed."""
    return key("chat", request, **{"tenant": "t1", "scope": None, "version": "v1", **changed})


def parsed(body: dict[str, Any]) -> dict[str, Any]:
    """The hub request that a body becomes."""
    return dict(chat.parse(orjson.dumps(body)).request)


def test_a_key_is_64_hexadecimal_digits_and_always_the_same() -> None:
    """It is shared by processes and versions, so it is written here once and for all."""
    assert key_of(ASKED) == "ae54a74b87ff9c97189be1d4f1215efe18ac6bb02f12b7d5e5300c9fa4df0a98"
    assert fingerprint("chat", ASKED) == "7401e6939f16d29b26f6ae3a5c680e7bc3f583db03ed23a7fe50acd71922d77c"


def test_the_order_of_members_does_not_matter() -> None:
    """At any level of the request."""
    turned = {
        "temperature": 0.5,
        "messages": [{"content": "Hello", "role": "user"}],
        "model": "gpt-4o",
    }
    assert key_of(turned) == key_of(ASKED)
    assert fingerprint("chat", turned) == fingerprint("chat", ASKED)


def test_the_order_of_lists_matters() -> None:
    """Messages in another order are another conversation."""
    one, two = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    assert key_of({**ASKED, "messages": [one, two]}) != key_of({**ASKED, "messages": [two, one]})


def holding(place: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A request with a schema in one of the places where surfaces have them."""
    function = {"name": "f", "parameters": schema}
    places: dict[str, dict[str, Any]] = {
        "tool": {"tools": [{"type": "function", "function": function}]},
        "flat tool": {"tools": [{"type": "function", **function}]},
        "input_schema": {"tools": [{"name": "f", "input_schema": schema}]},
        "function": {"functions": [function]},
        "format": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}},
        "text format": {"text": {"format": {"type": "json_schema", "name": "s", "schema": schema}}},
    }
    return {**ASKED, **places[place]}


@pytest.mark.parametrize("place", ["tool", "flat tool", "input_schema", "function", "format", "text format"])
def test_the_order_within_a_schema_matters(place: str) -> None:
    """Models write members in the schema's order: reasons before the verdict is another answer than after it."""
    ahead = {"type": "object", "properties": {"reasons": {"type": "string"}, "verdict": {"type": "string"}}}
    behind = {"type": "object", "properties": {"verdict": {"type": "string"}, "reasons": {"type": "string"}}}
    assert key_of(holding(place, ahead)) != key_of(holding(place, behind))
    assert key_of(holding(place, ahead)) == key_of(dict(reversed(holding(place, ahead).items())))


def test_the_order_around_a_schema_does_not_matter() -> None:
    """A tool's own members may stand in any order, and what is no schema is looked through."""
    schema = {"type": "object"}
    one = {"tools": ["odd", {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}]}
    two = {"tools": ["odd", {"function": {"strict": True, "parameters": schema, "name": "f"}, "type": "function"}]}
    assert key_of({**ASKED, **one}) == key_of({**ASKED, **two})
    odd = {"json_schema": {"schema": {"a": 1}}, "schema": {"b": 1}}
    assert key_of({"text": odd}) == key_of({"text": dict(reversed(odd.items()))})


def test_how_an_answer_is_told_does_not_matter() -> None:
    """A kept answer is replayed plain or as a stream, with usage or without."""
    assert key_of({**ASKED, "stream": True, "stream_options": {"include_usage": True}}) == key_of(ASKED)
    assert fingerprint("chat", {**ASKED, "stream": True}) != fingerprint("chat", ASKED)


def test_how_hard_to_try_does_not_matter() -> None:
    """`retries` and `timeout` of the gateway; members of the same names in the request itself do."""
    assert key_of(ASKED, own={"retries": 5, "timeout": 1000}) == key_of(ASKED) == key_of(ASKED, own={})
    assert key_of({**ASKED, "timeout": 5}) != key_of(ASKED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guardrails", {"input": ["pii"]}),
        ("prompt_id", "greeting"),
        ("prompt_version", 3),
        ("prompt_variables", {"name": "An"}),
        ("fallback", ["groq/llama-3.3-70b"]),
        ("load_balance", {"strategy": "round-robin"}),
        ("optimise", "cost"),
        ("trust_level", 2),
        ("require_tools", True),
        ("require_vision", True),
        ("require_streaming", True),
        ("speed", "fast"),
        ("model_hints", ["gpt-4o"]),
        ("reasoning", {"exclude": True}),
        ("unsupported", "drop"),
    ],
)
def test_the_gateways_own_members_that_change_the_answer_matter(name: str, value: Any) -> None:
    """What filters, guards, renders or chooses is part of the question; its value is, too."""
    with_it = key_of(ASKED, own={name: value})
    assert with_it != key_of(ASKED)
    assert with_it != key_of(ASKED, own={name: "another"})
    assert with_it != key_of({**ASKED, name: value})


def test_tenant_scope_kind_and_version_matter() -> None:
    """And none of them can be taken for another."""
    keys = [
        key_of(ASKED),
        key_of(ASKED, tenant="t2"),
        key_of(ASKED, tenant="v1", version="t1"),
        key_of(ASKED, tenant=""),
        key_of(ASKED, scope=frozenset()),
        key_of(ASKED, scope=frozenset({"a", "b"})),
        key_of(ASKED, scope=frozenset({"a,b"})),
        key_of(ASKED, version="v2"),
        key("embeddings", ASKED, tenant="t1", scope=None, version="v1"),
        fingerprint("chat", ASKED),
        fingerprint("embeddings", ASKED),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(ASKED, scope=frozenset({"b", "a"})) == key_of(ASKED, scope=frozenset({"a", "b"}))


def test_numbers_are_told_apart_as_json_writes_them() -> None:
    """1 and 1.0 are two texts; where OpenAI has `number`, validation made them one before."""
    assert key_of({**ASKED, "top_k": 1}) != key_of({**ASKED, "top_k": 1.0})
    assert key_of(parsed({**ASKED, "temperature": 1})) == key_of(parsed({**ASKED, "temperature": 1.0}))
    assert key_of({**ASKED, "top_k": 1}) != key_of({**ASKED, "top_k": True})
    assert key_of({**ASKED, "top_k": 1}) != key_of({**ASKED, "top_k": "1"})


def test_null_members_are_gone_before() -> None:
    """A member that is null says nothing, and a parsed request has none."""
    assert key_of(parsed({**ASKED, "seed": None})) == key_of(parsed(ASKED))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, None),
        ({"store": False, "n": 1, "audio": None, "modalities": ["text"], "background": False}, None),
        ({"temperature": 2.0}, None),
        ({"tools": [{"type": "function", "function": {"name": "send_mail"}}]}, None),
        ({"tools": [{"type": "custom", "custom": {"name": "run"}}, {"name": "f", "input_schema": {}}]}, None),
        ({"tools": None}, None),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "state"),
        ({"conversation": {"id": "conv_1"}}, "state"),
        ({"container": "c_1"}, "state"),
        ({"web_search_options": {}}, "hosted_tool"),
        ({"plugins": [{"id": "web"}]}, "hosted_tool"),
        ({"mcp_servers": [{"url": "https://example.com"}]}, "hosted_tool"),
        ({"search_parameters": {"mode": "on"}}, "hosted_tool"),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}, "hosted_tool"),
        ({"tools": [{"type": "code_interpreter"}]}, "hosted_tool"),
        ({"audio": {"format": "wav", "voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "audio"),
        ({"n": 2}, "choices"),
    ],
)
def test_what_is_not_kept_and_why(members: dict[str, Any], reason: str | None) -> None:
    """What the upstream keeps, remembers or does itself, and several choices."""
    assert bypass({**ASKED, **members}) == reason


def test_several_choices_are_kept_when_the_caller_asks_for_it() -> None:
    """Nothing else is."""
    assert bypass({**ASKED, "n": 4}, asked=True) is None
    assert bypass({**ASKED, "n": 4, "store": True}, asked=True) == "store"


# --- what users of other gateways met --------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": "required"},
        {"reasoning_effort": "high"},
        {"logprobs": True},
        {"seed": 7},
        {"stop": ["END"]},
        {"max_completion_tokens": 5},
        {"a_member_of_next_year": 1},
        {"user": "an"},
        {"metadata": {"a": None}},
    ],
)
def test_litellm_42400_and_894_no_member_is_forgotten(members: dict[str, Any]) -> None:
    """Keys of fields picked by hand gave one request another's answer; here every member counts."""
    assert key_of({**ASKED, **members}) != key_of(ASKED)


def test_pictures_in_a_message_are_part_of_the_key() -> None:
    """The same question about two pictures has two answers."""

    def about(url: str) -> dict[str, Any]:
        part = {"type": "image_url", "image_url": {"url": url}}
        return {**ASKED, "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, part]}]}

    assert key_of(about("https://example.com/1.png")) != key_of(about("https://example.com/2.png"))


def test_portkey_two_tenants_never_share() -> None:
    """A cache keyed by body and URL alone answers one tenant with what another asked."""
    assert key_of(ASKED, tenant="t1") != key_of(ASKED, tenant="t2")
