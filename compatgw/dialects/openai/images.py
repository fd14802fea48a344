"""Images at an OpenAI-like upstream: `POST /images/generations` and `POST /images/edits`, plain and streamed.

The hub's request is OpenAI's own, so most of it is passed on, unknown members too. What differs is data: of the
provider in `Quirks.images`, of the model in the families below, which go by its id, or by the trait `family` where
the id says nothing (a deployment at Azure).

Who asks for a `url` of a model that only gives base64 gets a `data:` URL. Who asks for `b64_json` where there are
only addresses is refused: they are not fetched. Who asks for neither gets what the upstream gives.
A stream that cannot be had upstream is not asked for; the whole answer is told as one then.

What does not live here: which providers differ (`providers/images.py`), hosts that make images in chat (`painting.py`).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import orjson

from compatgw.dialects import failure, images, media
from compatgw.dialects.base import EMPTY, Codec, Leftovers, Outgoing, Part
from compatgw.dialects.openai import painting
from compatgw.dialects.openai.finish import fault
from compatgw.errors import InvalidRequest, StreamInterrupted, UpstreamFailure
from compatgw.wire.images import EDIT, GENERATION, event
from compatgw.wire.multipart import Form, Upload
from compatgw.wire.sse import EventTooLarge, SSEEvent, SSEReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, MediaCodec, Quirks, Result, Target
    from compatgw.wire.images import EditRequest, ImageRequest, ImagesAnswer, ImageUsage

# One event holds a whole image.
_LARGEST_EVENT = 64 * 1024 * 1024
_IMAGE = ("b64_json", "url")
_TOLD = ("background", "output_format", "quality", "size")


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models differs from what OpenAI's reference says of all.

    Attributes:
        base64: Always gives base64, and refuses to be asked for it.
        stream: Streams.
        n: Makes several images in one call.
        drop: Members that it refuses, and that only tune an image.
        reject: Members that change the image, and that it refuses.
        qualities: Other families' words for `quality`, to its own.
    """

    base64: bool = False
    stream: bool = True
    n: bool = True
    drop: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()
    qualities: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def _words(**words: str) -> Mapping[str, str]:
    return MappingProxyType(words)


# What only models after DALL-E know.
_TUNING = frozenset(
    {"complexity", "input_fidelity", "moderation", "output_compression", "output_format", "partial_images"}
)
_CHANGING = frozenset({"background", "frame_count", "frame_duration_ms", "markup", "svg"})
_OTHER = Family()
_TABLE: tuple[tuple[re.Pattern[str], Family], ...] = (
    (
        re.compile(r"(chat)?gpt-image"),
        Family(base64=True, drop=frozenset({"style"}), qualities=_words(standard="medium", hd="high")),
    ),
    (
        re.compile(r"dall-e-3"),
        Family(
            stream=False,
            n=False,
            drop=_TUNING,
            reject=_CHANGING,
            qualities=_words(auto="standard", low="standard", medium="standard", high="hd", xhigh="hd", max="hd"),
        ),
    ),
    (
        re.compile(r"dall-e"),
        Family(stream=False, drop=_TUNING | {"style", "quality"}, reject=_CHANGING),
    ),
)
# Values that mean the same as leaving the member out.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "background": ("auto", "opaque"), "moderation": ("auto",), "output_format": ("png",), "partial_images": (0,),
        "quality": ("auto", "standard"), "output_compression": (100,), "size": ("auto",), "input_fidelity": ("low",),
    }
)  # fmt: skip


@lru_cache(maxsize=256)
def family(name: str) -> Family:
    """The family of a model, by its id or by what `traits.family` calls it."""
    name = name.rpartition("/")[2].lower()
    return next((found for pattern, found in _TABLE if pattern.match(name)), _OTHER)


# --- requests --------------------------------------------------------------------------------


def encode(request: ImageRequest, target: Target) -> Outgoing:
    """A request for images as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the image and cannot be carried.
    """
    left = Leftovers(target)
    path = "/images/generations"
    body, memo = _shaped(dict(request), target, left)
    if target.quirks.images.chat:
        path, body = painting.PATH, painting.asked(body, [])
    return Outgoing(path, orjson.dumps(body), (), tuple(left.dropped), tuple(left.clamped), memo=memo)


