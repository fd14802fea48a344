"""The providers: one row each. A provider that needs a function is not a row but a dialect.

Base URLs, variables and quirks are each vendor's own as documented or recorded; every member
of a row can be overridden in the configuration (`[providers.NAME]`).

What does not live here: what a row is (`row.py`), the rows of clouds (`clouds.py`), models (`catalogue.json`),
protocols (`dialects/`).
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects.base import Quirks
from compatgw.providers import audio, embeddings, images
from compatgw.providers.clouds import clouds
from compatgw.providers.row import Auth, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROVIDERS", "Auth", "Provider", "generic"]

_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
# What OpenAI itself keeps or reads; no other vendor does, and strict ones refuse it.
_OPENAI_ONLY = frozenset({"store", "prediction", "service_tier", "safety_identifier", "prompt_cache_key", "verbosity"})
# Other vendors' members that OpenAI refuses; the first three are read as `reasoning_effort`.
_FOREIGN = frozenset(
    {
        "reasoning", "thinking", "enable_thinking", "include_reasoning", "chat_template_kwargs", "cache_control",
        "top_k", "top_a", "min_p", "repetition_penalty", "safe_prompt", "provider", "transforms", "route",
        "input_type", "task_type", "task", "truncate", "truncation",
    }
)  # fmt: skip
# What OpenAI alone does; others would leave it undone without a word.
_SILENT = frozenset({"audio", "functions", "function_call", "web_search_options"})
# Ways to ask for reasoning that are not understood where `reasoning_effort` is.
_ASKING = frozenset({"reasoning", "enable_thinking"})
_CHOICES = frozenset({"none", "auto", "required", "function"})
# Models that still serve the legacy completions: OpenAI's own few, and everything at most other hosts.
_INSTRUCT = frozenset({"*instruct*", "babbage-002", "davinci-002"})
_ALL = frozenset({"*"})
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
        quirks=Quirks(
            completions=_INSTRUCT,
            responses=True,
            max_tokens="max_completion_tokens",
            drop=_FOREIGN,
            developer=True,
            tool_ids="40",
        ),
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
    # --- embeddings and rerank alone ----------------------------------------------------------
    Provider(
        name="voyage",
        title="Voyage AI",
        base_url="https://api.voyageai.com/v1",
        key_env=("VOYAGE_API_KEY",),
        dialect="voyage",
    ),
    Provider(
        name="jina",
        title="Jina AI",
        base_url="https://api.jina.ai/v1",
        key_env=("JINA_API_KEY",),
        dialect="jina",
    ),
    # --- OpenAI-compatible --------------------------------------------------------------------
    Provider(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_env=("DEEPSEEK_API_KEY",),
        quirks=Quirks(
            responses=True,
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
            responses=True,
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
            audio=audio.ELDER_WITH_TEXT,
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
            audio=audio.ELDER_COMPRESSED,
            completions=_ALL,
            max_tokens="max_tokens",
            reject=_LOGPROBS | _SILENT,
            tool_choice=_CHOICES,
            embeddings=embeddings.OF_TEXT,
            efforts={
                "none": "reasoning.enabled=false",
                "minimal": "low",
                "low": "low",
                "medium": "medium",
                "high": "high",
                "xhigh": "high",
                "max": "high",
            },
            images=images.PIXELS,
        ),
    ),
    Provider(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        quirks=replace(_VLLM, completions=_ALL, images=images.BASE64_AND_EDITS),
    ),
    Provider(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        quirks=Quirks(
            completions=_ALL,
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
            responses=True,
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
            responses=True,
            drop=_ASKING | {"thinking", "cache_control"},
            reject=_SILENT,
            tool_choice=_CHOICES,
            excludes_reasoning=True,
            images=images.RATIOS,
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
            completions=_ALL,
            responses=True,
            reject=frozenset({"functions", "function_call"}),
            developer=True,
            tool_choice=_CHOICES,
            images=images.IN_CHAT,
            reasoning_back="details",
            reasoning_field="reasoning",
        ),
    ),
    Provider(
        name="novita",
        title="Novita AI",
        base_url="https://api.novita.ai/openai/v1",
        key_env=("NOVITA_API_KEY",),
        quirks=replace(_VLLM, completions=_ALL, responses=True),
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
        quirks=replace(_VLLM, images=images.BASE64),
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
            bridge="OK.",
            audio=audio.LISTENS,
            tool_names=True,
            stream_options=False,
            content_null=False,
            embeddings=embeddings.MISTRAL,
            moderated_images=False,
        ),
    ),
    Provider(
        name="fireworks",
        title="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        quirks=Quirks(
            completions=_ALL,
            responses=True,
            max_tokens="max_tokens",
            reject=_SILENT,
            tool_choice=_CHOICES,
            reasoning_back="always",
        ),
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
            embeddings=embeddings.PERPLEXITY,
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
            embeddings=replace(embeddings.AS_NUMBERS, most=64),
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
            images=images.ADDRESSES,
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
            embeddings=replace(embeddings.AS_NUMBERS, most=10),
        ),
    ),
    Provider(
        name="huggingface",
        title="Hugging Face",
        base_url="https://router.huggingface.co/v1",
        key_env=("HF_TOKEN",),
        wakes=(),
        quirks=replace(_VLLM, responses=True),
    ),
    Provider(
        name="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY",),
        quirks=replace(_VLLM, completions=_ALL, embeddings=embeddings.TO_BE_SEARCHED),
    ),
    Provider(
        name="github",
        title="GitHub Models",
        base_url="https://models.github.ai/inference",
        key_env=("GITHUB_TOKEN",),
        wakes=(),
        quirks=Quirks(drop=_FOREIGN, tool_ids="40"),
    ),
    Provider(
        name="cloudflare",
        title="Cloudflare Workers AI",
        base_url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        key_env=("CLOUDFLARE_API_TOKEN",),
        wakes=(),
        env={"account": ("CLOUDFLARE_ACCOUNT_ID",)},
        quirks=replace(_VLLM, responses=True, embeddings=embeddings.OF_TEXT),
        note="Set 'account' to your account's id, or base_url to https://api.cloudflare.com/client/v4/accounts/ID/ai/v1.",
    ),
    # --- servers of one's own -----------------------------------------------------------------
    Provider(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        key_env=("VLLM_API_KEY",),
        quirks=Quirks(
            completions=_ALL, responses=True, reject=_SILENT, reasoning_back="always", reasoning_field="reasoning"
        ),
        local=True,
    ),
    Provider(
        name="sglang",
        title="SGLang",
        base_url="http://localhost:30000/v1",
        quirks=Quirks(completions=_ALL, responses=True, reject=_SILENT, reasoning_back="always"),
        local=True,
    ),
    Provider(
        name="llamacpp",
        title="llama.cpp",
        base_url="http://localhost:8080/v1",
        quirks=Quirks(completions=_ALL, responses=True, reject=_SILENT, n=False, image_urls=False),
        local=True,
    ),
    Provider(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        key_env=("OLLAMA_API_KEY",),
        quirks=Quirks(
            completions=_ALL,
            responses=True,
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
        quirks=Quirks(
            completions=_ALL,
            responses=True,
            max_tokens="max_tokens",
            reject=_SILENT,
            json_object=False,
            image_urls=False,
        ),
        local=True,
    ),
)

_CLOUDS = clouds(
    openai=next(row.quirks for row in _ROWS if row.name == "openai"),
    vllm=_VLLM,
)
PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {row.name: images.narrowed(embeddings.narrowed(row)) for row in (*_ROWS, *_CLOUDS)}
)


def generic(name: str, base_url: str) -> Provider:
    """The row of any other OpenAI-compatible server."""
    return Provider(name=name, title=name, base_url=base_url)
