"""Which environment variables point applications at an address, and which would lead them past it.

Every official SDK reads its base URL and its key from the environment when a client is made; so do
LangChain and LiteLLM. An application that is started, or makes its clients, under these variables is
redirected without a change to it.

Two SDKs read some of it when they are imported, and keep it: `frozen` finds where.

What does not live here: setting them (`plugin.py`), what is served at the address.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, MutableMapping
    from types import ModuleType


class _Vendor(NamedTuple):
    # Variable, and what stands between the vendor's own address and what the variable's reader adds.
    addresses: Mapping[str, str]
    keys: tuple[str, ...]
    fixed: Mapping[str, str] = {}


_VENDORS: Mapping[str, _Vendor] = {
    # The second name is LangChain's and LiteLLM's.
    "openai": _Vendor({"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": "/v1"}, ("OPENAI_API_KEY",)),
    "anthropic": _Vendor({"ANTHROPIC_BASE_URL": ""}, ("ANTHROPIC_API_KEY",)),
    "gemini": _Vendor({"GOOGLE_GEMINI_BASE_URL": ""}, ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    "cohere": _Vendor({"CO_API_URL": ""}, ("CO_API_KEY", "COHERE_API_KEY")),
    # With a key of each, openai's module-level client asks which of the two is meant.
    "azure": _Vendor(
        {"AZURE_OPENAI_ENDPOINT": ""},
        ("AZURE_OPENAI_API_KEY",),
        {"OPENAI_API_VERSION": "2024-10-21", "OPENAI_API_TYPE": "openai"},
    ),
    # The vendor's SDK adds `/openai/v1` itself; LiteLLM does not.
    "groq": _Vendor({"GROQ_BASE_URL": "", "GROQ_API_BASE": "/openai/v1"}, ("GROQ_API_KEY",)),
    # Mistral's own SDK reads the key alone; these are LangChain's and LiteLLM's.
    "mistral": _Vendor({"MISTRAL_BASE_URL": "/v1", "MISTRAL_API_BASE": "/v1"}, ("MISTRAL_API_KEY",)),
    "deepseek": _Vendor({"DEEPSEEK_API_BASE": ""}, ("DEEPSEEK_API_KEY",)),
    "openrouter": _Vendor({"OPENROUTER_API_BASE": "/api/v1"}, ("OPENROUTER_API_KEY",)),
    "perplexity": _Vendor({}, ("PERPLEXITY_API_KEY", "PPLX_API_KEY", "PERPLEXITYAI_API_KEY")),
}
# What changes where an SDK goes, or as whom, whatever the variables above say.
_ESCAPES = (
    *("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_CUSTOM_HEADERS"),
    *("OPENAI_API_TYPE", "OPENAI_API_VERSION", "OPENAI_PROXY", "AZURE_OPENAI_AD_TOKEN"),
    *("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_PROFILE", "ANTHROPIC_CONFIG_DIR"),
    *("ANTHROPIC_IDENTITY_TOKEN", "ANTHROPIC_IDENTITY_TOKEN_FILE", "ANTHROPIC_FEDERATION_RULE_ID"),
    *("ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_SERVICE_ACCOUNT_ID", "ANTHROPIC_WORKSPACE_ID", "ANTHROPIC_SCOPE"),
    *("ANTHROPIC_BEDROCK_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL", "ANTHROPIC_FOUNDRY_BASE_URL"),
    *("ANTHROPIC_FOUNDRY_API_KEY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_BEDROCK_BASE_URL"),
    *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_VERTEX_BASE_URL"),
    *("GOOGLE_GENAI_API_VERSION", "GOOGLE_GENAI_CLIENT_MODE"),
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

VENDORS: tuple[str, ...] = tuple(_VENDORS)


class Redirect(NamedTuple):
    """A change of environment variables.

    Attributes:
        set: Variable to its new value.
        unset: Variables that must not be there; none of them is in `set`.
    """

    set: dict[str, str]
    unset: tuple[str, ...]


class Frozen(NamedTuple):
    """Something that an SDK took from the environment once and for all, as an entry of a mapping.

    Attributes:
        where: The mapping.
        key: The entry.
        variable: What it was read from; None for a client that was made from several, to be made anew.
    """

    where: MutableMapping[str, object]
    key: str
    variable: str | None

    def value(self, environment: Mapping[str, str]) -> str | None:
        """What the entry would be if it were read now."""
        return None if self.variable is None else environment.get(self.variable)


def frozen(modules: Mapping[str, ModuleType]) -> list[Frozen]:
    """What the SDKs among `modules` (such as `sys.modules`) keep from the environment that they were imported in.

    Cohere's clients have their address as a default argument; openai's module-level client is made once.
    """
    found: list[Frozen] = []
    for name, classes in _DEFAULTS.items():
        for kind in classes:
            made = getattr(modules.get(name), kind, None)
            defaults = None if made is None else getattr(made.__init__, "__kwdefaults__", None)
            if defaults and "base_url" in defaults:
                found.append(Frozen(defaults, "base_url", "CO_API_URL"))
    module = modules.get("openai")
    if module is not None:
        names = {"api_type": "OPENAI_API_TYPE", "api_version": "OPENAI_API_VERSION", "_client": None}
        found += [Frozen(vars(module), key, variable) for key, variable in names.items() if key in vars(module)]
    return found


_DEFAULTS = {"cohere.client": ("Client", "AsyncClient"), "cohere.client_v2": ("ClientV2", "AsyncClientV2")}


def environ(origin: str, keys: Mapping[str, str], *, current: Mapping[str, str] | None = None) -> Redirect:
    """The change that points applications at `origin`, where vendor V is served below `origin/V`.

    Variables of vendors that are not named are unset, so that a call to one of them fails for want of a key
    rather than leave the machine with a real one.

    Args:
        origin: Scheme, host, port, and a path if there is one.
        keys: Vendor (one of `VENDORS`) to the key that is accepted there.
        current: The environment as it is, for the proxy exceptions that stay. Default: none.

    Raises:
        ValueError: A vendor is not known.
    """
    if unknown := sorted(set(keys) - set(_VENDORS)):
        raise ValueError(f"no variables are known for {', '.join(unknown)}; there are some for {', '.join(VENDORS)}")
    base = origin.rstrip("/")
    new: dict[str, str] = {}
    known: list[str] = []
    for name, vendor in _VENDORS.items():
        # A key for a vendor that cannot be redirected would only let the call leave.
        if name in keys and vendor.addresses:
            new |= {variable: f"{base}/{name}{path}" for variable, path in vendor.addresses.items()}
            new |= dict.fromkeys(vendor.keys, keys[name])
            new |= vendor.fixed
        known += [*vendor.addresses, *vendor.keys]
    # A proxy may be what the machine reaches the world by; this machine it must not be asked for.
    for variable in ("NO_PROXY", "no_proxy"):
        there = [one.strip() for one in (current or {}).get(variable, "").split(",") if one.strip()]
        new[variable] = ",".join([*there, *(host for host in _LOOPBACK if host not in there)])
    unset = tuple(sorted({*known, *_ESCAPES} - set(new)))
    return Redirect(new, unset)


def exports(change: Redirect, wanted: Collection[str] | None = None) -> list[str]:
    """Lines for a shell, sorted: the variables that `change` sets, or those of `wanted`."""
    shown = {name: value for name, value in change.set.items() if wanted is None or name in wanted}
    return [f"export {name}={shlex.quote(value)}" for name, value in sorted(shown.items())]
