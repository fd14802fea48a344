"""Images from Google's models: Gemini's own through `generateContent`, Imagen's through `predict`.

Which of the two a model is called by, and which ratios and resolutions it has, are rows of a table by its id; each
may be overridden for one model by configuration (`Target.traits`) under the names of the attributes of `Painter`.
`size` becomes the nearest ratio, and a resolution where the model has several; both are reported as clamped.

There are no addresses: who asks for a `url` gets a `data:` URL. There are no streams: whole answers are told as one.
Words instead of an image are a refusal, and told as one.

What does not live here: images in chat (`candidate.py`), the shapes (`wire/images.py`).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import images, media
from compatgw.dialects.base import Codec, Leftovers, Outgoing, always
from compatgw.dialects.gemini import models, refusal, response
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, MediaCodec, Result, Target
    from compatgw.wire.images import EditRequest, Image, ImageRequest, ImagesAnswer
    from compatgw.wire.multipart import Upload


@dataclass(frozen=True, slots=True)
class Painter:
    """How one model makes images.

    Attributes:
        method: What it is called by: `generateContent` or `predict`.
        ratios: Aspect ratios that it takes; empty: it takes none.
        grades: Resolutions that it takes, smallest first; empty: it takes none.
        most: Images that one call gives.
        edits: Takes images.
    """

    method: str = "generateContent"
    ratios: tuple[str, ...] = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
    grades: tuple[str, ...] = ("1K", "2K", "4K")
    most: int = 1
    edits: bool = True


_NEW = Painter()
_IMAGEN = Painter("predict", ("1:1", "3:4", "4:3", "9:16", "16:9"), (), 4, edits=False)
_ROWS: tuple[tuple[re.Pattern[str], Painter], ...] = (
    (re.compile(r"imagen-4[.\d]*-fast"), _IMAGEN),
    (re.compile(r"imagen-[4-9]"), replace(_IMAGEN, grades=("1K", "2K"))),
    (re.compile(r"imagen"), _IMAGEN),
    (re.compile(r"gemini-2\.0"), replace(_NEW, ratios=(), grades=())),
    (re.compile(r"gemini-2|nano-banana$"), replace(_NEW, grades=())),
    (
        re.compile(r"gemini-3\.1-flash(-lite)?-image|nano-banana-2"),
        replace(_NEW, ratios=(*_NEW.ratios, "1:4", "4:1", "1:8", "8:1")),
    ),
)
_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(Painter)}
# Members that are read here; of the others, these change the image, and the rest tune it.
_READ = frozenset({"model", "prompt", "n", "size", "stream", "response_format", "images", "files", "partial_images"})
_CHANGING = frozenset({"mask", "markup", "frame_count", "frame_duration_ms", "svg"})
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "background": ("auto", "opaque"), "moderation": ("auto",), "output_format": ("png",), "output_compression": (100,),
    "quality": ("auto", "standard"), "input_fidelity": ("low",),
}  # fmt: skip
_PICTURES = ("image", "image[]")
# Ends that are about what was asked for; after all others the same request may have an image.
_DECLINED = re.compile(r"SAFETY|PROHIBITED|BLOCKLIST|RECITATION|SPII|NO_IMAGE|MODEL_ARMOR")


def painter(target: Target) -> Painter:
    """How the target's model makes images, with the overrides that configuration gives."""
    known = _known(target.model.removeprefix("models/"))
    given = {name: value for name, value in target.traits.items() if name in _DEFAULTS}
    for name in ("ratios", "grades"):
        if name in given:
            given[name] = tuple(given[name])
    return replace(known, **given) if given else known


@lru_cache(maxsize=256)
def _known(name: str) -> Painter:
    return next((found for pattern, found in _ROWS if pattern.match(name)), _NEW)


# --- requests --------------------------------------------------------------------------------


def encode(request: ImageRequest, target: Target) -> Outgoing:
    """A request for images as the target's model takes it.

    Raises:
        UnsupportedParameter: Something that changes the image and cannot be carried.
    """
    return _encoded(cast("dict[str, Any]", request), target, Leftovers(target), [])


