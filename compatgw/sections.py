"""The sections of the settings, one class each: what may stand in each, and what it is when nothing does.

What does not live here: all settings together, and reading them (`config.py`); what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Required

from pydantic import ConfigDict, Field, SecretStr, with_config
from typing_extensions import TypedDict

MIB = 1024 * 1024
STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
# Up to it, all levels of all limits are exact numbers everywhere.
Limit = Annotated[int, Field(ge=0, le=1_000_000_000)]


@with_config(STRICT)
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


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """`[models.NAME]`: a name of one's own for a model or several, or limits that differ.

    Attributes:
        target: `provider/model` that answers under this name, or a list of such: they are tried in order until one
            answers. Default: the name itself.
        fallback: Models that are tried in order when all of it fails, where the caller names none. Those that the
            caller may not use are passed over; what they have for a `fallback` of their own is not looked at.
        load_balance: How one of several targets is picked first, where the caller does not say: `weighted`,
            `round-robin` or `least-latency`. Default: the first that is listed.
        weights: Shares of the targets, one for each, for `weighted`. Default: all the same.
        max_output: Most tokens that the model writes.
        context: Most tokens that it takes in.
        traits: Facts for the dialect that differ from its own table.
        price: What it costs, in the currency of `[money]`, as text: `input`, `cached_input`, `cache_write`,
            `output` and `reasoning` per million tokens, `per_image`, `per_request`, and `above`, a list of
            the same with `tokens`, from how many input tokens on. Default: the catalogue's.
    """

    target: str | Annotated[list[str], Field(min_length=1)] | None = None
    fallback: list[str] = field(default_factory=list)
    load_balance: Literal["weighted", "round-robin", "least-latency"] | None = None
    weights: list[Annotated[float, Field(gt=0, le=1_000_000)]] = field(default_factory=list)
    max_output: Annotated[int, Field(ge=1)] | None = None
    context: Annotated[int, Field(ge=1)] | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    price: dict[str, Any] = field(default_factory=dict)


@with_config(STRICT)
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


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """`[plans.NAME]`: limits under a name; a plan of the same name in the ledger wins.

    Attributes:
        requests: Calls a minute. tokens: Tokens a minute. concurrency: Calls at one time. Default: no limit.
    """

    requests: Limit | None = None
    tokens: Limit | None = None
    concurrency: Limit | None = None


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class DocsSettings:
    """`[docs]`: the pages that anybody may read.

    Attributes:
        enabled: `/docs` and what is below it are there.
        models: They name the models that can be called, and what those cost; else callers ask `/v1/models`.
        support: Whom callers turn to: an address, or a link that begins with https://. Default: nobody is named.
        base_url: Where callers reach this mount, such as `https://api.example.com/ai`, where the Host header
            does not say so. Default: as each visitor reached it.
    """

    enabled: bool = True
    models: bool = True
    support: str | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9._~:/%\[\]-]+$")] | None = None


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """`[console]`: the pages that operators manage the gateway with.

    Attributes:
        enabled: `/console` and what is below it are there.
        idle: Seconds without a visit after which a session ends.
        longest: Seconds after which a session ends in any case.
    """

    enabled: bool = True
    idle: Annotated[float, Field(ge=60, le=86_400)] = 1_800.0
    longest: Annotated[float, Field(ge=60, le=604_800)] = 43_200.0


@with_config(STRICT)
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


@with_config(STRICT)
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


@with_config(STRICT)
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


@with_config(STRICT)
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


@with_config(STRICT)
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


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesSettings:
    """`[responses]`: what `previous_response_id` goes on with, and work in the background.

    Kept is what was asked and what was answered, unless the caller sets `store` to false: in the ledger where there
    is one, sealed where `state.key_ring` is set; else with the counters.

    Attributes:
        keep: Seconds for which a response is kept; 0: none is, and nothing works in the background. What it added to
            a conversation stays in the ledger as long as a later response goes on from it.
        max_entry: Bytes of one response with its conversation; a larger one is not kept.
        memory: Bytes of all of them, where they are kept in memory.
    """

    keep: Annotated[float, Field(ge=0)] = 30 * 86_400.0
    max_entry: Annotated[int, Field(ge=1024)] = 4 * MIB
    memory: Annotated[int, Field(ge=MIB)] = 64 * MIB


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningSettings:
    """`[reasoning]`: thoughts that models sign and want back, for clients that drop them.

    Attributes:
        keep: Seconds for which they are kept; 0: they are not.
        memory: Bytes of all of them, where they are kept in memory.
    """

    keep: Annotated[float, Field(ge=0)] = 86_400.0
    memory: Annotated[int, Field(ge=MIB)] = 32 * MIB


@with_config(STRICT)
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


class PromptMessageSettings(TypedDict):
    """A message of a template."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(min_length=1)]


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSettings:
    """`[[prompts.NAME]]`: one version of a template; `{{variable}}` in it is filled in by the call.

    Attributes:
        text: A system message alone. messages: Several messages. One of the two.
        version: Its number.
        labels: Its names, each at one version alone; calls that name no version get the one labelled `production`,
            or the newest where no version has a label.
    """

    text: Annotated[str, Field(min_length=1)] | None = None
    messages: list[PromptMessageSettings] = field(default_factory=list)
    version: Annotated[int, Field(ge=1)] = 1
    labels: list[str] = field(default_factory=list)


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class LangfuseSettings:
    """`[langfuse]`: templates that are kept there.

    Attributes:
        base_url: Such as `https://cloud.langfuse.com`.
        public_key, secret_key: Of the project.
        fresh: Seconds for which a template is not asked for again.
        timeout: Seconds that asking for one may take.
    """

    base_url: str = "https://cloud.langfuse.com"
    public_key: SecretStr
    secret_key: SecretStr
    fresh: Annotated[float, Field(ge=0)] = 60.0
    timeout: Annotated[float, Field(gt=0)] = 5.0


