"""Sends the scorecard's requests, each once, and shares what came back.

What does not live here: reading answers (`wire.py`), judging them.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, Skips, dig, is_text, short
from compatgw_testing.check.wire import Answer, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT: Final = 256
MOST_BYTES: Final = 32 * 1024 * 1024
# A server that lacks a feature answers one of these.
REFUSALS: Final = frozenset({400, 403, 404, 405, 415, 422, 501})
LEAVE_OUT: Final = object()
_NO_CHAT: Final = ("embed", "whisper", "tts", "dall-e", "rerank", "moderation", "image")


class Unreachable(Exception):
    """There is no server to judge; the message says what to do."""


class Probe:
    """A server under judgement.

    Args:
        http: Carries the requests. Its own time-outs do not matter.
        base_url: What an SDK takes as base URL, such as `http://127.0.0.1:8000/v1`. With a key, a user and password
            in it are left out: they would take the key's place.
        key: Sent as a bearer token; None sends none.
        model: The model to ask; None takes the first that is listed.
        embedding_model: The model to embed with; None takes a listed one whose id says so.
        timeout: Seconds for one whole request.
        clock: Seconds, for arrivals.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        *,
        key: str | None = None,
        model: str | None = None,
        embedding_model: str | None = None,
        timeout: float = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.http = http
        self.base_url = _without_login(base_url) if key is not None else base_url.rstrip("/")
        self.key = key
        self.timeout = timeout
        self.requests = 0
        self.model = model or ""
        self.embedding_model = embedding_model
        self._limit = "max_tokens"
        self._clock = clock
        self._answers: dict[object, Answer] = {}

    async def prepare(self) -> None:
        """Finds the server, its API's path, a model, and how it wants an answer's length limited.

        Raises:
            Unreachable: Nothing answers there, or no model can be found.
        """
        listed = await self.send("GET", "/models")
        if listed.status == 0:
            why = self.scrubbed(listed.failure or "no answer")
            raise Unreachable(
                f"{self.shown_url} cannot be reached: {why}. Check that the server runs and that the URL is its OpenAI "
                "base URL, such as http://127.0.0.1:8000/v1."
            )
        if listed.status == 404 and not self.base_url.endswith("/v1"):
            plain, self.base_url = self.base_url, f"{self.base_url}/v1"
            longer = await self.send("GET", "/models")
            if longer.status in (404, 0):
                self.base_url = plain
            else:
                listed = longer
        ids = [one for one in (dig(row, "id") for row in _rows(listed)) if is_text(one)]
        if not self.model:
            chat = [one for one in ids if not any(word in one.lower() for word in _NO_CHAT)]
            if not chat:
                raise Unreachable(
                    f"{self.shown_url}/models names no model to ask ({listed.said}). Give one with --model, and a key "
                    "with --key if the server wants one."
                )
            self.model = chat[0]
        if self.embedding_model is None:
            self.embedding_model = next((one for one in ids if "embed" in one.lower()), self.model)
        first = await self.ask()
        if first.status == 400 and dig(first.error, "param") == "max_tokens":
            self._limit = "max_completion_tokens"

    @property
    def shown_url(self) -> str:
        """The base URL without credentials and query."""
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    def scrubbed(self, text: str) -> str:
        """`text` without the key and without the URL's credentials."""
        hidden = (self.key, urlsplit(self.base_url).password)
        for secret in hidden:
            if secret and len(secret) > 3:
                text = text.replace(secret, "***")
        return text

    # Sending.

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: object = LEAVE_OUT,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | object | None = LEAVE_OUT,
        again: int = 0,
    ) -> Answer:
        """One request; an equal one that was sent before is not sent again.

        Args:
            method: HTTP method.
            path: Below the base URL.
            body: Sent as JSON.
            raw: Sent as it is.
            headers: Further headers, or others; an empty value leaves one out.
            key: Another key than the probe's; None sends none.
            again: Makes equal requests differ, where two answers are to be compared.
        """
        content = raw if raw is not None else b"" if body is LEAVE_OUT else dumped(body)
        lines = self._headers(key, has_body=bool(content) or raw is not None)
        lines.update(headers or {})
        lines = {name: value for name, value in lines.items() if value}
        memo = (method, self.base_url, path, content, tuple(sorted(lines.items())), again)
        if memo not in self._answers:
            answer = await self._exchange(method, path, content, lines)
            if answer.status == 0 and answer.broke:
                # A server may close an idle connection just when it is used again; that is no fault of its.
                answer = await self._exchange(method, path, content, lines)
            self._answers[memo] = answer
        return self._answers[memo]

    def _headers(self, key: str | object | None, *, has_body: bool) -> dict[str, str]:
        token = self.key if key is LEAVE_OUT else key
        lines = {"accept-encoding": "identity"}
        if token is not None:
            lines["authorization"] = f"Bearer {token}"
        if has_body:
            lines["content-type"] = "application/json"
        return lines

    async def _exchange(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> Answer:
        self.requests += 1
        answer = Answer()
        pieces: list[bytes] = []
        arrivals: list[float] = []
        size = 0
        started = self._clock()
        raw_headers = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        try:
            async with asyncio.timeout(self.timeout):
                request = self.http.build_request(method, self.base_url + path, content=content, headers=raw_headers)
                response = await self.http.send(request, stream=True)
                try:
                    answer.status = response.status_code
                    answer.headers = {name.lower(): value for name, value in response.headers.items()}
                    answer.connection = _connection(response)
                    async for piece in response.aiter_bytes():
                        pieces.append(piece)
                        arrivals.append(self._clock() - started)
                        size += len(piece)
                        if size > MOST_BYTES:
                            answer.failure = f"more than {MOST_BYTES} bytes came"
                            break
                finally:
                    await response.aclose()
        except TimeoutError:
            answer.failure = f"not finished within {self.timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer.broke = isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
            answer.failure = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        answer.raw = b"".join(pieces)
        answer.arrivals = tuple(arrivals)
        return answer

    # Chat.

    def asked(self, **members: object) -> dict[str, Any]:
        """The body of a chat request: a short question, but for `members`; `LEAVE_OUT` takes one out."""
        body = {"model": self.model, "messages": asks.user(asks.HELLO), self._limit: LIMIT, **members}
        if "max_tokens" in members or "max_completion_tokens" in members:
            kept = "max_tokens" if "max_tokens" in members else "max_completion_tokens"
            body = {name: value for name, value in body.items() if name != self._limit or name == kept}
        return {name: value for name, value in body.items() if value is not LEAVE_OUT}

    async def ask(self, **members: object) -> Answer:
        """The answer to a chat request; `again` is no member but makes equal requests differ."""
        again = members.pop("again", 0)
        number = again if isinstance(again, int) else 0
        return await self.send("POST", "/chat/completions", body=self.asked(**members), again=number)

    async def plain(self, **members: object) -> dict[str, Any]:
        """The body of a good plain answer.

        Raises:
            Blocked: The answer is not good.
        """
        answer = await self.ask(**members)
        if answer.status != 200 or answer.failure:
            raise Blocked(f"the request that this rests on was answered {answer.said}")
        return answer.body()

    async def message(self, **members: object) -> dict[str, Any]:
        """The first message of a good plain answer.

        Raises:
            Blocked: There is none.
        """
        body = await self.plain(**members)
        message = dig(body, "choices", 0, "message")
        if not isinstance(message, dict):
            raise Blocked(f"the answer has no choices[0].message: {short(body)}")
        return message

    async def stream(self, **members: object) -> Stream:
        """A streamed answer that has at least one event.

        Raises:
            Blocked: It was refused, broke off, or is no stream.
        """
        answer = await self.ask(stream=True, **members)
        if answer.status != 200 or answer.failure:
            raise Blocked(f"the stream that this rests on was answered {answer.said}")
        stream = Stream(answer)
        if not stream.chunks:
            raise Blocked(f"the stream that this rests on has no chunk: {answer.said}")
        return stream

    async def optional(self, what: str, **members: object) -> Answer:
        """The answer to a chat request that a server may refuse.

        Raises:
            Skips: It does.
        """
        answer = await self.ask(**members)
        if answer.status in REFUSALS:
            raise Skips(f"the server does not take {what}: {answer.said}")
        return answer

    async def leave(self, after: int, **members: object) -> int:
        """Asks for a stream and goes away after so many pieces; gives the status, 0 without an answer."""
        self.requests += 1
        headers = self._headers(LEAVE_OUT, has_body=True)
        content = dumped(self.asked(stream=True, **members))
        status = 0
        try:
            async with asyncio.timeout(self.timeout):
                url = f"{self.base_url}/chat/completions"
                async with self.http.stream("POST", url, content=content, headers=headers) as response:
                    status = response.status_code
                    got = 0
                    async for _ in response.aiter_raw():
                        got += 1
                        if got >= after:
                            break
        except (TimeoutError, httpx.HTTPError):
            return 0
        return status


def dumped(body: object) -> bytes:
    """`body` as JSON in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _without_login(base_url: str) -> str:
    parts = urlsplit(base_url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _rows(answer: Answer) -> list[Any]:
    try:
        data = dig(json.loads(answer.raw), "data")
    except (ValueError, RecursionError):
        return []
    return data if isinstance(data, list) else []


def _connection(response: httpx.Response) -> object:
    stream = response.extensions.get("network_stream")
    return None if stream is None else stream.get_extra_info("client_addr")
