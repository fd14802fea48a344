"""Who is calling: the host's own `authenticate=`, keys of the configuration, tokens of issuers, keys of the ledger.

Keys are compared by keyed digest: looking one up takes the same time whichever it is, and the keys
themselves are not kept.

What does not live here: what a caller may do (`policy/access.py`), proofs (`state/verify.py`, `oidc.py`).
"""

from __future__ import annotations

import hashlib
import inspect
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw.errors import Forbidden, Overloaded, Unauthenticated
from compatgw.policy.access import Caller, Principal, caller_of_key, caller_of_principal
from compatgw.policy.limits import PLANS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import HTTPConnection

    from compatgw.state.base import Identity, Plan
    from compatgw.state.verify import Accounts, KeyVerifier
    from compatgw.web.oidc import TokenVerifier
    from compatgw.web.visit import Visit

Authenticate = Callable[["HTTPConnection"], Awaitable[Principal | None]]
"""An `authenticate=` callable: a connection to the caller's principal, or None to refuse it."""

_REMEMBERED = 20_000
# Seconds for which the host may think about who calls.
_HOST_PATIENCE = 30.0


async def anonymous(connection: HTTPConnection) -> Principal:
    """Lets everybody in: the explicit opt-out, `Gateway(authenticate=compatgw.anonymous)`."""
    return Principal(name="anonymous")


# The member of the ASGI scope that only clients in this process can set.
_VOUCHED = "compatgw.vouched"


