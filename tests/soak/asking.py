"""Clients: one call, and what came of it as its client saw it, down to whether its last byte arrived.

What does not live here: which calls are made (the runs), what the ledger says of them (`books.py`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import orjson

from tests.soak.wishes import MODEL, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAST = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call to be made.

    Attributes:
        team: Whose. key: The key's text.
        wish: What is wished of the upstream.
        stream: Asked as a stream. model: Which.
        leave: The client goes away after so many milliseconds of waiting for an answer, or events of a stream.
    """

    team: str
    key: str
    wish: Wish
    stream: bool = False
    model: str = MODEL
    leave: int | None = None


@dataclass(slots=True)
class Told:
    """What became of a call.

    Attributes:
        id: The request id that the client chose. question: What it asked. node: Number of the process.
        began, ended: `time.monotonic`.
        status: 0 when no head of an answer came.
        whole: The last byte came, and it was no error.
        code: Of an error, also of one inside a stream.
        left: The client went away. cut: The connection broke. unreached: Nobody listened, nothing was sent.
        headers: Of the answer, in lower case. cost: What the answer says that it cost.
    """

    id: str
    question: Question
    node: int
    began: float
    ended: float = 0.0
    status: int = 0
    whole: bool = False
    code: str = ""
    left: bool = False
    cut: str = ""
    unreached: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: str | None = None


class Clients:
    """Clients of some gateways that share nothing but a log.

    Args:
        origins: Where the gateways are.
        tag: Stands before every request id.
    """

    def __init__(self, origins: list[str], tag: str) -> None:
        self.origins = origins
        self.log: list[Told] = []
        self._tag = tag
        self._numbers = iter(range(1, 1 << 60))
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120))

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def of(self, *teams: str) -> Iterator[Told]:
        """What became of the calls of these teams."""
        return (told for told in self.log if told.question.team in teams)

    async def ask(self, question: Question, node: int) -> Told:
        """Makes one call to a gateway; never raises."""
        told = Told(f"{self._tag}-{next(self._numbers)}", question, node, time.monotonic())
        self.log.append(told)
        wish = question.wish
        body = {
            "model": question.model,
            "messages": [{"role": "user", "content": wish.text}],
            "max_tokens": wish.output,
            "stream": question.stream,
            # What is to fail fails once.
            "retries": 0,
        }
        if question.stream:
            body["stream_options"] = {"include_usage": True}
        headers = {
            "authorization": f"Bearer {question.key}",
            "x-request-id": told.id,
            "content-type": "application/json",
        }
        url = f"{self.origins[node]}/v1/chat/completions"
        patience = question.leave / 1000 if question.leave is not None and not question.stream else None
        try:
            async with asyncio.timeout(patience):
                async with self._session.post(url, data=orjson.dumps(body), headers=headers) as response:
                    told.status = response.status
                    told.headers = {name.lower(): value for name, value in response.headers.items()}
                    await (self._events if question.stream and response.status == 200 else self._whole)(response, told)
        except TimeoutError:
            told.left = patience is not None
            told.cut = "" if told.left else "timeout"
        except aiohttp.ClientConnectorError:
            told.unreached = True
        except (aiohttp.ClientError, OSError) as error:
            told.cut = type(error).__name__
        told.ended = time.monotonic()
        return told

    async def _whole(self, response: aiohttp.ClientResponse, told: Told) -> None:
        data = await response.read()
        if response.status == 200:
            told.whole = True
            told.cost = told.headers.get("x-cost")
            return
        try:
            told.code = str(orjson.loads(data)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            told.code = f"not an envelope: {data[:80]!r}"

    async def _events(self, response: aiohttp.ClientResponse, told: Told) -> None:
        data = b""
        async for piece in response.content.iter_any():
            data += piece
            events = data.count(b"\n\n")
            if told.question.leave is not None and events > told.question.leave:
                told.left = True
                # Goes at once, whatever is on its way.
                response.close()
                return
            if data.endswith(_LAST):
                told.whole = True
        for event in data.split(b"\n\n")[-4:]:
            if event.startswith(b'data: {"error"'):
                told.code = str(orjson.loads(event[6:])["error"]["code"])
            elif b'"cost":' in event:
                told.cost = event.partition(b'"cost":')[2].partition(b"}")[0].partition(b",")[0].decode()
        if not told.whole and not told.code:
            told.cut = "ended early"

    async def get(self, node: int, path: str, key: str) -> tuple[int, dict[str, object]]:
        """A document of a gateway; 0 when it cannot be reached."""
        return await self.page(f"{self.origins[node]}{path}", {"authorization": f"Bearer {key}"})

    async def page(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, object]]:
        """A document at a whole URL; 0 when it cannot be reached."""
        try:
            async with self._session.get(url, headers=headers) as response:
                return response.status, await response.json()
        except (aiohttp.ClientError, OSError):
            return 0, {}