def encode_edit(request: EditRequest, target: Target) -> Outgoing:
    """A request for edits as the target takes it: as a form or as JSON, however it came.

    Raises:
        InvalidRequest: An image that is none.
        UnsupportedParameter: A member that changes the image and cannot be carried.
    """
    left = Leftovers(target)
    members: dict[str, Any] = dict(request)
    files: list[Upload] = members.pop("files", [])
    sources: list[dict[str, Any]] = members.pop("images", [])
    mask: dict[str, Any] | None = members.pop("mask", None)
    rejected = family(_named(target)).reject
    for upload in [upload for upload in files if upload.name in rejected]:
        left.semantic(upload.name, upload)
        files = [other for other in files if other is not upload]
    body, memo = _shaped(members, target, left)
    rest: dict[str, Any] = {"dropped": tuple(left.dropped), "clamped": tuple(left.clamped), "memo": memo}
    if target.quirks.images.edits == "json":
        if mask is not None or any(upload.name in ("mask", "markup") for upload in files):
            left.semantic("mask", True, why="Say in 'prompt' what to change.")
            rest["dropped"] = tuple(left.dropped)
        urls = [_url(one, place, left) for place, one in enumerate(_pictures(files))]
        urls += [_address(one, place, left) for place, one in enumerate(sources)]
        if target.quirks.images.chat:
            return Outgoing(painting.PATH, orjson.dumps(painting.asked(body, urls)), **rest)
        found = [{"type": "image_url", "url": url} for url in urls]
        body |= {"image": found[0]} if len(found) == 1 else {"images": found}
        return Outgoing("/images/edits", orjson.dumps(body), **rest)
    uploads = files or _uploads(sources, mask)
    if uploads is None:
        # Addresses and files that the upstream has: only its JSON form carries them.
        body["images"] = sources
        if mask is not None:
            body["mask"] = mask
        return Outgoing("/images/edits", orjson.dumps(body), **rest)
    return Outgoing("/images/edits", b"", form=Form(_fields(body), tuple(_in_brackets(uploads))), **rest)


def _named(target: Target) -> str:
    given = target.traits.get("family")
    return given if isinstance(given, str) else target.model