class GuardTable(TypedDict, total=False):
    """A guardrail as a call may ask for it, too."""

    name: Required[str]
    action: Literal["redact", "block", "restore"]
    kinds: list[str]
    schema: dict[str, Any]
    repair: int
    threshold: float


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSettings:
    """Guardrails that calls have in any case; a caller can add to them.

    Attributes:
        input: What requests go through. output: What answers go through. Names, or tables.
    """

    input: list[str | GuardTable] = field(default_factory=list)
    output: list[str | GuardTable] = field(default_factory=list)


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class PiiSettings:
    """`[guardrails.pii]`: personal data, where a call or a demand says no more.

    Attributes:
        action: `redact` puts `[EMAIL_1]` in its place, `restore` does so and puts it back in the answer, `block`
            refuses.
        kinds: What is looked for.
        regions: Of telephone numbers without a country's number, such as `DE`.
    """

    action: Literal["redact", "block", "restore"] = "redact"
    kinds: list[str] = field(default_factory=lambda: ["email", "phone", "us_ssn", "credit_card", "ip"])
    regions: list[str] = field(default_factory=list)


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationSettings:
    """`[guardrails.moderation]`: by a model, or by words where no model is named.

    Attributes:
        model: Such as `openai/omni-moderation-latest`.
        thresholds: Scores from 0 to 1, by category. threshold: For all others; default: as the model flags.
        window: Characters of an answer that are judged at a time.
        words: By category; `*` stands for any letters of a word.
    """

    model: str | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = field(default_factory=dict)
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    window: Annotated[int, Field(ge=0)] = 1000
    words: dict[str, list[str]] = field(default_factory=dict)


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailSettings(DemandSettings):
    """`[guardrails]`: what requests and answers are looked at for.

    Attributes:
        teams: What calls of a team have beside. keys: What those of a key have, by its name or id.
        pii, moderation: How these are configured.
        timeout: Seconds that one question to a model or a function of one's own may take.
        on_failure: `fail_closed` fails the call, `fail_open` lets the text pass.
    """

    teams: dict[str, DemandSettings] = field(default_factory=dict)
    keys: dict[str, DemandSettings] = field(default_factory=dict)
    pii: PiiSettings = field(default_factory=PiiSettings)
    moderation: ModerationSettings = field(default_factory=ModerationSettings)
    timeout: Annotated[float, Field(gt=0)] = 5.0
    on_failure: Literal["fail_open", "fail_closed"] = "fail_closed"


@with_config(STRICT)
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
        key_ring: Seals teams' own provider keys, and kept responses: `id:` and 32 bytes in base64, the newest first,
            joined by commas. An older key is needed as long as something that it sealed is kept.
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


@with_config(STRICT)
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


@with_config(STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """`[telemetry]`: what is told of calls to whoever watches.

    Attributes:
        metrics: `GET /metrics` for Prometheus: `off`, for keys with the scope `admin`, for all active `keys`, or `open`
            to anybody.
        otel: Traces and metrics go to the OpenTelemetry providers of this process; `auto`: where its API is installed.
        content: Traces hold prompts and answers, too.
    """

    metrics: Literal["off", "admin", "keys", "open"] = "off"
    otel: Literal[True, False, "auto"] = False
    content: bool = False


@with_config(STRICT)
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


@with_config(STRICT)
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
