"""Links in a request become data URLs, for upstreams that do not fetch them by themselves.

A link is judged, its name is looked up here, every address is judged, and the connection goes to one of those very
addresses; so does each redirect, from the beginning. Nothing that was wrong with a link costs the caller more than
a 400 that says what to send instead.

What does not live here: which links and addresses will do (`policy/fetching.py`), the connection
(`upstream/fetching.py`).
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from compatgw.errors import InvalidRequest
from compatgw.policy import fetching
from compatgw.policy.fetching import PARALLEL, REDIRECTS, Unfetchable
from compatgw.upstream.fetching import Budget, FetchFailed, Name, Unreached

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compatgw.dialects.base import Dialect, Target
    from compatgw.policy.fetching import Address, Kind, Link, Place, Rules
    from compatgw.upstream.fetching import Fetched, Getter
    from compatgw.wire.chat import ChatRequest

# Of the addresses of one name: those of the other family may be out of reach from here.
_ADDRESSES = 3
_INSTEAD = "Send the content as a data URL (data:<media type>;base64,<data>), or another link."


class Fetcher:
    """Gets the links of one call, each once, whatever its attempts are.

    Args:
        getter: The way out.
        rules: What may be fetched.
    """

    __slots__ = ("_budget", "_found", "_gate", "_getter", "rules")

    def __init__(self, getter: Getter, rules: Rules) -> None:
        self._getter = getter
        self.rules = rules
        self._budget = Budget(rules.max_call)
        self._gate = asyncio.Semaphore(PARALLEL)
        self._found: dict[str, tuple[Fetched, Link]] = {}

    async def data_urls(self, places: Sequence[Place]) -> dict[Place, tuple[str, str]]:
        """The data URL of each link, and a name for the file that it is.

        Raises:
            InvalidRequest: The first of them, in the order of the request, that may not or cannot be had.
        """
        first: dict[str, Place] = {}
        for place in places:
            if place.url not in self._found:
                first.setdefault(place.url, place)
        if first:
            await self._get_all(first)
        written: dict[tuple[str, Kind], str] = {}
        out: dict[Place, tuple[str, str]] = {}
        for place in places:
            answer, link = self._found[place.url]
            if (place.url, place.kind) not in written:
                written[place.url, place.kind] = _written(place, answer)
            out[place] = (written[place.url, place.kind], link.filename)
        return out

    async def _get_all(self, wanted: dict[str, Place]) -> None:
        tasks = {url: asyncio.ensure_future(self._get(place)) for url, place in wanted.items()}
        try:
            await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # When one failed, or the client left, the others are for nobody.
            for task in tasks.values():
                task.cancel()
            await asyncio.wait(tasks.values())
        done = {url: task for url, task in tasks.items() if not task.cancelled()}
        failures = [failure for task in done.values() if (failure := task.exception()) is not None]
        if failures:
            raise failures[0]
        self._found |= {url: task.result() for url, task in done.items()}

    async def _get(self, place: Place) -> tuple[Fetched, Link]:
        async with self._gate:
            try:
                async with asyncio.timeout(self.rules.timeout):
                    return await self._followed(place.url)
            except TimeoutError:
                raise _refusal(
                    place, f"leads to a server that did not answer within {self.rules.timeout:g} seconds"
                ) from None
            except (Unfetchable, FetchFailed) as error:
                raise _refusal(place, str(error)) from None

    async def _followed(self, url: str) -> tuple[Fetched, Link]:
        link = fetching.link(url, self.rules)
        for _ in range(REDIRECTS + 1):
            answer = await self._asked(link)
            if answer.location is None:
                return answer, link
            link = fetching.redirected(link, answer.location, self.rules)
        raise Unfetchable(f"is redirected more than {REDIRECTS} times")

    async def _asked(self, link: Link) -> Fetched:
        name = Name(link.host, link.authority, link.scheme == "https")
        unreached = Unreached("leads to a server that cannot be reached")
        for address in await self._addresses(link):
            try:
                return await self._getter.get(
                    str(address),
                    link.port,
                    name=name,
                    target=link.target,
                    limit=self.rules.max_bytes,
                    budget=self._budget,
                )
            except Unreached as error:
                unreached = error
        raise unreached

    async def _addresses(self, link: Link) -> tuple[Address, ...]:
        """Where `link` leads, each address judged."""
        if link.address is not None:
            return (link.address,)
        found = await self._getter.resolve(link.host, link.port)
        return fetching.judged(found, self.rules)[:_ADDRESSES]


def needs_fetching(request: ChatRequest, dialect: Dialect, target: Target, rules: Rules) -> bool:
    """True when `request` holds links that have to be fetched for this upstream, and that may be."""
    return rules.mode != "off" and next(_places(request, dialect, target), None) is not None


async def inlined(request: ChatRequest, dialect: Dialect, target: Target, fetcher: Fetcher) -> ChatRequest:
    """`request` with data URLs instead of the links that this upstream does not fetch; itself when there are none.

    Raises:
        InvalidRequest: A link that may not or cannot be fetched; `param` is its path.
    """
    if fetcher.rules.mode == "off":
        return request
    places = list(_places(request, dialect, target))
    return fetching.with_data(request, await fetcher.data_urls(places)) if places else request


def _places(request: ChatRequest, dialect: Dialect, target: Target) -> Iterator[Place]:
    return fetching.places(request, lambda kind, url: dialect.fetches(kind, url, target))


def _written(place: Place, answer: Fetched) -> str:
    try:
        kind = fetching.type_of(answer.type, answer.data, place.kind)
    except Unfetchable as error:
        raise _refusal(place, str(error)) from None
    return f"data:{kind};base64,{base64.b64encode(answer.data).decode()}"


def _refusal(place: Place, text: str) -> InvalidRequest:
    return InvalidRequest(f"'{place.param}' {text}. {_INSTEAD}", param=place.param)
