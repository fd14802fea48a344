"""What a call carries on its way, and what all calls of one gateway share.

What does not live here: the way itself (`run.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from compatgw.errors import UnsupportedParameter
from compatgw.flow.cache import ANYTHING
from compatgw.flow.fetch import Fetcher
from compatgw.policy.kinds import KINDS
from compatgw.surfaces.extensions import DEFAULT

if TYPE_CHECKING:
    from compatgw.config import Settings
    from compatgw.dialects.base import Answer, Outgoing, Piece
    from compatgw.dialects.base import Policy as Unsupported
    from compatgw.errors import GatewayError
    from compatgw.flow.background import Background
    from compatgw.flow.cache import Cache, Wish
    from compatgw.flow.conversations import Conversations
    from compatgw.flow.credentials import OwnKeys, PlatformKeys
    from compatgw.flow.guarding import Guarding, Policy
    from compatgw.flow.health import Health
    from compatgw.flow.idempotency import Idempotency
    from compatgw.flow.later import Later
    from compatgw.flow.news import News
    from compatgw.flow.patience import Patience
    from compatgw.flow.prompts import Prompts
    from compatgw.flow.single import Flights
    from compatgw.flow.tasks import Tasks
    from compatgw.flow.vault import Vault
    from compatgw.flow.watching import Heard
    from compatgw.policy.access import Caller
    from compatgw.policy.directory import Directory, Scope
    from compatgw.policy.fetching import Rules as LinkRules
    from compatgw.policy.kinds import Kind
    from compatgw.policy.plan import Route
    from compatgw.policy.retry import Rules
    from compatgw.providers.prices import Prices
    from compatgw.state.base import Counters, Ledger, Level, Price
    from compatgw.surfaces.base import Face, Parsed, Surface
    from compatgw.surfaces.extensions import CallOptions
    from compatgw.telemetry.base import Observer
    from compatgw.upstream.client import Endpoint, UpstreamClient
    from compatgw.upstream.fetching import Getter
    from compatgw.wire.chat import ChatRequest, Usage
    from compatgw.wire.native import Foreign, Native

Headers = tuple[tuple[str, str], ...]
Marks = tuple[tuple["Observer", Any, Any], ...]
"""Observers, each with what it calls a call, and what it calls one of its attempts."""

JSON = "application/json"
EVENTS = "text/event-stream"


class ClientGone(Exception):
    """The client left, or does not take what it is sent. Nobody is left to be told."""


class Client(Protocol):
    """Whoever waits for the answer; its methods send to it and wait until it has taken it, or raise `ClientGone`."""

    async def answer(self, status: int, headers: Headers, body: bytes, kind: str = JSON) -> None:
        """A complete answer; `kind` is its content type."""
        ...

    async def begin(self, headers: Headers, kind: str = EVENTS) -> None:
        """The head of an answer that comes bit by bit."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events of a stream."""
        ...

    async def end(self) -> None:
        """The end of a stream."""
        ...

    async def cut(self) -> None:
        """No end: the connection breaks, as the answer did."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """The rooms that every call of one gateway goes through.

    Attributes:
        settings: The settings.
        directory: What a model's name can mean.
        sole: `policy.plan.sole` over that directory; it remembers, because names repeat.
        keys: Where each active provider is reached, with the platform's keys.
        retries: How failed attempts are repeated.
        upstream: The way out.
        news: What processes tell each other.
        health: How each deployment does.
        counters: Limits.
        ledger: Records and money; None in a gateway without.
        prices: What models cost.
        own_keys: Teams' own provider keys.
        tasks: What is finished although nobody waits for it.
        cache: Answers that are kept; None in a gateway that keeps none.
        answers, streams: Calls upstream that identical ones wait for, where there is a cache.
        describe: Puts images into words for models that see none. seen: Where descriptions are kept.
        vault: Reasoning that clients drop; None where it is not kept.
        getter: The way to what requests link to. links: Which of these are followed.
        conversations: Responses that are kept. background: Those that are worked on.
        prompts: Templates.
        guards: Which guardrails calls have.
        observers: Who is told of calls.
        idempotency: Keys of calls that must not be made twice.
        version: Of the configuration, as far as it changes answers.
        clock: Seconds since 1970.
        monotonic: Seconds of a clock that never goes back.
        ids: A new random word at each call.
        random: A new random number from 0 to below 1 at each call.
    """

    settings: Settings
    directory: Directory
    sole: Callable[[str, Scope, Unsupported, str], tuple[Route, ...]]
    keys: PlatformKeys
    retries: Rules
    upstream: UpstreamClient
    news: News
    health: Health
    counters: Counters
    ledger: Ledger | None
    prices: Prices
    own_keys: OwnKeys
    tasks: Tasks
    cache: Cache | None
    answers: Flights[Answer]
    streams: Flights[Piece]
    describe: Callable[[Call, House, ChatRequest], Awaitable[ChatRequest]]
    seen: Counters
    vault: Vault | None
    getter: Getter
    links: LinkRules
    conversations: Later[Conversations]
    background: Later[Background]
    prompts: Prompts
    guards: Policy
    observers: tuple[Observer, ...]
    idempotency: Idempotency
    version: str
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    ids: Callable[[], str]
    random: Callable[[], float]


@dataclass(slots=True)
class Ticket:
    """What a call was let in with, and what it has come to.

    Attributes:
        word: What the ids of this call are made of.
        levels: The caller's limits when it was let in.
        tokens: Reserved of the token limits. None: nothing was taken of any limit.
        price: What the model costs, None when not known.
        held: Money is reserved under `uid`.
        free: Somebody else pays: the answer was kept, or is that of an identical call.
        paid: Usage and charge are written.
        used: Tokens that the call came to.
        images: Images that were made for it.
        extra: What further models cost that were asked on its behalf.
        sent: Some of the answer may have reached the client.
        delivered: Characters of the answer that went to the client.
        cost: What the call cost, once known.
        renew_at: `House.monotonic` when its places among calls at one time have to be kept for longer; None without.
    """

    word: str
    levels: tuple[Level, ...] = ()
    tokens: int | None = None
    price: Price | None = None
    held: bool = False
    free: bool = False
    paid: bool = False
    used: int = 0
    images: int = 0
    extra: Decimal = Decimal(0)
    sent: bool = False
    delivered: int = 0
    cost: Decimal | None = None
    renew_at: float | None = None

    @property
    def uid(self) -> str:
        """The call's own id in counters and ledger; a client's request id may come twice."""
        return f"call_{self.word}"


@dataclass(slots=True)
class Call:
    """One client request in flight.

    Attributes:
        id: The request id that the client sees.
        surface: Which API it came by.
        parsed: The request, as its client made it.
        face: How the client is told the answer.
        caller: Who calls.
        scope: Which providers are in sight.
        patience: Bounds every wait.
        started: `House.monotonic` when it came.
        ticket: What it was let in with.
        size: Bytes of its body.
        wish: What the caller says of the cache.
        word: Its Idempotency-Key.
        through: Its answer is in the client's own protocol, passed on as it came.
        type: Content type of its answer, where the upstream decides that.
        links: Its messages hold links, which some upstreams do not follow.
        described: The model that put its images into words, "" where none did.
        stripped: What was signed is left out from now on: an upstream refused it.
        guard: Its guardrails.
        watched: Observers, each with what it calls this call. traced: One of them traces.
        marks: The same with what each calls the attempt that is on its way.
        heard: What is answered, for observers that want to hear it.
        trace: Headers that say which trace the call is part of, sent along to upstreams.
        attempts: How often an upstream was asked. upstream: Seconds spent waiting for them.
        flown: A flight owns the call upstream, and ends it.
        targets: What it tries, in order, once planned.
        route: Where it goes now.
        server: Where that is reached, with the credential that pays.
        byok: That credential is the team's own.
        outgoing: What was sent, once encoded.
        usage: Tokens, once known.
        first_token: Seconds until the first content of a stream.
        retries: Attempts that were repeated at the same target.
        failure: Why it ended badly.
        complete: All of the answer has come.
        request: The hub request, as it stands by now.
        options: What the caller asked of the gateway itself.
        native: The request as it came, for upstreams that speak the client's protocol.
        foreign: What only that protocol knows, of a request that no upstream gets as it came any more.
        stream: The answer goes out bit by bit.
    """

    id: str
    surface: Surface
    parsed: Parsed
    face: Face
    caller: Caller
    scope: Scope
    patience: Patience
    started: float
    ticket: Ticket
    size: int = 0
    wish: Wish = ANYTHING
    word: str | None = None
    through: bool = False
    type: str = ""
    links: bool = False
    described: str = ""
    stripped: bool = False
    guard: Guarding | None = None
    watched: Marks = ()
    traced: bool = False
    marks: Marks = ()
    heard: Heard | None = None
    trace: Headers = ()
    attempts: int = 0
    upstream: float = 0.0
    flown: bool = False
    targets: tuple[Route, ...] = ()
    route: Route | None = None
    retries: int = 0
    server: Endpoint | None = None
    byok: bool = False
    outgoing: Outgoing | None = None
    usage: Usage | None = None
    first_token: float | None = None
    failure: GatewayError | None = None
    complete: bool = False
    request: Any = None
    options: CallOptions = DEFAULT
    native: Native | None = None
    foreign: tuple[Foreign, ...] = ()
    stream: bool = field(init=False)
    _input: int = -1
    _fetcher: Fetcher | None = None

    def __post_init__(self) -> None:
        if self.request is None:
            self.request, self.options, self.native, _ = self.parsed
        self.stream = self.surface.live or bool(self.request.get("stream"))

    @property
    def kind(self) -> Kind:
        """What policy knows of such requests."""
        return KINDS[self.surface.codec]

    @property
    def input(self) -> int:
        """About how many tokens the request has; reckoned once, and only where somebody asks."""
        if self._input < 0:
            self._input = self.kind.input(self.request)
        return self._input

    def rewrite(self, request: Any) -> None:
        """Another request takes the place of the client's: no upstream gets that one as it came any more.

        Raises:
            UnsupportedParameter: It holds what no other protocol than its own can carry.
        """
        if self.native is not None:
            for param, why in self.native.bound:
                raise UnsupportedParameter(
                    f"'{param}' cannot be had together with what changes the request. {why}", param=param
                )
            self.foreign = self.native.foreign
        self.request, self.native, self._input = request, None, -1

    def part(self, request: Any, native: Native | None = None) -> Call:
        """A call for a part of this one's answer, which tries what this one would; see `join`."""
        return replace(self, request=request, native=native, retries=0, attempts=0, upstream=0.0)

    def join(self, parts: Sequence[Call]) -> None:
        """Tells of this call what became of `parts`, which were under way together; the first stands for them."""
        first = parts[0]
        self.route, self.server, self.byok, self.outgoing = first.route, first.server, first.byok, first.outgoing
        self.retries += sum(one.retries for one in parts)
        self.attempts += sum(one.attempts for one in parts)
        self.upstream += max(one.upstream for one in parts)

    def fetcher(self, house: House) -> Fetcher:
        """What follows its links; all of its attempts share what was got."""
        if self._fetcher is None:
            self._fetcher = Fetcher(house.getter, house.links)
        return self._fetcher

    def use(self, route: Route, server: Endpoint, *, byok: bool) -> None:
        """Sends the next attempt over `route` to `server`."""
        self.route, self.server, self.byok = route, server, byok

    def seconds(self, house: House) -> float:
        """How long a whole answer may take, or a stream until its first content; all attempts together."""
        timeouts = house.settings.timeouts
        return self.options.timeout or (timeouts.first_byte if self.stream else timeouts.total)

    @property
    def deployment(self) -> str:
        """Name of the provider that it goes to, "" before that is known."""
        return self.route.deployment.name if self.route is not None else ""
