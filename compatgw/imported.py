"""What other programs call providers and their addresses, and what that is here. Pure.

What does not live here: whole configurations (`importing.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from compatgw.dialects.base import Quirks
from compatgw.providers.table import PROVIDERS

_REFERENCE = "os.environ/"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]*")

# LiteLLM's names that are not ours.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "cohere_chat": "cohere",
        "together_ai": "together",
        "fireworks_ai": "fireworks",
        "nvidia_nim": "nvidia",
        "jina_ai": "jina",
        "lm_studio": "lmstudio",
        "ollama_chat": "ollama",
        "hosted_vllm": "vllm",
        "azure_text": "azure",
        "text-completion-openai": "openai",
        "custom_openai": "openai",
        "openai_like": "openai",
        "vertex_ai_beta": "vertex_ai",
    }
)
# Without a provider before it, a model's name says whose it is.
_BEGINNINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e", "whisper", "tts-", "omni-"), "openai"),
    (("claude-",), "anthropic"),
    (("command", "embed-english", "embed-multilingual", "rerank-"), "cohere"),
    (("gemini-",), "vertex_ai"),
    (("mistral-", "codestral", "ministral"), "mistral"),
    (("deepseek-",), "deepseek"),
)
COMPATIBLE = "compatible"
"""The name of a server that only speaks OpenAI's protocol."""
OFFICIAL: Mapping[str, str] = MappingProxyType({"openai": "https://api.openai.com"})
"""Providers whose name people give to any server of that protocol, and where they themselves are."""
# Models at Vertex AI that answer in OpenAI's protocol, and have no slash in their ids.
_OPEN_MODELS = ("mistral", "codestral", "jamba")
# Where an address of somebody else ends, and ours goes on.
_ENDINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "azure": ("/openai", "/openai/v1"),
        "anthropic": ("/v1", "/v1"),
        "ollama": ("/v1", "/v1"),
    }
)
ENVIRONMENT: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "OPENAI_BASE_URL": ("openai", "base_url", "openai"),
        "OPENAI_API_BASE": ("openai", "base_url", "openai"),
        "OPENAI_ORG_ID": ("openai", "OpenAI-Organization", "openai"),
        "OPENAI_ORGANIZATION": ("openai", "OpenAI-Organization", "openai"),
        "OPENAI_PROJECT_ID": ("openai", "OpenAI-Project", "openai"),
        "ANTHROPIC_BASE_URL": ("anthropic", "base_url", "anthropic"),
        "AZURE_API_KEY": ("azure", "api_key", "azure"),
        "AZURE_API_BASE": ("azure", "base_url", "azure"),
        "TOGETHERAI_API_KEY": ("together", "api_key", "together"),
        "FIREWORKS_AI_API_KEY": ("fireworks", "api_key", "fireworks"),
        "NVIDIA_NIM_API_KEY": ("nvidia", "api_key", "nvidia"),
        "JINA_AI_API_KEY": ("jina", "api_key", "jina"),
        "HUGGINGFACE_API_KEY": ("huggingface", "api_key", "huggingface"),
        "PERPLEXITYAI_API_KEY": ("perplexity", "api_key", "perplexity"),
        "OLLAMA_API_BASE": ("ollama", "base_url", "ollama"),
        "HOSTED_VLLM_API_BASE": ("vllm", "base_url", "vllm"),
        "LM_STUDIO_API_BASE": ("lmstudio", "base_url", "lmstudio"),
    }
)
"""Variables of other programs: the provider, what they say of it, and whose addresses are written so."""


class Found(NamedTuple):
    """A model of LiteLLM's.

    Attributes:
        row: The name of its provider here; of one that has no row, LiteLLM's.
        model: Its id at that provider.
        region: That its name holds, "" for none.
    """

    row: str
    model: str
    region: str = ""


def provider_of(name: str, params: Mapping[str, Any]) -> Found | None:
    """Whose model `name` is; None when nothing says so.

    Args:
        name: Such as `azure/gpt-4o`.
        params: `litellm_params` that it stands in.
    """
    own = str(params.get("custom_llm_provider") or "")
    prefix, slash, model = name.partition("/")
    if own and prefix != own:
        prefix, model = own, name
    elif not slash:
        prefix, model = _guessed(name), name
    prefix = _NAMES.get(prefix, prefix)
    url = params.get("api_base") or params.get("base_url")
    if (reader := _READERS.get(prefix)) is not None:
        return reader(model)
    if prefix in PROVIDERS:
        return Found(prefix, model)
    if not url:
        return None
    if not prefix or not _WORD.fullmatch(prefix):
        return Found("custom", name)
    return Found(prefix, model)


def _guessed(name: str) -> str:
    return next((provider for beginnings, provider in _BEGINNINGS if name.startswith(beginnings)), "")


def _of_vertex(model: str) -> Found:
    if model.startswith("claude"):
        return Found("vertex-anthropic", model)
    open_model = "/" in model or model.startswith(_OPEN_MODELS)
    return Found("vertex-openai" if open_model else "vertex", model)


def _of_bedrock(model: str) -> Found:
    region = ""
    parts = model.split("/")
    while len(parts) > 1 and (parts[0] in ("converse", "invoke", "converse_like") or _REGION.fullmatch(parts[0])):
        region = parts[0] if _REGION.fullmatch(parts[0]) else region
        parts.pop(0)
    return Found("bedrock", "/".join(parts), region)


# Providers whose models are at more than one of ours, or hold more than an id.
_READERS: Mapping[str, Callable[[str], Found]] = MappingProxyType({"vertex_ai": _of_vertex, "bedrock": _of_bedrock})


def base_url(row: str, url: object) -> str:
    """The address of another program as `base_url` has it here; a reference to a variable stays one."""
    if reference(url):
        return secret_of(url)
    text = str(url).rstrip("/")
    if row in _ENDINGS:
        known, wanted = _ENDINGS[row]
        if not text.endswith(wanted):
            text = text.removesuffix(known) + wanted
    return text


def reference(value: object) -> str:
    """The variable that `os.environ/NAME` names, "" for another value."""
    return value[len(_REFERENCE) :] if isinstance(value, str) and value.startswith(_REFERENCE) else ""


def secret_of(value: object) -> str:
    """A value, or `secret:NAME` for a reference to a variable."""
    named = reference(value)
    return f"secret:{named}" if named else str(value)


def quirks_of(quirks: Quirks) -> dict[str, Any]:
    """The members of `quirks` that differ from those of a plain server, as settings have them."""
    plain = Quirks()
    return {
        each.name: _plain(getattr(quirks, each.name))
        for each in fields(quirks)
        if getattr(quirks, each.name) != getattr(plain, each.name) and getattr(quirks, each.name) is not None
    }


def _plain(value: object) -> Any:
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _plain(getattr(value, each.name))
            for each in fields(value)
            if getattr(value, each.name) is not None
        }
    return value
