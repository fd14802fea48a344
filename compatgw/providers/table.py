"""The providers: one row each. A provider that needs a function is not a row but a dialect.

Base URLs, variables and quirks are each vendor's own as documented or recorded; every member
of a row can be overridden in the configuration (`[providers.NAME]`).

What does not live here: models (`catalogue.json`), protocols (`dialects/`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from compatgw.dialects.base import Quirks

if TYPE_CHECKING:
    from collections.abc import Mapping

Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider.

    Attributes:
        name: What model ids begin with.
        title: For people.
        base_url: Where its API begins; "" when it is different for every account.
        key_env: Variables that hold its key, the first that is set wins.
        dialect: The protocol that it speaks.
        auth: How the key is sent.
        quirks: How it differs from the protocol.
        headers: Sent with every call.
        local: A server of one's own: needs no key, and is never active by itself.
        note: What has to be configured, where something has to.
    """

    name: str
    title: str
    base_url: str
    key_env: tuple[str, ...] = ()
    dialect: str = "openai"
    auth: Auth = "bearer"
    quirks: Quirks = field(default_factory=Quirks)
    headers: tuple[tuple[str, str], ...] = ()
    local: bool = False
    note: str = ""


_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
# What OpenAI itself keeps or reads; no other vendor does, and strict ones refuse it.
_OPENAI_ONLY = frozenset({"store", "prediction", "service_tier", "safety_identifier", "prompt_cache_key", "verbosity"})
# Other vendors' members that OpenAI refuses; the first three are read as `reasoning_effort`.
_FOREIGN = frozenset(
    {
        "reasoning", "thinking", "enable_thinking", "include_reasoning", "chat_template_kwargs", "cache_control",
        "top_k", "top_a", "min_p", "repetition_penalty", "safe_prompt", "provider", "transforms", "route",
    }
)  # fmt: skip
# What OpenAI alone does; others would leave it undone without a word.
_SILENT = frozenset({"audio", "functions", "function_call", "web_search_options"})
# Ways to ask for reasoning that are not understood where `reasoning_effort` is.
_ASKING = frozenset({"reasoning", "enable_thinking"})
_CHOICES = frozenset({"none", "auto", "required", "function"})
# Servers in vLLM's family take everything and ignore what they do not know.
_VLLM = Quirks(max_tokens="max_tokens", reject=_SILENT, tool_choice=_CHOICES)


def _own(*names: str) -> dict[str, str]:
    """Members that a strict vendor has beside OpenAI's: renamed to themselves, so they are sent."""
    return {name: name for name in names}