def encode_edit(request: EditRequest, target: Target) -> Outgoing:
    """A request for edits as the target's model takes it: its images first, then what to do with them.

    Raises:
        InvalidRequest: An image that is none.
        UnsupportedParameter: Something that changes the image and cannot be carried.
    """
    members = cast("dict[str, Any]", request)
    left = Leftovers(target)
    if not painter(target).edits:
        raise left.refusal("image", "This model does not take images. Choose one that edits.")
    files: list[Upload] = members.get("files", [])
    pictures = [upload for upload in files if upload.name in _PICTURES]
    parts = [_uploaded(upload, place, left) for place, upload in enumerate(pictures)]
    parts += [_linked(source, f"images[{place}]", left) for place, source in enumerate(members.get("images", ()))]
    for upload in files:
        if upload.name not in _PICTURES:
            left.semantic(upload.name, True, why="Say in 'prompt' what to change.")
    return _encoded(members, target, left, parts)


def _encoded(members: Mapping[str, Any], target: Target, left: Leftovers, parts: list[dict[str, Any]]) -> Outgoing:
    model = painter(target)
    count = members.get("n", 1)
    if count > model.most:
        left.semantic("n", count, why="Send the request once for each image.")
        count = 1
    _leave(members, left)
    ratio, grade = _sized(members, model, left)
    if model.method == "predict":
        parameters: dict[str, Any] = {"sampleCount": count}
        if ratio:
            parameters["aspectRatio"] = ratio
        if grade:
            parameters["sampleImageSize"] = grade
        body: dict[str, Any] = {"instances": [{"prompt": members["prompt"]}], "parameters": parameters}
    else:
        config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        shape = {name: value for name, value in (("aspectRatio", ratio), ("imageSize", grade)) if value}
        if shape:
            config["imageConfig"] = shape
        content = {"role": "user", "parts": [*parts, {"text": members["prompt"]}]}
        body = {"contents": [content], "generationConfig": config}
    return Outgoing(
        models.path(target, model.method),
        orjson.dumps(body),
        dropped=tuple(left.dropped),
        clamped=tuple(left.clamped),
        memo={"address": members.get("response_format") == "url" and not members.get("stream")},
    )


def _leave(members: Mapping[str, Any], left: Leftovers) -> None:
    """Leaves out what Google's models do not know."""
    for name, value in members.items():
        if name in _READ or value in _NEUTRAL.get(name, ()):
            continue
        if name in _CHANGING:
            left.semantic(name, value, why="Say in 'prompt' what to change.")
        elif name == "background":
            left.semantic(name, value, why="These models paint no transparent background.")
        else:
            left.hint(name, value)
    left.hint("partial_images", members.get("partial_images") or None)


def _sized(members: Mapping[str, Any], model: Painter, left: Leftovers) -> tuple[str, str]:
    """Ratio and resolution, "" for what is not said."""
    size = images.measured(members.get("size"))
    if size is None:
        return "", ""
    if not model.ratios:
        left.hint("size", members["size"])
        return "", ""
    ratio = images.nearest(size, model.ratios)
    # The smallest is what a model paints anyway.
    grade = images.grade(size, model.grades) if model.grades else ""
    left.clamp("size", f"{ratio} {grade}".rstrip())
    return ratio, grade if grade != "1K" else ""


def _uploaded(upload: Upload, place: int, left: Leftovers) -> dict[str, Any]:
    param = f"image[{place}]" if upload.name == "image[]" else "image"
    if upload.data is None:
        raise left.refusal(param, "It is too large to be sent within the request: send a smaller image.")
    return _inline(images.kind(upload.data, param), base64.b64encode(upload.data).decode())


def _linked(source: Mapping[str, Any], where: str, left: Leftovers) -> dict[str, Any]:
    url = source.get("image_url")
    if url is None:
        raise left.refusal(f"{where}.file_id", "Send the image itself as 'image_url': a data URL.")
    if not media.is_data_url(url):
        raise left.refusal(f"{where}.image_url", "Links are not fetched for this model; send a base64 data URL.")
    found = media.from_data_url(url, f"{where}.image_url")
    return _inline(found.media_type, found.data)