def _shaped(body: dict[str, Any], target: Target, left: Leftovers) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The members as the target takes them, and what its answer is read by."""
    quirks, model = target.quirks.images, family(_named(target))
    body["model"] = target.model
    streamed = bool(body.pop("stream", False))
    memo: dict[str, Any] = {"n": body.get("n", 1)}
    if streamed and quirks.stream and model.stream:
        body["stream"] = True
    else:
        partial = body.pop("partial_images", None)
        if partial:
            left.hint("partial_images", partial)
    _form_of_answer(body, streamed, target, left, memo)
    for name in [name for name in body if name in model.reject]:
        value = body.pop(name)
        if value not in _NEUTRAL.get(name, ()):
            left.semantic(name, value)
    for name in [name for name in body if name in model.drop or name in quirks.drop]:
        value = body.pop(name)
        if value not in _NEUTRAL.get(name, ()):
            # A background that is not seen through is a matter of taste, one that is makes another image.
            (left.semantic if name == "background" else left.hint)(name, value)
    if body.get("n", 1) > 1 and not (model.n and target.quirks.n and not quirks.chat):
        left.semantic("n", body.pop("n"), why="Send the request once for each image.")
        memo["n"] = 1
    if "quality" in body:
        asked = body["quality"]
        body["quality"] = sent = quirks.qualities.get(asked, model.qualities.get(asked, asked))
        if sent != asked:
            left.clamp("quality", sent)
    if "size" in body and quirks.size != "size":
        _size(body, quirks.size, quirks.ratios, left)
    for ours, theirs in quirks.rename.items():
        if ours in body:
            body[theirs] = body.pop(ours)
    return body, memo


def _form_of_answer(
    body: dict[str, Any], streamed: bool, target: Target, left: Leftovers, memo: dict[str, Any]
) -> None:
    """`response_format`: base64 for every stream, else what was asked for, or a stand-in for it."""
    asked = body.pop("response_format", None)
    formats = target.quirks.images.formats
    wanted = "b64_json" if streamed else asked
    if wanted == "url":
        memo["address"] = True
    if body.get("stream") or family(_named(target)).base64 or wanted is None:
        return
    if not formats:
        body["response_format"] = wanted
        return
    if wanted not in formats and wanted == "b64_json":
        if streamed:
            left.semantic("stream", True, why="It gives addresses only, which a stream does not carry.")
        else:
            left.semantic("response_format", wanted, why="It gives addresses only: ask for 'url'.")
        return
    if sent := formats.get(wanted, formats.get("b64_json", "")):
        body["response_format"] = sent


def _size(body: dict[str, Any], how: str, ratios: tuple[str, ...], left: Leftovers) -> None:
    size = images.measured(body.pop("size"))
    if size is None:
        return
    if how == "pixels":
        body.setdefault("width", size.width)
        body.setdefault("height", size.height)
        return
    ratio, resolution = images.nearest(size, ratios), images.grade(size, ("1K", "2K")).lower()
    body.setdefault("aspect_ratio", ratio)
    body.setdefault("resolution", resolution)
    left.clamp("size", f"{body['aspect_ratio']} {body['resolution']}")


# --- images that are sent in -----------------------------------------------------------------


def _pictures(files: list[Upload]) -> list[Upload]:
    return [upload for upload in files if upload.name in ("image", "image[]")]


def _url(upload: Upload, place: int, left: Leftovers) -> str:
    """A file of a form as a data URL."""
    param = f"image[{place}]" if upload.name == "image[]" else upload.name
    if upload.data is None:
        raise left.refusal(param, "It is too large to be sent on within JSON: send a smaller image.")
    return f"data:{images.kind(upload.data, param)};base64,{base64.b64encode(upload.data).decode()}"


def _address(source: Mapping[str, Any], place: int, left: Leftovers) -> str:
    if "image_url" not in source:
        raise left.refusal(f"images[{place}].file_id", "Send the image itself as 'image_url': a data URL.")
    return cast("str", source["image_url"])


def _uploads(sources: list[dict[str, Any]], mask: dict[str, Any] | None) -> list[Upload] | None:
    """Files of a form out of data URLs; None when one of the images is no data URL."""
    named = [(source, "image", f"images[{place}].image_url") for place, source in enumerate(sources)]
    if mask is not None:
        named.append((mask, "mask", "mask.image_url"))
    if not all(media.is_data_url(source.get("image_url", "")) for source, _, _ in named):
        return None
    return [_upload(source["image_url"], name, param) for source, name, param in named]


def _upload(url: str, name: str, param: str) -> Upload:
    found = media.from_data_url(url, param)
    try:
        data = base64.b64decode(found.data.replace("-", "+").replace("_", "/"), validate=False)
    except binascii.Error:
        raise InvalidRequest(f"'{param}' does not hold base64 data.", param=param) from None
    suffix = found.media_type.rpartition("/")[2].partition("+")[0]
    return Upload(name, f"{name}.{suffix}", found.media_type, len(data), data)


def _in_brackets(uploads: list[Upload]) -> list[Upload]:
    # Several images need the brackets; a single one is taken without them everywhere.
    several = len(_pictures(uploads)) > 1
    name = "image[]" if several else "image"
    return [replace(one, name=name) if one.name in ("image", "image[]") else one for one in uploads]


def _fields(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    out: list[tuple[str, str]] = []
    for name, value in body.items():
        if isinstance(value, list) and name.endswith("[]"):
            out += [(name, _text(one)) for one in value]
        else:
            out.append((name, _text(value)))
    return tuple(out)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


# --- answers ---------------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Result:
    """The images that `body` holds.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or no image.
    """
    if context.target.quirks.images.chat:
        return painting.decode(body, context)
    where = _where(context)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamFailure(f"{where} answered with something that is not JSON: {failure.extract(body)[0]}") from None
    if not isinstance(value, dict):
        raise UpstreamFailure(f"{where} answered with JSON that holds no images: {failure.extract(body)[0]}")
    found = value.get("data")
    if not isinstance(found, list) and (problem := fault(value, context.target)) is not None:
        raise problem
    if value.get("error"):
        raise failure.from_value(value, context.target)
    data = [kept for one in found if (kept := _image(one))] if isinstance(found, list) else []
    if not data:
        raise UpstreamFailure(f"{where} answered without any image. Send the request again, or change the prompt.")
    if context.memo.get("address"):
        data = [cast("dict[str, Any]", images.addressed(cast("Any", image))) for image in data]
    created = value.get("created")
    rest = {name: member for name, member in value.items() if member is not None and name != "usage"}
    answer = {**rest, "created": created if _is_time(created) else context.created, "data": data}
    if (usage := images.usage(value.get("usage"))) is not None:
        answer["usage"] = usage
    result = images.result(cast("ImagesAnswer", answer))
    # Images are large: an answer that needs no change is not written anew.
    return result._replace(data=body) if answer == value else result


def _image(value: Any) -> dict[str, Any] | None:
    """An entry as OpenAI has it, None for one without an image: what a filter has taken out."""
    if not isinstance(value, dict):
        return None
    image = {name: member for name, member in value.items() if member is not None}
    for name in _IMAGE:
        if name in image and not (isinstance(image[name], str) and image[name]):
            del image[name]
    return image if any(name in image for name in _IMAGE) else None


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _where(context: Context) -> str:
    return f"{context.target.provider} (model '{context.target.model}')"


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal; what is too long here is the prompt."""
    found = failure.from_body(status, headers, body, target)
    if found.param == "messages":
        found.param = "prompt"
    return found


