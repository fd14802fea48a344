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
from compatgw.providers.address import MEMBERS as PARTS
from compatgw.providers.address import address
from compatgw.providers.auth import AWS, GOOGLE, SCHEMES
from compatgw.providers.table import PROVIDERS, Provider, generic

CONTRACT = [
    "openai",
    "anthropic",
    "gemini",
    "cohere",
    "voyage",
    "jina",
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
    "azure-deployments",
    "azure-anthropic",
    "bedrock",
    "bedrock-openai",
    "bedrock-mantle",
    "bedrock-mantle-openai",
    "bedrock-mantle-anthropic",
    "vertex",
    "vertex-anthropic",
    "vertex-openai",
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
    assert row.auth in {*SCHEMES, AWS, GOOGLE, "none"}
    assert row.key_env or row.key_files or row.local
    known = address(row, dict.fromkeys(PARTS, "x"), {})
    url = urlsplit(known.base_url)
    assert url.scheme == ("http" if row.local else "https")
    assert url.hostname
    assert "{" not in known.base_url + known.query
    assert not known.base_url.endswith("/")
    assert bool(row.service) == (row.auth == AWS)
    if address(row, {}, {}).missing:
        assert "'account'" in row.note or "'project'" in row.note


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


# Every vendor of the protocol reference: what it calls itself, where its API begins, the variables of its key.
VENDORS: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("openai", "OpenAI", "https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    ("deepseek", "DeepSeek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
    ("groq", "Groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    ("together", "Together AI", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    ("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN")),
    ("cerebras", "Cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    ("scaleway", "Scaleway", "https://api.scaleway.ai/v1", ("SCW_SECRET_KEY",)),
    ("sambanova", "SambaNova", "https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    ("xai", "xAI", "https://api.x.ai/v1", ("XAI_API_KEY",)),
    ("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    ("novita", "Novita AI", "https://api.novita.ai/openai/v1", ("NOVITA_API_KEY",)),
    ("ncompass", "NCompass", "https://api.ncompass.tech/v1", ("NCOMPASS_API_KEY",)),
    ("nscale", "NScale", "https://inference.api.nscale.com/v1", ("NSCALE_SERVICE_TOKEN", "NSCALE_API_KEY")),
    ("inception", "Inception", "https://api.inceptionlabs.ai/v1", ("INCEPTION_API_KEY",)),
    ("tinfoil", "Tinfoil", "https://inference.tinfoil.sh/v1", ("TINFOIL_API_KEY",)),
    ("mistral", "Mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    ("fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    ("perplexity", "Perplexity", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY",)),
    ("moonshot", "Moonshot", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    ("zai", "Z.ai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY", "ZHIPUAI_API_KEY")),
    (
        "dashscope",
        "Qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
    ),
    ("huggingface", "Hugging Face", "https://router.huggingface.co/v1", ("HF_TOKEN",)),
    ("nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
    ("github", "GitHub Models", "https://models.github.ai/inference", ("GITHUB_TOKEN",)),
    ("cloudflare", "Cloudflare", "https://api.cloudflare.com/client/v4/accounts/x/ai/v1", ("CLOUDFLARE_API_TOKEN",)),
    ("azure", "Azure OpenAI", "https://x.openai.azure.com/openai/v1", ("AZURE_OPENAI_API_KEY",)),
    ("azure-deployments", "Azure OpenAI", "https://x.openai.azure.com/openai", ("AZURE_OPENAI_API_KEY",)),
    (
        "vertex-openai",
        "Google Vertex AI",
        "https://x-aiplatform.googleapis.com/v1/projects/x/locations/x/endpoints/openapi",
        (),
    ),
    (
        "bedrock-openai",
        "Amazon Bedrock",
        "https://bedrock-runtime.x.amazonaws.com/openai/v1",
        ("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    ("bedrock-mantle", "Amazon Bedrock", "https://bedrock-mantle.x.api.aws/v1", ("AWS_BEARER_TOKEN_BEDROCK",)),
    ("bedrock", "Amazon Bedrock", "https://bedrock-runtime.x.amazonaws.com", ("AWS_BEARER_TOKEN_BEDROCK",)),
    ("vllm", "vLLM", "http://localhost:8000/v1", ("VLLM_API_KEY",)),
    ("sglang", "SGLang", "http://localhost:30000/v1", ()),
    ("llamacpp", "llama.cpp", "http://localhost:8080/v1", ()),
    ("ollama", "Ollama", "http://localhost:11434/v1", ("OLLAMA_API_KEY",)),
    ("lmstudio", "LM Studio", "http://localhost:1234/v1", ()),
]


@pytest.mark.parametrize(("name", "title", "url", "variables"), VENDORS, ids=[one[0] for one in VENDORS])
def test_every_vendor_is_a_row(name: str, title: str, url: str, variables: tuple[str, ...]) -> None:
    """Under its name, at its address, with its variables in their order."""
    row = PROVIDERS[name]

    assert row.title.startswith(title)
    assert address(row, dict.fromkeys(PARTS, "x"), {}).base_url == url
    assert row.key_env == variables


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