def _inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


# --- answers ---------------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Result:
    """The images that `body` holds.

    Raises:
        UpstreamRejected: The prompt was blocked, or answered with words alone.
        UpstreamFailure: Not an answer, or one that says that it failed.
    """
    try:
        value = response.opened(orjson.loads(body), context)
    except orjson.JSONDecodeError:
        raise _nothing(context) from None
    except UpstreamFailure as failed:
        raise _of_the_prompt(failed) from None
    found = _predicted(value, context) if "candidates" not in value else _painted(value, context)
    answer: ImagesAnswer = {"created": context.created, "data": [image for image, _ in found]}
    kinds = {kind for _, kind in found}
    if len(kinds) == 1 and (word := kinds.pop().rpartition("/")[2]):
        answer["output_format"] = word
    if (usage := images.usage(response.usage(value.get("usageMetadata")))) is not None:
        answer["usage"] = usage
    if context.memo.get("address"):
        answer["data"] = [images.addressed(image) for image in answer["data"]]
    return images.result(answer)


def _painted(value: dict[str, Any], context: Context) -> list[tuple[Image, str]]:
    found: list[tuple[Image, str]] = []
    said = ended = more = ""
    for _, candidate in response.candidates(value):
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            # What is shown while it thinks is not the answer.
            if not isinstance(part, dict) or part.get("thought") is True:
                continue
            said += part["text"] if isinstance(part.get("text"), str) else ""
            if (image := _image(part.get("inlineData"), "data")) is not None:
                found.append(image)
        ended, more = str(candidate.get("finishReason") or ""), str(candidate.get("finishMessage") or "")
    if found:
        return found
    if said.strip() or _DECLINED.search(ended):
        raise images.refused(said.strip() or more or ended, context.target)
    raise UpstreamFailure(
        f"{_where(context)} made no image and said nothing of it (it ended with '{ended or 'no reason'}'). "
        "Sending the request again usually helps."
    )


def _predicted(value: dict[str, Any], context: Context) -> list[tuple[Image, str]]:
    entries = value.get("predictions")
    listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found: list[tuple[Image, str]] = []
    for entry in listed:
        if (image := _image(entry, "bytesBase64Encoded")) is not None:
            found.append(image)
            if isinstance(entry.get("prompt"), str):
                image[0]["revised_prompt"] = entry["prompt"]
    if not found:
        if "predictions" not in value and value:
            raise _nothing(context)
        # A filtered image is an entry without bytes, or no entry at all.
        reasons = (str(entry["raiFilteredReason"]) for entry in listed if entry.get("raiFilteredReason"))
        raise images.refused(next(reasons, ""), context.target)
    return found


def _image(value: Any, member: str) -> tuple[Image, str] | None:
    if not isinstance(value, dict) or not isinstance(value.get(member), str) or not value[member]:
        return None
    kind = value.get("mimeType")
    kind = kind.lower() if isinstance(kind, str) else "image/png"
    return ({"b64_json": value[member]}, kind) if kind.startswith("image/") else None


# --- failures --------------------------------------------------------------------------------


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal with its status."""
    return _of_the_prompt(refusal.error(status, headers, body, target))


def _of_the_prompt(failed: UpstreamFailure) -> UpstreamFailure:
    if failed.param == "messages":
        failed.param = "prompt"
    return failed


def _nothing(context: Context) -> UpstreamFailure:
    return UpstreamFailure(f"{_where(context)} answered with something that holds no image.")


def _where(context: Context) -> str:
    return f"{context.target.provider} (model '{context.target.model}')"


IMAGES: MediaCodec = Codec(encode=encode, decode=decode, error=error, n=False)
EDITS: MediaCodec = Codec(encode=encode_edit, decode=decode, error=error, n=False, inlines=always)
