"""Which services a cassette knows: their addresses, their dialects, and the variables that point clients at them.

A cassette names a request's server by service, not by address, so that one recorded through a proxy, one recorded by a
transport and one imported from vcrpy are the same. Served, service S stands below `/S`, as the fakes do. What does not
live here: the variables themselves (`doors/environ.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


class Service(NamedTuple):
    """One vendor's interface.

    Attributes:
        address: Scheme and host; "" if every customer has another.
        dialect: "openai", "anthropic", "gemini", "cohere" or "bedrock".
        variable: The environment variable that its clients take their base URL from.
        base: What that URL has after the address.
        keys: The variables that its clients take their key from.
    """

    address: str
    dialect: str
    variable: str = ""
    base: str = ""
    keys: tuple[str, ...] = ()


SERVICES: Final[Mapping[str, Service]] = {
    "openai": Service("https://api.openai.com", "openai", "OPENAI_BASE_URL", "/v1", ("OPENAI_API_KEY",)),
    "anthropic": Service("https://api.anthropic.com", "anthropic", "ANTHROPIC_BASE_URL", "", ("ANTHROPIC_API_KEY",)),
    "gemini": Service(
        "https://generativelanguage.googleapis.com",
        "gemini",
        "GOOGLE_GEMINI_BASE_URL",
        "",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    ),
    "cohere": Service("https://api.cohere.com", "cohere", "CO_API_URL", "", ("CO_API_KEY", "COHERE_API_KEY")),
    "azure": Service("", "openai", "AZURE_OPENAI_ENDPOINT", "", ("AZURE_OPENAI_API_KEY",)),
    "groq": Service("https://api.groq.com", "openai", "GROQ_BASE_URL", "", ("GROQ_API_KEY",)),
    "mistral": Service("https://api.mistral.ai", "openai", "MISTRAL_BASE_URL", "/v1", ("MISTRAL_API_KEY",)),
    "deepseek": Service("https://api.deepseek.com", "openai", "DEEPSEEK_API_BASE", "", ("DEEPSEEK_API_KEY",)),
    "openrouter": Service("https://openrouter.ai", "openai", "OPENROUTER_API_BASE", "/api/v1", ("OPENROUTER_API_KEY",)),
    "perplexity": Service("https://api.perplexity.ai", "openai", "", "", ("PERPLEXITY_API_KEY",)),
    "voyage": Service("https://api.voyageai.com", "openai", "", "/v1", ("VOYAGE_API_KEY",)),
    "jina": Service("https://api.jina.ai", "openai", "", "/v1", ("JINA_API_KEY",)),
    # Their address is that of a region.
    "bedrock": Service("", "bedrock", "", "", ("AWS_BEARER_TOKEN_BEDROCK",)),
    "bedrock-openai": Service("", "openai", "", "/openai/v1", ("AWS_BEARER_TOKEN_BEDROCK",)),
    "vertex-openai": Service("", "openai"),
    **{
        name: Service(address, "openai", "", base)
        for name, address, base in (
            ("xai", "https://api.x.ai", "/v1"),
            ("cerebras", "https://api.cerebras.ai", "/v1"),
            ("moonshot", "https://api.moonshot.ai", "/v1"),
            ("zai", "https://api.z.ai", "/api/paas/v4"),
            ("alibaba", "https://dashscope-intl.aliyuncs.com", "/compatible-mode/v1"),
            ("together", "https://api.together.xyz", "/v1"),
            ("fireworks", "https://api.fireworks.ai", "/inference/v1"),
            ("huggingface", "https://router.huggingface.co", "/v1"),
            ("nvidia", "https://integrate.api.nvidia.com", "/v1"),
            ("github", "https://models.github.ai", "/inference"),
            ("sambanova", "https://api.sambanova.ai", "/v1"),
            ("ollama", "http://localhost:11434", "/v1"),
            ("vllm", "http://localhost:8000", "/v1"),
            ("sglang", "http://localhost:30000", "/v1"),
            ("llamacpp", "http://localhost:8080", "/v1"),
            ("lmstudio", "http://localhost:1234", "/v1"),
        )
    },
}
# Other names of the same servers.
_ALIASES: Final = {"https://api.cohere.ai": "cohere", "https://eu.api.openai.com": "openai"}
_BEDROCK: Final = re.compile(r"https://bedrock-runtime\.[a-z0-9-]+\.amazonaws\.com")
_VERTEX: Final = re.compile(r"https://(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com")
_AZURE: Final = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
# What needs no escape in a path.
PATH_SAFE: Final = "/:@!$&'()*+,;=~"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def dialect_of(service: str) -> str:
    """The dialect that a service speaks; a server that is not known is taken to speak OpenAI's."""
    known = SERVICES.get(service)
    return "openai" if known is None else known.dialect


def service_at(url: str) -> tuple[str, str]:
    """The service that a URL is of, and the path on it.

    `https://api.openai.com/v1/models?a=b` is ("openai", "/v1/models"); a server that is not known is named by its
    address: ("http://127.0.0.1:8080", "/v1/models").
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    address = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
    path = parts.path or "/"
    if address.endswith(_AZURE):
        return "azure", path
    if _BEDROCK.fullmatch(address):
        return "bedrock-openai" if path.startswith("/openai/") else "bedrock", path
    if _VERTEX.fullmatch(address) and "/endpoints/openapi/" in path:
        return "vertex-openai", path
    for name, service in SERVICES.items():
        # What answers on a port of this machine may be anything.
        if service.address == address and parts.scheme == "https":
            return name, path
    return _ALIASES.get(address, address), path


def origin_of(service: str) -> str:
    """The address of a service: the inverse of `service_at`, but for Azure, which has one for each customer."""
    known = SERVICES.get(service)
    if known is None:
        return service
    return known.address or f"https://{service}.example"


def upstream_url(service: str, path: str, environment: Mapping[str, str]) -> str:
    """Where a request for `path` on a service really goes, by the addresses that the environment names.

    Args:
        service: A name, or an address.
        path: On the service's own server; with its query, if it has one.
        environment: As the user has it; a base URL in it comes before the vendor's own address: the variable of the
            vendor's clients, or `NAME_BASE_URL` for the service `name`.

    Raises:
        LookupError: Nothing says where the service is.
    """
    if "://" in service:
        return service.rstrip("/") + path
    known = SERVICES.get(service, Service("", "openai"))
    variables = (known.variable, f"{service.upper().replace('-', '_')}_BASE_URL")
    if base := next((environment[name] for name in variables if environment.get(name)), "").rstrip("/"):
        if path.startswith(f"{known.base}/"):
            return base + path.removeprefix(known.base)
        parts = urlsplit(base)
        return f"{parts.scheme}://{parts.netloc}{path}"
    if not known.address:
        raise LookupError(f"where {service} stands is not known; set {variables[0] or variables[1]} to its address")
    return known.address + path
