"""Settings: one frozen value out of keyword arguments, environment, file and defaults, in that order.

    Gateway(config="compatgw.toml", unsupported="drop")      keyword wins
    COMPATGW_PROVIDERS__OPENAI__BASE_URL=http://...          over environment
    [providers.openai] base_url = "http://..."               over the file
                                                             over the default

A variable is `COMPATGW_` and the path of the setting joined by `__`; its value is read as
TOML where it is TOML and as a string otherwise. Provider keys are also found under their
usual names (`OPENAI_API_KEY`, ...). Secrets are `SecretStr` here: no repr and no error shows one.

What does not live here: which providers exist (`providers/table.py`), what the settings do.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, with_config

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "COMPATGW_"
FILE = "compatgw.toml"
MIB = 1024 * 1024
# Read before there are settings, or by somebody else.
_NOT_SETTINGS = ("COMPATGW_CONFIG", "COMPATGW_RECORDINGS", "COMPATGW_TESTING")
_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
# Up to it, all levels of all limits are exact numbers everywhere.
Limit = Annotated[int, Field(ge=0, le=1_000_000_000)]


class ConfigError(ValueError):
    """A setting is wrong; the message names it, where it was set, and what it takes."""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """`[providers.NAME]`: what differs from the provider's row, or a server of one's own.

    Attributes:
        dialect: Protocol: `openai`, `anthropic`, `gemini`, `cohere`, `bedrock`. Default: the row's, else `openai`.
        base_url: Where its API begins, such as `http://localhost:8000/v1`.
        region: Of a cloud, such as `eu-central-1`. Default: the variable with its usual name.
        project: At Google. account: At Cloudflare, or the name of the resource at Azure. The same.
        api_version: Of Azure's deployments. The same.
        api_key: Default: the variable with the provider's usual name. At AWS `ID:SECRET` or `ID:SECRET:TOKEN`, or
            a Bedrock API key; at Google the JSON of a service account, an access token, or an API key.
        key_file: A file that holds it instead, such as that of a service account.
        api_keys: Further keys; when one is limited, the next takes over.
        auth: How the key is sent; `aws` signs, `google` gets access tokens. Default: the row's, else `bearer`.
        headers: Sent with every call.
        quirks: Members of `Quirks` that differ from the row's.
        models: Ids that this provider serves beside those of the catalogue.
        app: An ASGI application that stands in for the server, in process (keyword only).
    """

    dialect: str | None = None
    base_url: str | None = None
    region: str | None = None
    project: str | None = None
    account: str | None = None
    api_version: str | None = None
    api_key: SecretStr | None = None
    key_file: str | None = None
    api_keys: list[SecretStr] = field(default_factory=list)
    auth: Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "aws", "google", "none"] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    app: Any = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """`[models.NAME]`: a name of one's own for a model, or limits that differ.

    Attributes:
        target: `provider/model` that answers under this name. Default: the name itself.
        max_output: Most tokens that the model writes.
        context: Most tokens that it takes in.
        traits: Facts for the dialect that differ from its own table.
        price: What it costs, in the currency of `[money]`, as text: `input`, `cached_input`, `cache_write`,
            `output` and `reasoning` per million tokens, `per_image`, `per_request`, and `above`, a list of
            the same with `tokens`, from how many input tokens on. Default: the catalogue's.
    """

    target: str | None = None
    max_output: Annotated[int, Field(ge=1)] | None = None
    context: Annotated[int, Field(ge=1)] | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    price: dict[str, Any] = field(default_factory=dict)


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """`[[keys]]`: somebody who may call.

    Attributes:
        key: What the caller sends.
        name: For logs and usage; never the key itself. Keys of one name share their limits.
        models: Globs of model ids that this key may use. Default: all.
        team: Id of a team of the ledger, whose models, plan and wallet then hold, too.
        scopes: What it may call: `chat`, `embeddings`, ..., or `admin` alone. Default: all but `admin`.
        plan: Name of a plan whose limits are its own.
        requests: Calls a minute. tokens: Tokens a minute. concurrency: Calls at one time.
    """

    key: SecretStr
    name: str = "key"
    models: list[str] = field(default_factory=lambda: ["*"])
    team: str | None = None
    scopes: list[str] = field(default_factory=lambda: ["*"])
    plan: str | None = None
    requests: Limit | None = None
    tokens: Limit | None = None
    concurrency: Limit | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """`[plans.NAME]`: limits under a name; a plan of the same name in the ledger wins.

    Attributes:
        requests: Calls a minute. tokens: Tokens a minute. concurrency: Calls at one time. Default: no limit.
    """

    requests: Limit | None = None
    tokens: Limit | None = None
    concurrency: Limit | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """`[retries]`: how failed attempts are repeated.

    Attributes:
        most: Further attempts that a target may have after its first, where a call does not say.
        base: Seconds; the first pause lies between 0 and this, each next range is twice as wide.
        cap: Seconds; the widest range of a pause.
        longest_wait: Seconds; a longer `Retry-After` is not waited for.
    """

    most: Annotated[int, Field(ge=0, le=5)] = 2
    base: Annotated[float, Field(ge=0)] = 0.5
    cap: Annotated[float, Field(ge=0)] = 8.0
    longest_wait: Annotated[float, Field(ge=0)] = 20.0


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """`[breaker]`: when a model at a provider is left alone for a while. All processes have the same.

    Attributes:
        window: Seconds that are looked back over.
        least_calls: Calls in the window below which its ratio says nothing.
        ratio: Share of failures in the window that opens it.
        streak: Failures without a success between them that open it; 0: no such limit.
        open_for: Seconds that it stays open at first; each failed probe doubles them.
        longest: Most seconds that it stays open.
    """

    window: Annotated[float, Field(gt=0)] = 60.0
    least_calls: Annotated[int, Field(ge=1)] = 20
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    streak: Annotated[int, Field(ge=0)] = 5
    open_for: Annotated[float, Field(gt=0)] = 10.0
    longest: Annotated[float, Field(gt=0)] = 600.0


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """`[cache]`: complete answers, kept for identical requests of the same team.

    Attributes:
        enabled: Answers are kept at all, and identical calls at one time make one call upstream.
        ttl: Seconds for which an answer is kept when the caller does not say.
        max_entry: Bytes that one answer may have; a larger one is not kept.
        memory: Bytes of all answers together, where they are kept in memory.
    """

    enabled: bool = False
    ttl: Annotated[int, Field(ge=1, le=86_400)] = 3600
    max_entry: Annotated[int, Field(ge=1024)] = MIB
    memory: Annotated[int, Field(ge=MIB)] = 64 * MIB


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencySettings:
    """`[idempotency]`: the header `Idempotency-Key` on calls that are not streamed.

    Attributes:
        enabled: The header is heard at all.
        keep: Seconds for which the first answer is kept.
        running: Seconds after which the claim of a call ends that nobody ended: longer than a call may last.
        max_entry: Bytes that an answer may have; of a larger one only is kept that it was given.
    """

    enabled: bool = True
    keep: Annotated[float, Field(gt=0)] = 86_400.0
    running: Annotated[float, Field(gt=0)] = 330.0
    max_entry: Annotated[int, Field(ge=1024)] = 4 * MIB


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """`[fetch]`: images and files that requests link to, for upstreams that do not follow links.

    Attributes:
        mode: `public`: from public addresses. `hosts`: from the hosts in `hosts` alone. `off`: nothing.
        hosts: Globs over host names, such as `*.example.com`.
        http: Plain http is allowed beside https.
        ports: Allowed beside 443 for https and 80 for http.
        networks: Addresses that may be fetched from although they are not public, such as `10.1.0.0/16`.
        max_bytes: Of one file. max_call: Of all files of one call.
        timeout: Seconds for one file, redirects included.
    """

    mode: Literal["off", "public", "hosts"] = "public"
    hosts: list[str] = field(default_factory=list)
    http: bool = False
    ports: list[Annotated[int, Field(ge=1, le=65_535)]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    max_bytes: Annotated[int, Field(ge=1024)] = 20 * MIB
    max_call: Annotated[int, Field(ge=1024)] = 50 * MIB
    timeout: Annotated[float, Field(gt=0)] = 10.0


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesSettings:
    """`[responses]`: what `previous_response_id` goes on with, and work in the background.

    Attributes:
        keep: Seconds for which a response is kept.
        max_entry: Bytes of one response with its conversation; a larger one is not kept.
        memory: Bytes of all of them, where they are kept in memory.
    """

    keep: Annotated[float, Field(gt=0)] = 30 * 86_400.0
    max_entry: Annotated[int, Field(ge=1024)] = 4 * MIB
    memory: Annotated[int, Field(ge=MIB)] = 64 * MIB


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningSettings:
    """`[reasoning]`: thoughts that models sign and want back, for clients that drop them.

    Attributes:
        keep: Seconds for which they are kept; 0: they are not.
        memory: Bytes of all of them, where they are kept in memory.
    """

    keep: Annotated[float, Field(ge=0)] = 86_400.0
    memory: Annotated[int, Field(ge=MIB)] = 32 * MIB


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSettings:
    """`[vision]`: images for models that see none are put into words by one that does.

    Attributes:
        model: That describes them; by any name that calls have. Default: none, and such a model refuses images.
        prompt: What it is asked.
        max_tokens: Most that it writes of one image.
        parallel: Images of one call that are described at one time.
        keep: Seconds for which a description is kept.
        memory: Bytes of all of them, where they are kept in memory.
    """

    model: str | None = None
    prompt: str = (
        "Describe this image for somebody who cannot see it. Write down all text in it exactly. "
        "Say what is shown, where, and how it belongs together. Do not guess what cannot be seen."
    )
    max_tokens: Annotated[int, Field(ge=16)] = 1024
    parallel: Annotated[int, Field(ge=1, le=16)] = 4
    keep: Annotated[float, Field(gt=0)] = 86_400.0
    memory: Annotated[int, Field(ge=MIB)] = 8 * MIB


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """`[state]`: where records and counters are kept.

    Attributes:
        ledger: `sqlite:///compatgw.db` or `postgresql://user:password@host/name`: teams, keys, wallets,
            usage. Default: none; `compatgw serve` and the commands for keys then use `sqlite:///compatgw.db`.
        counters: `redis://host:6379/0`, `rediss://...`, `unix:///path`: limits shared by all processes.
            Default: in memory, of this process.
        on_counters_loss: While that server is away: `local` limits of this process, or `refuse` with 503.
        key_prefix: What minted keys begin with.
        old_key_prefixes: What keys that were minted before begin with.
        key_ring: Seals teams' own provider keys: `id:` and 32 bytes in base64, the newest first, joined by commas.
        usage_days: Days that usage rows are kept. audit_days: Days that the audit log is kept. 0: for ever.
    """

    ledger: SecretStr | None = None
    counters: SecretStr | None = None
    on_counters_loss: Literal["local", "refuse"] = "local"
    key_prefix: Annotated[str, Field(min_length=1, max_length=32)] = "cgw-"
    old_key_prefixes: list[str] = field(default_factory=list)
    key_ring: SecretStr | None = None
    usage_days: Annotated[int, Field(ge=0)] = 400
    audit_days: Annotated[int, Field(ge=0)] = 0


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySettings:
    """`[money]`: what calls cost.

    Attributes:
        currency: Of prices, wallets and budgets.
        unpriced: A model without a price, called by a team with a wallet or a key with a budget: `refuse`
            with 403 `model_not_priced`, or `free`.
        output_cap: Output tokens that are reserved for a call that names no maximum; of token limits, also
            the most for one that does.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,8}$")] = "USD"
    unpriced: Literal["refuse", "free"] = "refuse"
    output_cap: Annotated[int, Field(ge=1)] = 4096


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """`[[oidc]]`: an issuer whose tokens are taken beside keys.

    Attributes:
        issuer: Exactly as in the tokens' `iss`.
        audience: One of these must be in `aud`.
        jwks_url: Where its keys are. Default: as `<issuer>/.well-known/openid-configuration` says.
        algorithms: That tokens may be signed with; only ones with public keys.
        leeway: Seconds that clocks may differ.
        team_claim: The claim that names the team; dots lead into objects.
        teams: Value of that claim to the id of a team. Default: the value is the id.
        team: The team of tokens without that claim. Default: they are refused.
        scopes: What callers may call. models: Globs of model ids that they may use.
        plan: Name of a plan whose limits each subject has of its own.
    """

    issuer: str
    audience: Annotated[list[str], Field(min_length=1)]
    jwks_url: str | None = None
    algorithms: list[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
    ] = field(default_factory=lambda: ["RS256", "ES256"])
    leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    team_claim: str = "team"
    teams: dict[str, str] = field(default_factory=dict)
    team: str | None = None
    scopes: list[str] = field(default_factory=lambda: ["*"])
    models: list[str] = field(default_factory=lambda: ["*"])
    plan: str | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings:
    """`[timeouts]`, in seconds.

    Attributes:
        connect: Until the connection stands.
        total: The whole of a call that is not streamed.
        attempt: One attempt of such a call at a target that has others behind it. Default: as long as is left.
            Streams share the time until their first byte equally.
        first_byte: Until a stream's first byte.
        between: From one chunk of a stream to the next.
        send: Until a client takes what it is sent.
        body: From one piece of a request's body to the next.
    """

    connect: Annotated[float, Field(gt=0)] = 10.0
    total: Annotated[float, Field(gt=0)] = 60.0
    attempt: Annotated[float, Field(gt=0)] | None = None
    first_byte: Annotated[float, Field(gt=0)] = 60.0
    between: Annotated[float, Field(gt=0)] = 60.0
    send: Annotated[float, Field(gt=0)] = 30.0
    body: Annotated[float, Field(gt=0)] = 30.0


