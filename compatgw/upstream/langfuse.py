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
    from collections.abc import Mapping

    from compatgw.upstream.client import UpstreamClient

_LIMIT = 1 << 20
_OK, _MISSING = 200, 404
# Characters of its own words that are told on.
_SAID = 300
_SHOWN = 80
# Seconds; a longer `Retry-After` is not told.
_LONGEST_PAUSE = 3600
# As a part of a path they mean another place.
_DOTS = frozenset({".", ".."})


class Langfuse:
    """The prompts of one project.

    Args:
        upstream: What carries the calls.
        base_url: Such as `https://cloud.langfuse.com`.
        public_key, secret_key: Of the project; sent as basic authentication, never shown.
        timeout: Seconds for one prompt.

    Raises:
        ValueError: An address or a key that cannot be.
    """

    def __init__(
        self, upstream: UpstreamClient, base_url: str, public_key: str, secret_key: str, *, timeout: float = 5.0
    ) -> None:
        if not base_url.startswith(("https://", "http://")):
            raise ValueError("'base_url' must begin with https:// or http://.")
        if not public_key or not secret_key or ":" in public_key:
            raise ValueError("'public_key' and 'secret_key' must not be empty, and the first holds no ':'.")
        token = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
        plain = (("Authorization", f"Basic {token}"),)
        self._upstream = upstream
        self._endpoint = Endpoint("langfuse", base_url.rstrip("/"), plain)
        self._hidden = (token, secret_key, public_key)
        self._timeout = timeout

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """The version of that number or label; None when there is none.

        Raises:
            UpstreamFailure: It cannot be asked, or answered with something that is no prompt we can use.
        """
        if name in _DOTS:
            return None
        choice = {"version": version} if isinstance(version, int) else {"label": version or PRODUCTION}
        path = f"/api/public/v2/prompts/{quote(name, safe='')}?{urlencode(choice)}"
        outgoing = Outgoing(path, b"", (("Accept", "application/json"),), method="GET")
        try:
            async with asyncio.timeout(self._timeout):
                status, pause, body = await self._got(outgoing)
        except TimeoutError:
            raise UpstreamTimeout(f"Langfuse did not answer within {self._timeout:g} seconds.") from None
        if status == _MISSING and _is_word_of_its_own(body):
            return None
        if status != _OK:
            # Cut afterwards: half a secret is one, too.
            said = self._clean(body.decode("utf-8", "replace"))[:_SAID].strip().rstrip(".")
            raise UpstreamFailure(
                f"Langfuse answered with status {status}{f': {said}' if said else ''}.",
                upstream_status=status,
                retry_after=pause,
            )
        return _read(name, body)

    async def _got(self, outgoing: Outgoing) -> tuple[int, float | None, bytes]:
        reply = await self._upstream.send(self._endpoint, outgoing)
        try:
            return reply.status, _pause(reply.headers), await read_all(self._endpoint, reply, _LIMIT)
        finally:
            await reply.aclose()

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "[redacted]")
        return text


def _is_word_of_its_own(body: bytes) -> bool:
    """False for the 404 of whatever stands before it: that a page is missing does not mean that a prompt is."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and ("error" in value or "message" in value)


def _pause(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and int(text) <= _LONGEST_PAUSE else None


def _read(name: str, body: bytes) -> Prompt:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamFailure("Langfuse answered with something that is not JSON.") from None
    version = value.get("version") if isinstance(value, dict) else None
    if isinstance(version, bool) or not isinstance(version, int):
        raise _unusable(name, "it has no version")
    given = value.get("prompt")
    messages: Any = [{"role": "system", "content": given}] if isinstance(given, str) and given else given
    if not isinstance(messages, list) or not messages:
        raise _unusable(name, "it has no messages")
    labels = value.get("labels")
    return Prompt(
        name=name,
        version=version,
        labels=frozenset(map(str, labels)) if isinstance(labels, list) else frozenset(),
        messages=tuple(_message(name, one) for one in messages),
    )


def _message(name: str, given: Any) -> PromptMessage:
    if not isinstance(given, dict):
        raise _unusable(name, "one of its messages is no object")
    if given.get("type") == "placeholder":
        placeholder = str(given.get("name"))[:_SHOWN]
        raise _unusable(name, f"its placeholder '{placeholder}' stands for messages, which calls cannot fill in")
    role, content = given.get("role"), given.get("content")
    if role not in ROLES or not isinstance(content, str):
        raise _unusable(name, f"a message of the role {str(role)[:_SHOWN]!r} is not served")
    return PromptMessage(role, content)


def _unusable(name: str, why: str) -> UpstreamFailure:
    return UpstreamFailure(f"The prompt '{name[:_SHOWN]}' of Langfuse cannot be used: {why}. Mend it there.")