class ImageStream:
    """Decodes one stream of images: frames pass as they are, each whole image is counted.

    It ends when as many images as were asked for are there, or with `[DONE]`. `usage` is the largest that an event
    has told so far: vendors differ on whether the last event of several speaks for itself or for all.

    Args:
        context: The call that the stream belongs to.
    """

    __slots__ = ("_begun", "_context", "_failed", "_made", "_reader", "_usage", "_wanted", "done")

    kind: ClassVar[str] = GENERATION

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader(_LARGEST_EVENT)
        self._wanted: int = context.memo.get("n", 1)
        self._made = 0
        # An image has been shown in part since the last whole one.
        self._begun = False
        self._usage: ImageUsage | None = None
        self._failed: UpstreamFailure | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Part]:
        """Frames that `data` completes.

        Raises:
            UpstreamFailure: As for `StreamDecoder`; when frames came before the error, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        if self.done:
            return []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as large:
            raise UpstreamFailure(f"{_where(self._context)} sent something that is not a stream: {large}.") from None
        return self._read(events)

    def finish(self) -> list[Part]:
        """The last frames.

        Raises:
            StreamInterrupted: An image is missing.
        """
        if self._failed is not None:
            raise self._failed
        out = [] if self.done else self._read(self._reader.finish())
        if self._failed is not None:
            raise self._failed
        if not self.done:
            what = "without any image" if not self._made else "before all images were there"
            raise StreamInterrupted(f"{_where(self._context)} closed the stream {what}. Send the request again.")
        return out

    def _read(self, events: list[SSEEvent]) -> list[Part]:
        out: list[Part] = []
        try:
            for one in events:
                if self.done:
                    break
                if (part := self._event(one)) is not None:
                    out.append(part)
        except UpstreamFailure as found:
            if not out:
                raise
            # What was shown before the error is the caller's, however the bytes were cut.
            self._failed = found
        return out

    def _event(self, one: SSEEvent) -> Part | None:
        data = one.data.strip()
        if data.startswith(b"[DONE]"):
            if not self._made or self._begun:
                raise StreamInterrupted(f"{_where(self._context)} ended the stream before its image was there.")
            self.done = True
            return None
        if not data or one.name == "ping":
            return None
        value = self._parsed(data)
        name = value.get("type") if isinstance(value.get("type"), str) else one.name
        if value.get("error") or name == "error":
            raise failure.from_value(value, self._context.target)
        ending = str(name).rpartition(".")[2]
        if ending == "partial_image":
            self._begun = True
            return Part(self._framed(ending, value, one))
        if ending != "completed":
            # Events that are younger than this file.
            return Part(event(str(name), data)) if name else None
        if not value.get("b64_json") and not value.get("url"):
            raise UpstreamFailure(f"{_where(self._context)} completed an image without showing it.")
        self._begun = False
        self._made += 1
        self.done = self._made >= self._wanted
        usage = images.usage(value.get("usage"))
        if usage is not None and (self._usage is None or usage["total_tokens"] > self._usage["total_tokens"]):
            self._usage = usage
        told = None if self._usage is None else images.in_hub(self._usage)
        return Part(self._framed(ending, value, one), told, 1)

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            shown = failure.extract(data)[0]
            raise UpstreamFailure(f"{_where(self._context)} sent an event that is not JSON: {shown}")
        return value

    def _framed(self, ending: str, value: dict[str, Any], one: SSEEvent) -> bytes:
        name = f"{self.kind}.{ending}"
        return event(name, one.data if value.get("type") == name else orjson.dumps({**value, "type": name}))


class EditStream(ImageStream):
    """The same of edited images."""

    __slots__ = ()

    kind = EDIT


def _makes(quirks: Quirks) -> bool:
    return "images" not in quirks.lacks


def _edits(quirks: Quirks) -> bool:
    return _makes(quirks) and quirks.images.edits != "none"


def _inlines(quirks: Quirks) -> bool:
    return quirks.images.edits == "json"


IMAGES: MediaCodec = Codec(encode=encode, decode=decode, stream=ImageStream, error=error, serves=_makes)
EDITS: MediaCodec = Codec(
    encode=encode_edit, decode=decode, stream=EditStream, error=error, serves=_edits, inlines=_inlines
)
