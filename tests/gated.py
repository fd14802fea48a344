"""An OpenAI-like upstream whose stream the test lets out event by event."""

import asyncio
import threading
from typing import Any


class GatedUpstream:
    """An OpenAI-like upstream that sends the next event only when told to.

    Attributes:
        closed: Set when its client has left.
        requests: Paths asked for, with the headers.
    """

    def __init__(self) -> None:
        self._tokens = 0
        self._lock = threading.Lock()
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self.closed = threading.Event()
        self.requests: list[tuple[str, dict[bytes, bytes]]] = []

    def let(self, events: int = 1) -> None:
        """Lets so many more events out."""
        with self._lock:
            self._tokens += events
            if self._wake is not None:
                loop, event = self._wake
                loop.call_soon_threadsafe(event.set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        self.requests.append((scope["path"], dict(scope["headers"])))
        while (await receive()).get("more_body"):
            pass
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        self._wake = (asyncio.get_running_loop(), asyncio.Event())
        gone = asyncio.ensure_future(self._watch(receive))
        try:
            for number in range(6):
                if not await self._token(gone):
                    return
                await send({"type": "http.response.body", "body": event(number), "more_body": True})
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        finally:
            gone.cancel()

    async def _token(self, gone: "asyncio.Future[None]") -> bool:
        """Waits for leave to send one event; False when the client has left instead."""
        assert self._wake is not None
        event = self._wake[1]
        while True:
            with self._lock:
                event.clear()
                if self._tokens:
                    self._tokens -= 1
                    return True
            waiting: asyncio.Future[Any] = asyncio.ensure_future(event.wait())
            await asyncio.wait([waiting, gone], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if gone.done():
                return False

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.closed.set()


def event(number: int) -> bytes:
    """The `number`th event of a stream of six: role, four words, finish."""
    delta = {0: '{"role":"assistant","content":""}', 5: "{}"}.get(number, f'{{"content":"word{number} "}}')
    finish = '"stop"' if number == 5 else "null"
    return (
        f'data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        f'[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}\n\n'
    ).encode()
