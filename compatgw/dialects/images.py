"""What images of all dialects have in common: sizes and ratios, usage, answers as results, and several joined into one.

What does not live here: any one protocol, streams (`openai/images.py`), the shapes (`wire/images.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from compatgw.dialects import media
from compatgw.dialects.base import Result
from compatgw.errors import Blame, InvalidRequest, UpstreamRejected
from compatgw.wire.images import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Target
    from compatgw.wire.chat import Usage
    from compatgw.wire.images import Image, ImagesAnswer, ImageUsage

# A number beyond what JSON carries exactly is nonsense.
_MOST = 2**53
_HEAD = 12
_SAID = 1000
# Pixels of the longer side up to which a grade will do.
_GRADES = (("1K", 1536), ("2K", 3072), ("4K", 2**31))


# --- sizes -----------------------------------------------------------------------------------


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


def measured(size: str | None) -> Size | None:
    """The size that a request asks for, None where it leaves that to the model."""
    width, cross, height = (size or "").partition("x")
    return Size(int(width), int(height)) if cross else None


def nearest(size: Size, ratios: Sequence[str]) -> str:
    """Which of `ratios`, such as `16:9`, is most like `size`; the first of several that are equally so."""
    wanted = math.log(size.width / size.height)
    return min(ratios, key=lambda ratio: abs(_logarithm(ratio) - wanted))


def _logarithm(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return math.log(float(width) / float(height))


def grade(size: Size, grades: Sequence[str]) -> str:
    """Which of `grades`, of `1K`, `2K` and `4K` in this order, has the pixels for `size`; the largest when none has."""
    longer = max(size)
    return next((name for name, pixels in _GRADES if name in grades and longer <= pixels), grades[-1])


def kind(data: bytes, param: str) -> str:
    """What an image that was sent in is, by its bytes.

    Raises:
        InvalidRequest: It is none; `param` is where it stood.
    """
    found = kind_of(data[:_HEAD])
    if found is None:
        raise InvalidRequest(f"'{param}' holds no PNG, JPEG, WebP or GIF image.", param=param)
    return found


# --- answers ---------------------------------------------------------------------------------


def addressed(image: Image) -> Image:
    """`image` with an address: a `data:` URL made of its base64 where it has none."""
    if "url" in image or "b64_json" not in image:
        return image
    data = image["b64_json"]
    rest = {name: value for name, value in image.items() if name != "b64_json"}
    return cast("Image", {"url": f"data:{media.sniff(data) or 'image/png'};base64,{data}", **rest})


def result(answer: ImagesAnswer) -> Result:
    """A whole answer, with its images counted and its tokens told in the hub's words."""
    usage = answer.get("usage")
    return Result(
        cast("Mapping[str, Any]", answer),
        None if usage is None else in_hub(usage),
        images=len(answer["data"]),
    )


def refused(why: str, target: Target) -> UpstreamRejected:
    """The failure of a request that was answered with words, or a filter's word, instead of an image (to be raised)."""
    said = f" It says: {why[:_SAID].strip()}" if why.strip() else ""
    return UpstreamRejected(
        f"{target.provider} (model '{target.model}') made no image.{said} Change the prompt.",
        blame=Blame.CALLER,
        upstream_status=200,
        status=400,
        param="prompt",
        code="content_blocked",
    )


def join(results: Sequence[Result]) -> Result:
    """The answers to parts of one request as one: all images in order, usage added up, the rest as the first has it.

    Raises:
        ValueError: There are none.
    """
    if not results:
        raise ValueError("there is nothing to join")
    first = results[0]
    body: dict[str, Any] = {**first.body, "data": [image for one in results for image in one.body["data"]]}
    usages = [one.body["usage"] for one in results if "usage" in one.body]
    if usages:
        body["usage"] = _added(usages)
    told = [one.usage for one in results if one.usage is not None]
    return Result(body, cast("Usage", _added(told)) if told else None, images=sum(one.images for one in results))


def _added(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            if isinstance(value, dict):
                total[name] = _added([total.get(name, {}), value])
            else:
                total[name] = total.get(name, 0) + value
    return total


# --- usage -----------------------------------------------------------------------------------


def usage(value: Any) -> ImageUsage | None:
    """Tokens in OpenAI's words for images, out of those or out of its words for chat; None where none are told."""
    if not isinstance(value, dict):
        return None
    prompt, completion = (
        _first(value, "input_tokens", "prompt_tokens"),
        _first(value, "output_tokens", "completion_tokens"),
    )
    if prompt is None and completion is None:
        return None
    total = (prompt or 0) + (completion or 0)
    out: dict[str, Any] = {
        "input_tokens": prompt or 0,
        "output_tokens": completion or 0,
        "total_tokens": max(total, _first(value, "total_tokens") or 0),
    }
    for name, other, count in (
        ("input_tokens", "prompt_tokens", prompt),
        ("output_tokens", "completion_tokens", completion),
    ):
        found = next(
            (value[key] for key in (f"{name}_details", f"{other}_details") if isinstance(value.get(key), dict)), None
        )
        # OpenAI's SDK wants those of the input in any case, and both kinds where there are any.
        if found is not None or name == "input_tokens":
            out[f"{name}_details"] = _details(found or {}, count or 0)
    return cast("ImageUsage", out)


def _details(value: Mapping[str, Any], total: int) -> dict[str, int]:
    told = {name: count for name in value if (count := _first(value, name)) is not None}
    seen = told.get("image_tokens", 0)
    return {"text_tokens": max(0, total - seen), "image_tokens": seen, **told}


def in_hub(usage: ImageUsage) -> Usage:
    """The same tokens in the hub's words."""
    out: dict[str, Any] = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    for ours, theirs in (
        ("prompt_tokens_details", "input_tokens_details"),
        ("completion_tokens_details", "output_tokens_details"),
    ):
        if details := usage.get(theirs):
            out[ours] = details
    return cast("Usage", out)


def _first(value: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        number = value.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < _MOST:
            return int(number)
    return None
