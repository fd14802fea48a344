"""Settings: one frozen value out of keyword arguments, environment, file and defaults, in that order.

    Gateway(config="compatgw.toml", unsupported="drop")      keyword wins
    COMPATGW_PROVIDERS__OPENAI__BASE_URL=http://...          over environment
    [providers.openai] base_url = "http://..."               over the file
                                                             over the default

A variable is `COMPATGW_` and the path of the setting joined by `__`; its value is read as
TOML where it is TOML and as a string otherwise. Provider keys are also found under their
usual names (`OPENAI_API_KEY`, ...). Secrets are `SecretStr` here: no repr and no error shows one.
A value `secret:NAME` is what the source of secrets has under that name: the host's own callable, or the
variable NAME.

What does not live here: the sections (`sections.py`), which providers exist (`providers/table.py`), where a value
came from (`origins.py`), what the settings do.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, with_config

from compatgw.sections import (
    MIB,
    STRICT,
    BreakerSettings,
    CacheSettings,
    ConsoleSettings,
    DocsSettings,
    FetchSettings,
    GuardrailSettings,
    IdempotencySettings,
    KeySettings,
    LangfuseSettings,
    ModelSettings,
    MoneySettings,
    OidcSettings,
    PlanSettings,
    PromptSettings,
    ProviderSettings,
    ReasoningSettings,
    ResponsesSettings,
    RetrySettings,
    StateSettings,
    TelemetrySettings,
    TimeoutSettings,
    VisionSettings,
)

PREFIX = "COMPATGW_"
FILE = "compatgw.toml"
# Read before there are settings, or by somebody else.
_NOT_SETTINGS = (
    "COMPATGW_CONFIG", "COMPATGW_RECORDINGS", "COMPATGW_TESTING", "COMPATGW_BROWSER", "COMPATGW_NODE_MODULES",
)  # fmt: skip


_SECRET = re.compile(r"secret:([\w./@-]+)")
# What people write there is text for models.
_NO_SECRETS = frozenset({"prompts"})

SecretSource = Callable[[str], str | None]
"""A source of secrets: the one of a name, None where it has none of that name."""


class ConfigError(ValueError):
    """A setting is wrong; the message names it, where it was set, and what it takes.

    Args:
        message: The sentence.
        path: The setting, where one is meant: names of tables and members, numbers in lists.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def _scopes() -> dict[str, list[str]]:
    return {"claude": ["anthropic"], "openai": ["openai"], "gemini": ["gemini"], "deepseek": ["deepseek"]}


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one gateway.

    Attributes:
        name: The gateway's name: `owned_by` of its codenames.
        providers: By name. Without any, every known provider whose key is in the environment.
        models: By name: `"provider/model"`, a list of such, or a table of `ModelSettings`.
        keys: Who may call; strings or tables of `KeySettings`.
        unsupported: What happens to members that a model cannot carry: `hints` leaves out what
            only tunes the answer and refuses the rest, `drop` leaves out all, `reject` refuses all.
        echo_model: `model` of an answer is the id that was asked for, not the provider's own.
        on_malformed_event: What an event of an upstream's stream does that cannot be read: `fail` ends the stream
            with an error, `skip` leaves it out of the answer, which is counted and logged.
        streaming: False answers 501 to `stream: true`.
        transport: `aiohttp`, `httpx`, or `auto` (aiohttp where it is installed).
        max_body: Largest request body, bytes.
        max_upload: Largest form with files, bytes; these wait on disk, not in memory.
        max_answer: Largest answer that is not streamed, bytes.
        max_in_flight: Calls at one time; more are refused with 503 at once.
        timeouts: Bounds of every wait.
        retries: How failed attempts are repeated.
        breaker: When a model at a provider is left alone for a while.
        drain: Seconds for which a stream is still read when its client has left, to learn what it came to;
            0 ends the call upstream at once.
        shutdown_grace: Seconds that calls have for their end when the process stops; those that are left then are
            told so, inside a stream by an error event. Below the 10 that `docker stop` waits.
        cache: Complete answers, kept for identical requests.
        idempotency: The header `Idempotency-Key`.
        docs: The pages that anybody may read.
        console: The pages that operators manage the gateway with.
        prompts: Templates by name; one version, or a list of them.
        langfuse: Further templates.
        guardrails: What requests and answers are looked at for.
        vision: Images for models that see none.
        fetch: Files that requests link to.
        responses: Responses that can be gone on with.
        reasoning: What models think, for clients that do not send it back.
        state: Where records and counters are kept.
        money: What calls cost.
        telemetry: What is told of calls to whoever watches.
        plans: Limits by name, beside `starter`, `professional` and `enterprise`.
        oidc: Issuers whose tokens are taken beside keys.
        scopes: First path segment to the providers that it shows (`/claude/v1/...`).
        hosts: Host header to a scope (`claude.example.com` to `claude`).
        cors_origins: Origins that browsers may call from; `["*"]` for any. Default: none.
        status_upstreams: `/api/status` names the upstreams to anybody.
    """

    name: str = "compatgw"
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    models: dict[str, str | Annotated[list[str], Field(min_length=1)] | ModelSettings] = field(default_factory=dict)
    keys: list[SecretStr | KeySettings] = field(default_factory=list)
    unsupported: Literal["hints", "drop", "reject"] = "hints"
    echo_model: bool = False
    on_malformed_event: Literal["fail", "skip"] = "fail"
    streaming: bool = True
    transport: Literal["auto", "aiohttp", "httpx"] = "auto"
    max_body: Annotated[int, Field(ge=1024)] = 32 * MIB
    max_upload: Annotated[int, Field(ge=1024)] = 100 * MIB
    max_answer: Annotated[int, Field(ge=1024)] = 64 * MIB
    max_in_flight: Annotated[int, Field(ge=1)] = 1000
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)
    retries: RetrySettings = field(default_factory=RetrySettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    drain: Annotated[float, Field(ge=0, le=300)] = 0.0
    shutdown_grace: Annotated[float, Field(ge=0, le=3600)] = 8.0
    cache: CacheSettings = field(default_factory=CacheSettings)
    idempotency: IdempotencySettings = field(default_factory=IdempotencySettings)
    docs: DocsSettings = field(default_factory=DocsSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    prompts: dict[str, PromptSettings | list[PromptSettings]] = field(default_factory=dict)
    langfuse: LangfuseSettings | None = None
    guardrails: GuardrailSettings = field(default_factory=GuardrailSettings)
    vision: VisionSettings = field(default_factory=VisionSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    responses: ResponsesSettings = field(default_factory=ResponsesSettings)
    reasoning: ReasoningSettings = field(default_factory=ReasoningSettings)
    state: StateSettings = field(default_factory=StateSettings)
    money: MoneySettings = field(default_factory=MoneySettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    plans: dict[str, PlanSettings] = field(default_factory=dict)
    oidc: list[OidcSettings] = field(default_factory=list)
    scopes: dict[str, list[str]] = field(default_factory=_scopes)
    hosts: dict[str, str] = field(default_factory=dict)
    cors_origins: list[str] = field(default_factory=list)
    status_upstreams: bool = False


@cache
def _adapter() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def load(
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    secret: SecretSource | None = None,
) -> Settings:
    """The settings of a gateway.

    Args:
        config: Path of a TOML file, or its content as a mapping, or None.
        overrides: Keyword arguments; a member that is None was not given.
        environ: The environment.
        secret: What `secret:NAME` stands for. Default: the variable NAME.

    Raises:
        ConfigError: A file that cannot be read, a setting that is wrong, or a secret that is not there.
    """
    source, values = from_file(config)
    merged = _merge(_merge(values, from_environ(environ)), {k: v for k, v in overrides.items() if v is not None})
    merged = {
        name: value if name in _NO_SECRETS else _opened(value, (name,), secret or environ.get)
        for name, value in merged.items()
    }
    if isinstance(merged.get("keys"), str):
        merged["keys"] = [key.strip() for key in merged["keys"].split(",") if key.strip()]
    try:
        return _adapter().validate_python(merged)
    except ValidationError as error:
        location, problem = _problem(error)
        name = ".".join(str(part) for part in location)
        variable = PREFIX + "__".join(str(part).upper() for part in location)
        raise ConfigError(
            f"Setting '{name}': {problem}. Looked in keyword arguments, {variable} and {source}.",
            tuple(location),
        ) from None


def secret_in(value: object) -> str:
    """The NAME of a value that is `secret:NAME`, "" for another."""
    found = _SECRET.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found is not None else ""


def _opened(value: Any, path: tuple[str | int, ...], secret: SecretSource) -> Any:
    """`value` with what `secret:NAME` stands for in it."""
    if isinstance(value, dict):
        return {name: _opened(each, (*path, name), secret) for name, each in value.items()}
    if isinstance(value, list):
        return [_opened(each, (*path, number), secret) for number, each in enumerate(value)]
    if not (name := secret_in(value)):
        return value
    where = f"Setting '{'.'.join(map(str, path))}'"
    try:
        found: object = secret(name)
    except Exception as error:  # noqa: BLE001 - the host's own; its words may hold what must not be shown
        raise ConfigError(
            f"{where}: the source of secrets failed for '{name}' with {type(error).__name__}. Mend it there.", path
        ) from None
    if not isinstance(found, str) or not found:
        raise ConfigError(
            f"{where}: there is no secret '{name}'. Set the variable {name}, or give Gateway a secret_source= that "
            "knows it.",
            path,
        )
    return found


def _problem(error: ValidationError) -> tuple[list[int | str], str]:
    """Where the first mistake is, and what; of a union the branch that came the farthest."""
    found = [
        ([part for part in each["loc"] if not _is_branch(part)], each["msg"])
        for each in error.errors(include_url=False, include_input=False)
    ]
    first = found[0][0]
    return max((each for each in found if each[0][: len(first)] == first), key=lambda each: len(each[0]))


def _is_branch(part: int | str) -> bool:
    """True for what pydantic adds to a location to name a branch of a union."""
    known = {"str", "secret-str", "ModelSettings", "KeySettings", "PlanSettings", "PromptSettings", "GuardTable"}
    return isinstance(part, str) and (part in known or part.startswith(("lax-or-strict[", "list[")))


def from_file(config: str | os.PathLike[str] | Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """What `config` is called, and its values.

    Raises:
        ConfigError: It cannot be read, or is no TOML.
    """
    if config is None:
        return "no file", {}
    if not isinstance(config, (str, os.PathLike)):
        return "the mapping given as config", dict(config)
    path = Path(config)
    try:
        return str(path), tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration file {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration file {path} is not valid TOML: {error}.") from None


def from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that variables hold.

    Raises:
        ConfigError: Two of them are at odds.
    """
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
            continue
        path = name[len(PREFIX) :].lower().split("__")
        place = values
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ConfigError(f"The variable {name} sets a part of something that another variable sets whole.")
        place[path[-1]] = _value_of(text)
    return values


def _value_of(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, (bool, int, float, list, dict)) else text


def _merge(low: dict[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(low)
    for name, value in high.items():
        below = out.get(name)
        out[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return out
