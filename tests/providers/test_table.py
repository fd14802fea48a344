"""The rows: every provider of the contract, complete, and written so that a request in its words is what it takes."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import pytest

from compatgw.dialects.base import Quirks, Target
from compatgw.dialects.openai.request import EFFORTS, MEMBERS
from compatgw.dialects.table import DIALECTS
from compatgw.errors import UnsupportedParameter
from compatgw.providers.auth import SCHEMES
from compatgw.providers.table import PROVIDERS, Provider, generic

CONTRACT = [
    "openai",
    "anthropic",
    "gemini",
    "cohere",
    "deepseek",
    "groq",
    "together",
    "deepinfra",
    "cerebras",
    "scaleway",
    "sambanova",
    "xai",
    "openrouter",
    "novita",
    "ncompass",
    "nscale",
    "inception",
    "tinfoil",
    "mistral",
    "fireworks",
    "perplexity",
    "moonshot",
    "zai",
    "dashscope",
    "huggingface",
    "nvidia",
    "github",
    "cloudflare",
    "azure",
    "vllm",
    "sglang",
    "llamacpp",
    "ollama",
    "lmstudio",
]
ROWS = [pytest.param(row, id=name) for name, row in PROVIDERS.items()]
OPENAI_LIKE = [pytest.param(row, id=name) for name, row in PROVIDERS.items() if row.dialect == "openai"]
# Quirks name these places beside top-level members.
PLACES = {"messages[].name", "messages[].refusal", "cache_control"}


def sent(row: Provider, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body that goes to the provider."""
    chat = DIALECTS[row.dialect].chat
    assert chat is not None
    asked = cast("Any", {"model": "x", "messages": [{"role": "user", "content": "Hi"}], **request})
    body: dict[str, Any] = orjson.loads(chat.encode(asked, Target(row.title, "m", row.quirks, **more)).body)
    return body


def test_every_provider_of_the_contract_has_a_row() -> None:
    """And no other has."""
    assert sorted(PROVIDERS) == sorted(CONTRACT)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_complete(row: Provider) -> None:
    """A name for people, a protocol that is served, a way to send the key, an address or a word on how to find it."""
    assert PROVIDERS[row.name] is row
    assert row.title
    assert row.dialect in DIALECTS
    assert row.auth in {*SCHEMES, "none"}
    assert row.key_env or row.local
    if not row.base_url:
        assert "https://" in row.note
        return
    url = urlsplit(row.base_url)
    assert url.scheme == ("http" if row.local else "https")
    assert url.hostname
    assert not row.base_url.endswith("/")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai", "https://api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
        ("cohere", "https://api.cohere.com"),
        ("groq", "https://api.groq.com/openai/v1"),
        ("perplexity", "https://api.perplexity.ai"),
        ("zai", "https://api.z.ai/api/paas/v4"),
    ],
)
def test_addresses_that_are_easily_mistaken(name: str, url: str) -> None:
    """Some have `/v1`, some have more, some have nothing."""
    assert PROVIDERS[name].base_url == url


@pytest.mark.parametrize("row", OPENAI_LIKE)
def test_quirks_hold_words_that_the_dialect_knows(row: Provider) -> None:
    """A misspelt one would do nothing, in silence."""
    quirks = row.quirks

    assert set(quirks.efforts) <= set(EFFORTS)
    assert quirks.tool_choice <= {"none", "auto", "required", "function", "custom", "allowed_tools"}
    foreign = (quirks.drop | quirks.reject) - MEMBERS - PLACES
    assert all(name.isidentifier() for name in foreign)
    assert not quirks.drop & quirks.reject
    for ours, theirs in quirks.rename.items():
        assert ours == theirs or ours in MEMBERS or ours.startswith("tool_choice.")


@pytest.mark.parametrize("row", OPENAI_LIKE)
def test_the_plainest_request_reaches_everybody_as_it_is(row: Provider) -> None:
    """Quirks change what has to be changed, and nothing else."""
    assert sent(row, {"temperature": 0.5}) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
    }


@pytest.mark.parametrize("row", OPENAI_LIKE)
@pytest.mark.parametrize("effort", EFFORTS)
def test_every_effort_goes_somewhere(row: Provider, effort: str) -> None:
    """As a word of the provider's, or as its own switch; never as a half-read assignment."""
    body = sent(row, {"reasoning_effort": effort})

    assert "=" not in str(body.get("reasoning_effort", ""))
    assert set(body) - {"model", "messages"} <= {"reasoning_effort", "thinking", "reasoning", "enable_thinking"}


@pytest.mark.parametrize(
    ("name", "request_", "expected"),
    [
        ("deepseek", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("deepseek", {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}),
        ("deepseek", {"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ("dashscope", {"reasoning_effort": "none"}, {"enable_thinking": False}),
        ("dashscope", {"enable_thinking": True}, {"enable_thinking": True}),
        ("inception", {"reasoning_effort": "minimal"}, {"reasoning_effort": "instant"}),
        ("groq", {"max_tokens": 5, "reasoning_format": "parsed"}, {"max_completion_tokens": 5, "reasoning_format": "parsed"}),
        ("groq", {"top_k": 3, "logit_bias": {"1": 2}, "store": True}, {}),
        ("openai", {"max_tokens": 5, "thinking": {"type": "disabled"}}, {"max_completion_tokens": 5, "reasoning_effort": "none"}),
        ("openai", {"brand_new": 1, "top_k": 3}, {"brand_new": 1}),
        ("openrouter", {"reasoning": {"effort": "high"}, "models": ["a"]}, {"reasoning": {"effort": "high"}, "models": ["a"]}),
        ("mistral", {"seed": 1, "safe_prompt": True, "metadata": {"a": "b"}}, {"random_seed": 1, "safe_prompt": True}),
        ("cerebras", {"frequency_penalty": 1, "clear_thinking": False}, {"clear_thinking": False}),
        ("vllm", {"top_k": 3, "chat_template_kwargs": {}}, {"top_k": 3, "chat_template_kwargs": {}}),
        ("together", {"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}),
    ],
)  # fmt: skip
def test_a_request_in_the_providers_words(name: str, request_: dict[str, Any], expected: dict[str, Any]) -> None:
    """What vendors' documents and recordings show them to take."""
    body = sent(PROVIDERS[name], request_)

    assert {member: value for member, value in body.items() if member not in ("model", "messages")} == expected


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("perplexity", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ("ollama", {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}),
        ("zai", {"logprobs": True}),
        ("groq", {"n": 2}),
        ("ollama", {"functions": [{"name": "f"}]}),
        ("inception", {"diffusing": True}),
        ("together", {"logprobs": True}),
    ],
)
def test_what_a_provider_would_leave_undone_is_refused(name: str, request_: dict[str, Any]) -> None:
    """Silence would be an answer to another request."""
    with pytest.raises(UnsupportedParameter):
        sent(PROVIDERS[name], request_)


def test_any_other_server_is_a_row_by_its_address_alone() -> None:
    """Nothing is known of it, so nothing is left out."""
    row = generic("mine", "http://localhost:9/v1")

    assert (row.name, row.title, row.base_url, row.dialect, row.auth) == (
        "mine",
        "mine",
        "http://localhost:9/v1",
        "openai",
        "bearer",
    )
    assert row.quirks == Quirks()
    assert sent(row, {"anything": 1})["anything"] == 1