_ROWS = (
    # --- the four protocols -------------------------------------------------------------------
    Provider(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        quirks=Quirks(max_tokens="max_completion_tokens", drop=_FOREIGN, developer=True, tool_ids="40"),
    ),
    Provider(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com/v1",
        key_env=("ANTHROPIC_API_KEY",),
        dialect="anthropic",
        auth="x-api-key",
    ),
    Provider(
        name="gemini",
        title="Google Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        dialect="gemini",
        auth="x-goog-api-key",
    ),
    Provider(
        name="cohere",
        title="Cohere",
        base_url="https://api.cohere.com",
        key_env=("CO_API_KEY", "COHERE_API_KEY"),
        dialect="cohere",
    ),
    # --- OpenAI-compatible --------------------------------------------------------------------
    Provider(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_env=("DEEPSEEK_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=_OPENAI_ONLY | _ASKING,
            reject=_SILENT,
            reasoning_back="tool_turns",
            n=False,
            json_schema=False,
            tool_choice=_CHOICES,
            efforts={
                "none": "thinking.type=disabled",
                "minimal": "low",
                "low": "low",
                "medium": "high",
                "high": "high",
                "xhigh": "high",
                "max": "max",
            },
        ),
    ),
    Provider(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            drop=frozenset({"logit_bias", "metadata", "messages[].name", "messages[].refusal", "cache_control"})
            | _OPENAI_ONLY - {"service_tier"},
            reject=_LOGPROBS | {"audio", "web_search_options"},
            rename=_own(
                "reasoning_format",
                "include_reasoning",
                "search_settings",
                "documents",
                "citation_options",
                "compound_custom",
            ),
            known_only=True,
            n=False,
            tool_choice=_CHOICES,
            efforts={
                "none": "none",
                "minimal": "low",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "high",
                "max": "high",
            },
            reasoning_back="always",
            reasoning_field="reasoning",
        ),
    ),
    Provider(
        name="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        key_env=("TOGETHER_API_KEY",),
        # Its `logprobs` is a number, and its answer to it another shape.
        quirks=Quirks(
            max_tokens="max_tokens",
            reject=_LOGPROBS | _SILENT,
            tool_choice=_CHOICES,
            efforts={
                "none": "reasoning.enabled=false",
                "minimal": "low",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "high",
                "max": "high",
            },
        ),
    ),
    Provider(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        quirks=_VLLM,
    ),
    Provider(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            drop=_PENALTIES | {"logit_bias", "metadata", "messages[].refusal", "cache_control"} | _OPENAI_ONLY,
            reject=_SILENT,
            rename=_own("clear_thinking", "disable_reasoning", "reasoning_format"),
            known_only=True,
            n=False,
            tool_choice=_CHOICES,
            reasoning_back="always",
            reasoning_field="reasoning",
        ),
    ),
    Provider(
        name="scaleway",
        title="Scaleway",
        base_url="https://api.scaleway.ai/v1",
        key_env=("SCW_SECRET_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=frozenset({"frequency_penalty", "logit_bias"}),
            reject=_SILENT | {"top_logprobs"},
            n=False,
            tool_choice=_CHOICES,
        ),
    ),
    Provider(
        name="sambanova",
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        key_env=("SAMBANOVA_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=_PENALTIES | {"logit_bias"},
            reject=_LOGPROBS | _SILENT,
            n=False,
            tool_choice=_CHOICES,
            content_null=False,
        ),
    ),
    Provider(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env=("XAI_API_KEY",),
        quirks=Quirks(
            drop=_ASKING | {"thinking", "cache_control"},
            reject=_SILENT,
            tool_choice=_CHOICES,
            excludes_reasoning=True,
            efforts={
                "none": "none",
                "minimal": "low",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "high",
                "max": "high",
            },
        ),
    ),
    Provider(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_env=("OPENROUTER_API_KEY",),
        quirks=Quirks(
            reject=frozenset({"functions", "function_call"}),
            developer=True,
            tool_choice=_CHOICES,
            reasoning_back="details",
            reasoning_field="reasoning",
        ),
    ),
    Provider(
        name="novita",
        title="Novita AI",
        base_url="https://api.novita.ai/openai/v1",
        key_env=("NOVITA_API_KEY",),
        quirks=_VLLM,
    ),
    Provider(
        name="ncompass",
        title="NCompass",
        base_url="https://api.ncompass.tech/v1",
        key_env=("NCOMPASS_API_KEY",),
        quirks=_VLLM,
    ),
    Provider(
        name="nscale",
        title="NScale",
        base_url="https://inference.api.nscale.com/v1",
        key_env=("NSCALE_SERVICE_TOKEN", "NSCALE_API_KEY"),
        quirks=_VLLM,
    ),
    Provider(
        name="inception",
        title="Inception",
        base_url="https://api.inceptionlabs.ai/v1",
        key_env=("INCEPTION_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            # It streams whole replacements of the text instead of deltas.
            reject=_SILENT | {"diffusing"},
            tool_choice=_CHOICES,
            efforts={
                "none": "instant",
                "minimal": "instant",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "high",
                "max": "high",
            },
        ),
    ),
    Provider(
        name="tinfoil",
        title="Tinfoil",
        base_url="https://inference.tinfoil.sh/v1",
        key_env=("TINFOIL_API_KEY",),
        quirks=_VLLM,
    ),
    Provider(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            rename={
                "seed": "random_seed",
                **_own("safe_prompt", "prompt_mode", "guardrails", "messages[].prefix"),
            },
            drop=frozenset(
                {"user", "logit_bias", "metadata", "prompt_cache_options", "prompt_cache_retention", "moderation"}
                | {"messages[].name", "messages[].refusal", "cache_control"}
            )
            | _OPENAI_ONLY - {"prompt_cache_key", "prediction"},
            reject=_LOGPROBS | _SILENT | {"modalities"},
            known_only=True,
            tool_choice=_CHOICES,
            tool_ids="mistral",
            tool_names=True,
            stream_options=False,
            content_null=False,
        ),
    ),
    Provider(
        name="fireworks",
        title="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        quirks=Quirks(max_tokens="max_tokens", reject=_SILENT, tool_choice=_CHOICES, reasoning_back="always"),
    ),
    Provider(
        name="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        key_env=("PERPLEXITY_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=frozenset({"logit_bias", "seed", "user", "metadata"}) | _OPENAI_ONLY | _ASKING,
            reject=_LOGPROBS | _SILENT - {"web_search_options"},
            alternate=True,
            tools=False,
            n=False,
            json_object=False,
        ),
    ),
    Provider(
        name="moonshot",
        title="Moonshot",
        base_url="https://api.moonshot.ai/v1",
        key_env=("MOONSHOT_API_KEY",),
        quirks=Quirks(
            drop=_OPENAI_ONLY | _ASKING,
            reject=_SILENT,
            tool_choice=_CHOICES,
            reasoning_back="tool_turns",
            content_null=False,
            efforts={
                "none": "thinking.type=disabled",
                "minimal": "low",
                "low": "low",
                "medium": "high",
                "high": "high",
                "xhigh": "max",
                "max": "max",
            },
        ),
    ),
    Provider(
        name="zai",
        title="Z.ai",
        base_url="https://api.z.ai/api/paas/v4",
        key_env=("ZAI_API_KEY", "ZHIPUAI_API_KEY"),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=_PENALTIES | {"logit_bias", "seed"} | _OPENAI_ONLY | _ASKING,
            reject=_LOGPROBS | _SILENT,
            reasoning_back="always",
            json_schema=False,
            n=False,
            tool_choice=frozenset({"auto"}),
            efforts={
                "none": "thinking.type=disabled",
                "minimal": "low",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "max",
                "max": "max",
            },
        ),
    ),
    Provider(
        name="dashscope",
        title="Qwen (DashScope)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env=("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
        # It thinks or it does not; how much is said by `thinking_budget` alone.
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=frozenset({"reasoning", "thinking"}),
            reject=_SILENT,
            tool_choice=_CHOICES,
            efforts={"none": "enable_thinking=false", "medium": "enable_thinking=true"},
        ),
    ),
    Provider(
        name="huggingface",
        title="Hugging Face",
        base_url="https://router.huggingface.co/v1",
        key_env=("HF_TOKEN",),
        quirks=_VLLM,
    ),
    Provider(
        name="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY",),
        quirks=_VLLM,
    ),
    Provider(
        name="github",
        title="GitHub Models",
        base_url="https://models.github.ai/inference",
        key_env=("GITHUB_TOKEN",),
        quirks=Quirks(drop=_FOREIGN, tool_ids="40"),
    ),
    Provider(
        name="cloudflare",
        title="Cloudflare Workers AI",
        base_url="",
        key_env=("CLOUDFLARE_API_TOKEN",),
        quirks=_VLLM,
        note="It is https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1 with your account's id.",
    ),
    Provider(
        name="azure",
        title="Azure OpenAI",
        base_url="",
        key_env=("AZURE_OPENAI_API_KEY",),
        auth="api-key",
        quirks=Quirks(max_tokens="max_completion_tokens", drop=_FOREIGN, developer=True, tool_ids="40"),
        note="It is https://RESOURCE.openai.azure.com/openai/v1; models are the names of your deployments.",
    ),
    # --- servers of one's own -----------------------------------------------------------------
    Provider(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        key_env=("VLLM_API_KEY",),
        quirks=Quirks(reject=_SILENT, reasoning_back="always", reasoning_field="reasoning"),
        local=True,
    ),
    Provider(
        name="sglang",
        title="SGLang",
        base_url="http://localhost:30000/v1",
        quirks=Quirks(reject=_SILENT, reasoning_back="always"),
        local=True,
    ),
    Provider(
        name="llamacpp",
        title="llama.cpp",
        base_url="http://localhost:8080/v1",
        quirks=Quirks(reject=_SILENT, n=False, image_urls=False),
        local=True,
    ),
    Provider(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        key_env=("OLLAMA_API_KEY",),
        quirks=Quirks(
            max_tokens="max_tokens",
            drop=frozenset({"logit_bias"}),
            reject=_SILENT,
            n=False,
            image_urls=False,
            # It ignores the member: `none` is done by sending no tools, the rest cannot be.
            tool_choice=frozenset({"auto"}),
        ),
        local=True,
    ),
    Provider(
        name="lmstudio",
        title="LM Studio",
        base_url="http://localhost:1234/v1",
        quirks=Quirks(max_tokens="max_tokens", reject=_SILENT, json_object=False, image_urls=False),
        local=True,
    ),
)

PROVIDERS: Mapping[str, Provider] = MappingProxyType({row.name: row for row in _ROWS})


def generic(name: str, base_url: str) -> Provider:
    """The row of any other OpenAI-compatible server."""
    return Provider(name=name, title=name, base_url=base_url)