def _scopes() -> dict[str, list[str]]:
    return {"claude": ["anthropic"], "openai": ["openai"], "gemini": ["gemini"], "deepseek": ["deepseek"]}


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one gateway.

    Attributes:
        name: The gateway's name: `owned_by` of its codenames.
        providers: By name. Without any, every known provider whose key is in the environment.
        models: By name: `"provider/model"`, or a table of `ModelSettings`.
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
        cache: Complete answers, kept for identical requests.
        idempotency: The header `Idempotency-Key`.
        vision: Images for models that see none.
        fetch: Files that requests link to.
        responses: Responses that can be gone on with.
        reasoning: What models think, for clients that do not send it back.
        state: Where records and counters are kept.
        money: What calls cost.
        plans: Limits by name, beside `starter`, `professional` and `enterprise`.
        oidc: Issuers whose tokens are taken beside keys.
        scopes: First path segment to the providers that it shows (`/claude/v1/...`).
        hosts: Host header to a scope (`claude.example.com` to `claude`).
        cors_origins: Origins that browsers may call from; `["*"]` for any. Default: none.
        status_upstreams: `/api/status` names the upstreams to anybody.
    """

    name: str = "compatgw"
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    models: dict[str, str | ModelSettings] = field(default_factory=dict)
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
    cache: CacheSettings = field(default_factory=CacheSettings)
    idempotency: IdempotencySettings = field(default_factory=IdempotencySettings)
    vision: VisionSettings = field(default_factory=VisionSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    responses: ResponsesSettings = field(default_factory=ResponsesSettings)
    reasoning: ReasoningSettings = field(default_factory=ReasoningSettings)
    state: StateSettings = field(default_factory=StateSettings)
    money: MoneySettings = field(default_factory=MoneySettings)
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
) -> Settings:
    """The settings of a gateway.

    Args:
        config: Path of a TOML file, or its content as a mapping, or None.
        overrides: Keyword arguments; a member that is None was not given.
        environ: The environment.

    Raises:
        ConfigError: A file that cannot be read, or a setting that is wrong.
    """
    source, values = _from_file(config)
    merged = _merge(_merge(values, _from_environ(environ)), {k: v for k, v in overrides.items() if v is not None})
    if isinstance(merged.get("keys"), str):
        merged["keys"] = [key.strip() for key in merged["keys"].split(",") if key.strip()]
    try:
        return _adapter().validate_python(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        location = [part for part in problem["loc"] if not _is_branch(part)]
        name = ".".join(str(part) for part in location)
        variable = PREFIX + "__".join(str(part).upper() for part in location)
        raise ConfigError(
            f"Setting '{name}': {problem['msg']}. Looked in keyword arguments, {variable} and {source}."
        ) from None


def _is_branch(part: int | str) -> bool:
    """True for what pydantic adds to a location to name a branch of a union."""
    return isinstance(part, str) and part in {"str", "secret-str", "ModelSettings", "KeySettings", "PlanSettings"}


def _from_file(config: str | os.PathLike[str] | Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
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


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
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