@dataclass(frozen=True, slots=True, eq=False)
class _Vouched:
    """A principal that a gateway was handed by the code it runs in; good at that gateway alone."""

    principal: Principal
    by: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Who can tell who a caller is; what is None has nothing to tell.

    Attributes:
        authenticate: Of the host; decides instead of all others.
        keys: Of the configuration, each with its principal.
        tokens: Knows tokens of issuers.
        verifier: Knows keys of the ledger. accounts: Knows its teams.
    """

    authenticate: Authenticate | None = None
    keys: Iterable[tuple[str, Principal]] = ()
    tokens: TokenVerifier | None = None
    verifier: KeyVerifier | None = None
    accounts: Accounts | None = None


class Identify:
    """Recognises callers.

    Attributes:
        seal: Marks whom this gateway itself vouches for.

    Args:
        witnesses: Who is asked.
        plans: Plans by name, which those of the ledger come before.
        clock: Seconds since 1970, for expiry.
        seal: That of the same gateway under its former settings: whom it vouched for stays known.
    """

    def __init__(
        self,
        witnesses: Witnesses,
        *,
        plans: Mapping[str, Plan] = PLANS,
        clock: Callable[[], float],
        seal: object = None,
    ) -> None:
        self.seal = object() if seal is None else seal
        self._pepper = secrets.token_bytes(32)
        self._known = {self._digest(key): principal for key, principal in witnesses.keys}
        # Without a ledger they are the same callers every time.
        self._fixed: Mapping[bytes, Caller] = (
            {digest: caller_of_principal(principal, None, plans) for digest, principal in self._known.items()}
            if witnesses.accounts is None
            else {}
        )
        self._ask = witnesses
        self._plans = plans
        self._clock = clock
        self._host_patience = _HOST_PATIENCE
        self._callers: OrderedDict[str, tuple[Identity, Caller]] = OrderedDict()

    @property
    def closed(self) -> bool:
        """True when nobody can get in."""
        ask = self._ask
        return not self._known and ask.authenticate is None and ask.tokens is None and ask.verifier is None

    @property
    def by_host(self) -> bool:
        """True when the host decides who calls."""
        return self._ask.authenticate is not None

    @property
    def tokens(self) -> TokenVerifier | None:
        """What knows tokens of issuers."""
        return self._ask.tokens

    def vouch(self, principal: Principal) -> Mapping[str, object]:
        """Members of an ASGI scope whose requests are those of `principal`, whatever their headers say."""
        return {_VOUCHED: _Vouched(principal, self.seal)}

    async def aclose(self) -> None:
        """Ends what is under way in the running loop."""
        if self._ask.tokens is not None:
            await self._ask.tokens.aclose()

    async def __call__(self, visit: Visit) -> Caller:
        """The caller.

        Raises:
            Unauthenticated: No key, or one that is not known or over.
            Forbidden: Its team does not exist.
            StateError: The ledger is away, and the key is not remembered.
        """
        vouched = visit.scope.get(_VOUCHED)
        if isinstance(vouched, _Vouched) and vouched.by is self.seal:
            return await self._with_team(vouched.principal)
        if self._ask.authenticate is not None:
            return await self._with_team(await self._of_host(self._ask.authenticate, visit))
        key, bearer = key_of(visit)
        if key is None:
            raise Unauthenticated(_missing(self.closed), code="missing_api_key")
        if self._known and (known := self._known.get(digest := self._digest(key))) is not None:
            return self._fixed.get(digest) or await self._with_team(known)
        if bearer and self._ask.tokens is not None and self._ask.tokens.reads(key):
            return await self._with_team(self._ask.tokens.recall(key) or await self._ask.tokens.verify(key))
        verifier = self._ask.verifier
        identity = (verifier.recall(key) or await verifier.verify(key)) if verifier is not None else None
        if identity is None:
            raise Unauthenticated("The API key is not valid. Check it, or ask the gateway's operator for a new one.")
        return self._of_ledger(identity)

    async def _of_host(self, authenticate: Authenticate, visit: Visit) -> Principal:
        # Imported for those who use it: it is half of what importing this package would take.
        from starlette.requests import HTTPConnection

        with visit.patience.within(self._host_patience, _host_is_slow):
            asked: object = authenticate(HTTPConnection(visit.scope))
            if not inspect.isawaitable(asked):
                raise TypeError(f"authenticate= must be an async callable; it gave a {type(asked).__name__}")
            principal = await asked
        if principal is None:
            raise Unauthenticated("The application that this gateway is mounted in did not recognise the caller.")
        if not isinstance(principal, Principal):
            raise TypeError(
                f"authenticate= must give a compatgw.Principal or None; it gave a {type(principal).__name__}"
            )
        return principal

    def _of_ledger(self, identity: Identity) -> Caller:
        key = identity.key
        standing = key.standing(self._clock())
        if standing == "revoked":
            raise Unauthenticated("The API key was revoked. Ask the gateway's operator for a new one.")
        if standing == "expired":
            raise Unauthenticated(
                "The API key has expired. Ask the gateway's operator for a new one.", code="expired_api_key"
            )
        remembered = self._callers.get(key.id)
        if remembered is not None and remembered[0] is identity:
            return remembered[1]
        caller = caller_of_key(identity, self._plans)
        self._callers[key.id] = (identity, caller)
        while len(self._callers) > _REMEMBERED:
            self._callers.popitem(last=False)
        return caller

    async def _with_team(self, principal: Principal) -> Caller:
        accounts, team = self._ask.accounts, principal.team
        plan = await accounts.plan(principal.plan) if accounts is not None and principal.plan is not None else None
        if accounts is None or team is None:
            return caller_of_principal(principal, None, self._plans, plan)
        account = accounts.recall(team) or await accounts.read(team)
        if account is None:
            # A name of the host's may hold what JSON cannot.
            shown = team[:64].encode("utf-8", "replace").decode()
            raise Forbidden(
                f"The team '{shown}' does not exist in this gateway's ledger. Its operator adds it.",
                code="team_inactive",
            )
        return caller_of_principal(principal, account, self._plans, plan)

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=self._pepper, digest_size=32).digest()


def key_of(visit: Visit) -> tuple[str | None, bool]:
    """What a request carries, and whether it came as a bearer token; one in `x-api-key` or `api-key` decides alone."""
    for name in ("x-api-key", "api-key"):
        if (value := visit.header(name)) is not None:
            return value, False
    scheme, _, token = (visit.header("authorization") or "").partition(" ")
    token = token.strip()
    return (token, True) if scheme.lower() == "bearer" and token else (None, False)


def _host_is_slow() -> Overloaded:
    return Overloaded("The application that this gateway is mounted in did not say in time who calls.", retry_after=1)


def _missing(closed: bool) -> str:
    if closed:
        return (
            "This gateway has no keys yet, so nobody may call it. Its operator configures keys=[...], passes "
            "authenticate=, or opens it to all with authenticate=compatgw.anonymous."
        )
    return "No API key was given. Send it in the header 'Authorization: Bearer <key>'."
