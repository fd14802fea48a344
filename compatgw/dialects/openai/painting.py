"""Images of hosts that make them in chat alone: a request for images as a chat, a message with images as the answer.

The prompt is the user's message, behind the images to be edited; ratio and resolution stand in `image_config`. Words
instead of an image are a refusal, and told as one.

What does not live here: which hosts these are (`providers/images.py`), hosts with an endpoint for images (`images.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import images, media
from compatgw.dialects.openai import response
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Context, Result
    from compatgw.wire.images import Image, ImagesAnswer

PATH = "/chat/completions"
# Models that answer with images alone refuse to be asked for text as well.
_SPEECHLESS = re.compile(r"flux|riverflow|seedream|recraft|imagen|stable-diffusion")
# What such a model makes when it is not told.
_USUAL = "1k"


def asked(body: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """The chat that asks for what `body` asks for.

    Args:
        body: Members of a request for images, shaped for the target.
        sources: Images to be edited: data URLs or addresses.
    """
    rest = dict(body)
    prompt, ratio, resolution = rest.pop("prompt"), rest.pop("aspect_ratio", None), rest.pop("resolution", None)
    rest.pop("n", None)
    content: Any = prompt
    if sources:
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in sources]
        content = [*shown, {"type": "text", "text": prompt}]
    config = {"aspect_ratio": ratio, "image_size": None if resolution == _USUAL else resolution}
    config = {name: value.upper() if name == "image_size" else value for name, value in config.items() if value}
    chat: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image"] if _SPEECHLESS.search(body["model"].lower()) else ["image", "text"],
    }
    if config:
        chat["image_config"] = config
    return {**chat, **rest}


def decode(body: bytes, context: Context) -> Result:
    """The images of a chat's answer.

    Raises:
        UpstreamRejected: There are words alone.
        UpstreamFailure: Not an answer, an error in spite of status 200, or nothing at all.
    """
    completion = response.decode(body, context).completion
    data: list[Image] = []
    kinds: set[str] = set()
    said = ""
    for choice in completion["choices"]:
        message = choice["message"]
        said += message.get("content") or message.get("refusal") or ""
        for shown in message.get("images", ()):
            if (found := _image(shown)) is not None:
                data.append(found[0])
                kinds.add(found[1])
    if not data:
        if said.strip():
            raise images.refused(said, context.target)
        raise UpstreamFailure(
            f"{context.target.provider} (model '{context.target.model}') answered without any image. "
            "Send the request again, or change the prompt."
        )
    if context.memo.get("address"):
        data = [images.addressed(image) for image in data]
    answer: ImagesAnswer = {"created": completion["created"], "data": data}
    if len(kinds) == 1 and (kind := kinds.pop()):
        answer["output_format"] = kind
    if (usage := images.usage(completion.get("usage"))) is not None:
        answer["usage"] = usage
    return images.result(answer)


def _image(shown: Any) -> tuple[Image, str] | None:
    """An image of a message, and what kind it is, where that is known."""
    inner = shown.get("image_url") if isinstance(shown, dict) else None
    url = inner.get("url") if isinstance(inner, dict) else inner
    if not isinstance(url, str) or not url:
        return None
    if not media.is_data_url(url):
        return {"url": url}, ""
    head, _, data = url.partition(",")
    kind = media.sniff(data) or head[5:].partition(";")[0].lower()
    return (cast("Image", {"b64_json": data}), kind.rpartition("/")[2]) if data else None
