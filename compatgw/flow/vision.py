"""Images for models that see none: a model that sees puts them into words, which then stand in their place.

The same image is described once, for as long as its description is kept; a description belongs to the team whose
image it is. What describing costs is part of what the call costs.

What does not live here: which models see (`providers/catalogue.json`), that there is nobody better (`policy/plan.py`).
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import Answer
from compatgw.errors import UpstreamFailure
from compatgw.flow.aside import aside
from compatgw.flow.cache import tenant_of
from compatgw.policy.needs import is_image, parts_of
from compatgw.state.base import CountersLost
from compatgw.surfaces.chat import CHAT

if TYPE_CHECKING:
    from compatgw.flow.call import Call, House
    from compatgw.wire.chat import ChatRequest

_log = logging.getLogger("compatgw")


async def described(call: Call, house: House, request: ChatRequest) -> ChatRequest:
    """`request` with words in place of its images, each where it stood. A new value.

    Raises:
        UpstreamFailure: An image could not be described.
    """
    images = {_digest(part): part for part in parts_of(request) if is_image(part)}
    if not images:
        return request
    gate = asyncio.Semaphore(house.settings.vision.parallel)
    tasks = {
        digest: asyncio.ensure_future(_described(call, house, digest, part, gate)) for digest, part in images.items()
    }
    try:
        words = dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
    call.described = house.settings.vision.model or ""
    messages = [_with_words(message, words) for message in request["messages"]]
    return cast("ChatRequest", {**request, "messages": messages})


def _digest(part: Any) -> str:
    return blake2b(orjson.dumps(part, option=orjson.OPT_SORT_KEYS), digest_size=32).hexdigest()


def _with_words(message: Any, words: dict[str, str]) -> Any:
    content = message.get("content")
    if not isinstance(content, list) or not any(is_image(part) for part in content):
        return message
    return {
        **message,
        "content": [
            {"type": "text", "text": f"[Image: {words[_digest(part)]}]"} if is_image(part) else part for part in content
        ],
    }


async def _described(call: Call, house: House, digest: str, part: Any, gate: asyncio.Semaphore) -> str:
    own = house.settings.vision
    name = f"seen:{blake2b(f'{tenant_of(call.caller)} {own.model} {own.prompt} {digest}'.encode()).hexdigest()}"
    if (kept := await _kept(house, name)) is not None:
        return kept
    async with gate:
        words = await _asked(call, house, part)
    try:
        await house.seen.put(name, words.encode(), own.keep)
    except CountersLost as error:
        _log.info("%s The description of an image is not kept.", error)
    return words


async def _kept(house: House, name: str) -> str | None:
    try:
        data = await house.seen.get(name)
    except CountersLost as error:
        _log.info("%s An image is described anew.", error)
        return None
    return data.decode() if data is not None else None


async def _asked(call: Call, house: House, part: Any) -> str:
    """What the vision model says of one image. It is asked for the gateway, whatever the caller may call itself."""
    from_us = house.settings.vision
    request: Any = {
        "model": from_us.model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": from_us.prompt}, part]}],
        "max_tokens": from_us.max_tokens,
    }
    found, cost = await aside(call, house, CHAT, request, "seen")
    if not isinstance(found, Answer):
        raise RuntimeError("a chat is answered by a completion")
    call.ticket.extra += cost
    text = found.completion["choices"][0]["message"].get("content")
    if not text:
        raise UpstreamFailure(
            f"The vision model '{from_us.model}' did not say what is in an image. Choose a model that sees images "
            "itself, or send the request again."
        )
    return text.strip()
