"""`GoogleTokens`: access tokens for Google's accounts, had when first needed and kept until shortly before their end.

A service account signs a statement with its key and gets a token of an hour for it; a user's default
credentials give a refresh token. In good time before a token ends another one is asked for without
anybody waiting. There is one exchange at a time for an account in a loop, each with a bound, and a
failed one is not repeated for a moment. Nothing of a key or a token is in an error or a log.

What does not live here: what credentials look like (`providers/auth.py`), how calls are carried (`client.py`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import orjson

from compatgw.errors import Blame, UpstreamFailure, UpstreamUnavailable

if TYPE_CHECKING:
    from compatgw.providers.auth import GoogleAccount

Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
"""Sends a form to an address; gives the status and the answer's body. Raises `UpstreamFailure`."""

_log = logging.getLogger("compatgw")
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# A token that says nothing of its life is taken for so long.
_LIFE = 600.0
_LONGEST = 12 * 3600.0
# Accounts that are remembered in one loop: teams may bring their own.
_ACCOUNTS = 1000


class _Unusable(Exception):
    """The exchange brought no token; the text says why, and shows nothing."""


class _Token(NamedTuple):
    text: str
    until: float

    def __repr__(self) -> str:
        return "<token>"


class _State:
    """What is known of one account in one loop."""

    __slots__ = ("problem", "refused", "task", "token", "tried")

    def __init__(self) -> None:
        self.token: _Token | None = None
        self.task: asyncio.Task[None] | None = None
        self.problem = ""
        self.refused = False
        self.tried = -math.inf


class GoogleTokens:
    """The tokens of one loop's accounts.

    Args:
        clock: Seconds since 1970: statements carry it, and lives are counted by it.
        wait: Seconds that an exchange may take.
        early: Seconds before its end from which on a token is renewed while it still serves.
        least: Seconds before its end from which on a token is not sent any more.
        pause: Seconds for which a failed exchange is not repeated.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        wait: float = 10.0,
        early: float = 300.0,
        least: float = 30.0,
        pause: float = 5.0,
    ) -> None:
        self._clock = clock
        self._wait = wait
        self._early = early
        self._least = least
        self._pause = pause
        self._states: dict[tuple[str, ...], _State] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def headers(self, account: GoogleAccount, name: str, post: Post) -> tuple[tuple[str, str], ...]:
        """The headers that carry a token of `account`.

        Args:
            account: Whose token it is.
            name: The provider's, for messages.
            post: Carries an exchange.

        Raises:
            UpstreamFailure: The account is refused (502).
            UpstreamUnavailable: No token can be had at the moment (503).
        """
        state = self._states.get(account.identity)
        if state is None:
            while len(self._states) >= _ACCOUNTS:
                self._states.pop(next(iter(self._states)))
            state = self._states[account.identity] = _State()
        now = self._clock()
        if not self._serves(state.token, now):
            task = state.task or (self._start(account, state, post) if self._due(state, now) else None)
            if task is not None:
                # One caller that leaves does not take the token from the others.
                await asyncio.wait({task})
        elif state.token is not None and state.token.until - now < self._early and self._due(state, now):
            self._start(account, state, post)
        token = state.token
        if token is None or not self._serves(token, self._clock()):
            raise self._away(state, name)
        if token.text not in account.minted:
            account.minted.append(token.text)
        return (("Authorization", f"Bearer {token.text}"),)

    def forget(self, account: GoogleAccount) -> None:
        """The token of `account` was refused: the next call asks for another one."""
        if (state := self._states.get(account.identity)) is not None:
            state.token = None

    async def aclose(self) -> None:
        """Ends what is under way. Idempotent."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _serves(self, token: _Token | None, now: float) -> bool:
        return token is not None and token.until - now > self._least

    def _due(self, state: _State, now: float) -> bool:
        return state.task is None and abs(now - state.tried) >= self._pause

    def _start(self, account: GoogleAccount, state: _State, post: Post) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._exchange(account, state, post))
        state.task = task
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            state.task = None

        task.add_done_callback(ended)
        return task

    async def _exchange(self, account: GoogleAccount, state: _State, post: Post) -> None:
        refused = False
        try:
            async with asyncio.timeout(self._wait):
                token = await self._asked(account, post)
        except TimeoutError:
            problem = f"its tokens' server did not answer within {self._wait:g} seconds"
        except _Unusable as error:
            problem, refused = str(error), True
        except UpstreamFailure:
            problem = "the call to its tokens' server failed"
        except Exception as error:  # noqa: BLE001 - the host's own client may raise anything; callers wait for a result
            problem = f"the call to its tokens' server failed ({type(error).__name__})"
        else:
            # The pause is one after failures: whoever lost this token may ask for the next one at once.
            state.token, state.problem, state.refused, state.tried = token, "", False, -math.inf
            return
        state.problem, state.refused, state.tried = problem, refused, self._clock()
        _log.warning("No access token for %s: %s.", account.email or "a user's credentials", problem)

    async def _asked(self, account: GoogleAccount, post: Post) -> _Token:
        now = self._clock()
        if account.private_key:
            # Reading and checking a private key takes milliseconds.
            statement = await asyncio.to_thread(_stated, account, now)
            form = {"grant_type": _GRANT, "assertion": statement}
        else:
            form = {
                "grant_type": "refresh_token",
                "client_id": account.client_id,
                "client_secret": account.client_secret,
                "refresh_token": account.refresh_token,
            }
        status, body = await post(account.token_url, urlencode(form).encode())
        if status in (408, 429) or status >= 500:
            raise UpstreamUnavailable(f"The tokens' server answered with status {status}.")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _Unusable(f"its tokens' server answered with status {status} and no JSON") from None
        if status != 200 or not isinstance(value, dict):
            raise _Unusable(f"its tokens' server refused it with status {status}{_word(value)}")
        text, life = value.get("access_token"), value.get("expires_in")
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable() or " " in text:
            raise _Unusable("its tokens' server gave no 'access_token'")
        if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
            life = _LIFE
        return _Token(text, now + min(float(life), _LONGEST))

    def _away(self, state: _State, name: str) -> UpstreamFailure:
        if state.refused:
            return UpstreamFailure(
                f"{name} cannot be called: Google gave no access token. Its operator has to check the credentials of "
                f"that provider: {state.problem}.",
                blame=Blame.CREDENTIAL,
                should_retry=False,
            )
        why = state.problem or "the call for it was ended"
        return UpstreamUnavailable(
            f"{name} cannot be called: there is no access token at the moment: {why}. Try again."
        )


def _stated(account: GoogleAccount, now: float) -> str:
    try:
        from compatgw.upstream.statement import stated
    except ImportError:
        raise _Unusable("service accounts need cryptography: install compatgw[state]") from None
    try:
        return stated(account, now)
    except ValueError as error:
        raise _Unusable(str(error)) from None


def _word(value: object) -> str:
    """The code of an OAuth error, where it is one; its description may repeat what was sent."""
    code = value.get("error") if isinstance(value, dict) else None
    known = isinstance(code, str) and len(code) <= 64 and code.replace("_", "").isalnum() and code.isascii()
    return f" ({code})" if known else ""
