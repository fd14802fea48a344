"""Prompt templates kept in Langfuse, by its public HTTP API: one GET for a name with a version or a label.

What does not live here: remembering them, and what happens while it is away (`flow/prompts.py`).
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from compatgw.dialects.base import Outgoing
from compatgw.errors import UpstreamFailure, UpstreamTimeout
from compatgw.upstream.client import Endpoint, read_all
from compatgw.wire.prompts import PRODUCTION, ROLES, Prompt, PromptMessage

if TYPE_CHECKING:
    from compatgw.upstream.client import UpstreamClient

_LIMIT = 4 << 20
_MISSING = 404


class Langfuse:
    """The prompts of one project.

    Args:
        upstream: What carries the calls.
        base_url: Such as `https://cloud.langfuse.com`.
        public_key, secret_key: Of the project; sent as basic authentication, never shown.
        timeout: Seconds for one prompt.
    """

    def __init__(
        self, upstream: UpstreamClient, base_url: str, public_key: str, secret_key: str, *, timeout: float = 5.0
    ) -> None:
        token = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
        plain = (("Authorization", f"Basic {token}"),)
        self._upstream = upstream
        self._endpoint = Endpoint("langfuse", base_url.rstrip("/"), plain)
        self._hidden = (token, secret_key)
        self._timeout = timeout

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """The version of that number or label; None when there is none.

        Raises:
            UpstreamFailure: It cannot be asked, or answered with something that is no prompt we can use.
        """
        choice = {"version": version} if isinstance(version, int) else {"label": version or PRODUCTION}
        path = f"/api/public/v2/prompts/{quote(name, safe='')}?{urlencode(choice)}"
        outgoing = Outgoing(path, b"", (("Accept", "application/json"),), method="GET")
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._got(outgoing)
        except TimeoutError:
            raise UpstreamTimeout(f"Langfuse did not answer within {self._timeout:g} seconds.") from None
        if status == _MISSING:
            return None
        if status != 200:
            said = body[:300].decode("utf-8", "replace")
            raise UpstreamFailure(
                f"Langfuse answered with status {status}: {self._clean(said)}.", upstream_status=status
            )
        return _read(name, body)

    async def _got(self, outgoing: Outgoing) -> tuple[int, bytes]:
        reply = await self._upstream.send(self._endpoint, outgoing)
        try:
            return reply.status, await read_all(self._endpoint, reply, _LIMIT)
        finally:
            await reply.aclose()

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "[redacted]")
        return text


def _read(name: str, body: bytes) -> Prompt:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamFailure("Langfuse answered with something that is not JSON.") from None
    if not isinstance(value, dict) or not isinstance(value.get("version"), int):
        raise _unusable(name, "it has no version")
    given = value.get("prompt")
    messages: Any = [{"role": "system", "content": given}] if isinstance(given, str) else given
    if not isinstance(messages, list) or not messages:
        raise _unusable(name, "it has no messages")
    labels = value.get("labels")
    return Prompt(
        name=name,
        version=value["version"],
        labels=frozenset(map(str, labels)) if isinstance(labels, list) else frozenset(),
        messages=tuple(_message(name, one) for one in messages),
    )


def _message(name: str, given: Any) -> PromptMessage:
    if not isinstance(given, dict):
        raise _unusable(name, "one of its messages is no object")
    if given.get("type") == "placeholder":
        raise _unusable(name, f"its placeholder '{given.get('name')}' stands for messages, which calls cannot fill in")
    role, content = given.get("role"), given.get("content")
    if role not in ROLES or not isinstance(content, str):
        raise _unusable(name, f"a message of the role {role!r} is not served")
    return PromptMessage(role, content)


def _unusable(name: str, why: str) -> UpstreamFailure:
    return UpstreamFailure(f"The prompt '{name}' of Langfuse cannot be used: {why}. Mend it there.")
