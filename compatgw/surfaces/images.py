"""`POST /v1/images/generations` and `POST /v1/images/edits`: bodies become hub requests, images become bodies.

A request for edits comes as a form with files, or as JSON with `images: [{"image_url": "data:..."}]`; both become the
same hub request, whose images stand in `files` or in `images`.

`response_format` is kept as it was asked, and asked for by nobody who did not: upstreams give what they give then.
Where an address is asked for and a model only gives base64, the address is a `data:` URL, which every client can
read that reads addresses; nothing is stored here. A stream always carries base64, as OpenAI's does.

What does not live here: the shapes (`wire/images.py`), forms (`wire/multipart.py`), what models take (`dialects/`).
"""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, pruned, validated
from compatgw.wire.images import (
    EDIT,
    GENERATION,
    MAX_INPUTS,
    EditRequest,
    ImageRequest,
    completed,
    event,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Part, Result
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import View
    from compatgw.wire.images import EditForm
    from compatgw.wire.multipart import Upload

# Members of a form are text; these are not.
_WHOLE = ("frame_count", "frame_duration_ms", "n", "output_compression", "partial_images")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_OBJECTS = (*extensions.OBJECTS, "svg")
_FILES = frozenset({"image", "mask", "markup"})
_MASKS = ("mask", "markup")
# Clients that do not know what they send say this, or nothing.
_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")
_LONGEST_NUMBER = 9
_INNER = re.compile(r"(\w+)\[(\w+)\](\[\])?", re.ASCII)
_STREAMLESS = ("gif", "svg")
_DATA_URL = re.compile(r"data:[^;,]*(;[^;,]*)*;base64", re.IGNORECASE)
# As much of a data URL as is looked at, and of its data: base64 comes in fours.
_HEAD = 512
_BEGINS = 32


@cache
def generations() -> TypeAdapter[ImageRequest]:
    """The validator of a request for images; built when the first gateway is, never at import."""
    return TypeAdapter(ImageRequest)


@cache
def edits() -> TypeAdapter[EditRequest]:
    """The validator of a request for edits."""
    return TypeAdapter(EditRequest)


def parse(body: bytes) -> Parsed:
    """The request for images that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    request = _validated(generations(), pruned(value))
    return Parsed(request, options)


def parse_edit(body: bytes) -> Parsed:
    """The request for edits that a JSON `body` holds.

    Raises:
        InvalidRequest: As `parse`; or an image that is none.
    """
    value, options = extensions.claim(decode(body))
    value = pruned(value)
    _forgive(value)
    if "images" not in value:
        raise InvalidRequest(
            'Missing required parameter: \'images\'. Give it as JSON, [{"image_url": "data:image/png;base64,..."}], '
            "or send a form with the file as 'image'.",
            param="images",
            code="missing_parameter",
        )
    request: dict[str, Any] = _validated(edits(), value)
    for place, source in enumerate(request["images"]):
        _check_source(source, f"images[{place}]")
    if "mask" in request:
        _check_source(request["mask"], "mask")
    return Parsed(request, options)


def parse_form(fields: Mapping[str, list[str]], files: Sequence[Upload]) -> Parsed:
    """The request for edits that a form holds.

    Args:
        fields: Its texts, by name.
        files: Its files, in order: `image`, or up to 16 of `image[]`; `mask` or `markup`.

    Raises:
        InvalidRequest: The first thing wrong in it, with its name as `param`.
    """
    value, options = extensions.claim(_typed(fields))
    value = pruned(value)
    for name in ("images", *_FILES):
        if name in value:
            raise InvalidRequest(
                f"'{name}' must be a file of the form, with a file name.", param=name, code="invalid_type"
            )
    validated: EditRequest = _validated(edits(), value)
    _check_files(files)
    request: EditForm = {**validated, "files": list(files)}
    return Parsed(request, options)


def _validated(adapter: TypeAdapter[Any], value: dict[str, Any]) -> Any:
    request: dict[str, Any] = validated(adapter, value)
    if not request["prompt"].strip():
        raise InvalidRequest("'prompt' must say what to paint; it holds nothing but space.", param="prompt")
    streamed = bool(request.get("stream"))
    if request.get("partial_images") and not streamed:
        raise InvalidRequest("'partial_images' needs 'stream' to be true.", param="partial_images")
    form = request.get("output_format")
    if streamed and form in _STREAMLESS:
        raise InvalidRequest(f"'stream' is not possible with 'output_format' '{form}'.", param="stream")
    if request.get("background") == "transparent" and form == "jpeg":
        raise InvalidRequest(
            "'background' cannot be transparent in a JPEG. Set 'output_format' to 'png' or 'webp'.", param="background"
        )
    return request


# --- images that are sent in -----------------------------------------------------------------


def _forgive(value: dict[str, Any]) -> None:
    """An image under its older name, alone, or as a bare address; addresses as objects."""
    if "images" not in value and "image" in value:
        value["images"] = value.pop("image")
    if "images" in value and not isinstance(value["images"], list):
        value["images"] = [value["images"]]
    if isinstance(value.get("images"), list):
        value["images"] = [_source(one) for one in value["images"]]
    if "mask" in value:
        value["mask"] = _source(value["mask"])


def _source(value: Any) -> Any:
    if isinstance(value, str):
        return {"image_url": value}
    if not isinstance(value, dict):
        return value
    value = pruned(value)
    if "image_url" not in value and isinstance(value.get("url"), str):
        value = {("image_url" if name == "url" else name): member for name, member in value.items()}
    inner = value.get("image_url")
    if isinstance(inner, dict) and isinstance(inner.get("url"), str):
        value = {**value, "image_url": inner["url"]}
    return value


def _check_source(source: Mapping[str, Any], where: str) -> None:
    if "image_url" not in source:
        if "file_id" not in source:
            raise InvalidRequest(
                f"'{where}' needs 'image_url': a data URL of an image.", param=where, code="missing_parameter"
            )
        return
    param = f"{where}.image_url"
    url = source["image_url"]
    if url.startswith(("https://", "http://")):
        return
    head, comma, data = url[:_HEAD].partition(",")
    if not comma or not _DATA_URL.fullmatch(head):
        raise InvalidRequest(
            f"'{param}' must be a data URL (data:image/png;base64,...) or an https address.", param=param
        )
    try:
        begins = base64.b64decode(data[:_BEGINS], altchars=b"-_" if "-" in data or "_" in data else None, validate=True)
    except ValueError:
        raise InvalidRequest(f"'{param}' does not hold base64 data.", param=param) from None
    _check_image(begins, param)


def _typed(fields: Mapping[str, list[str]]) -> dict[str, Any]:
    """The texts of a form as a JSON request would have them; one that is no such value stays, to be refused."""
    value: dict[str, Any] = {}
    for name, given in fields.items():
        inner = _INNER.fullmatch(name)
        if inner is not None and inner[1] in _OBJECTS and isinstance(value.get(inner[1], {}), dict):
            # As OpenAI's SDK writes an object into a form.
            member: Any = [_json(text) for text in given] if inner[3] else _json(given[-1])
            value[inner[1]] = {**value.get(inner[1], {}), inner[2]: member}
        elif name.endswith("[]"):
            value[name] = given
        elif len(given) > 1:
            raise InvalidRequest(f"'{name}' stands {len(given)} times in the form. Send it once.", param=name)
        elif given[0] or name == "prompt":
            value[name] = _scalar(name, given[0])
    return value


def _scalar(name: str, text: str) -> Any:
    if name in _WHOLE and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    if name == "stream":
        return _BOOLEANS.get(text.lower(), text)
    return _json(text) if name in _OBJECTS or name in extensions.TOP_LEVEL else text


def _json(text: str) -> Any:
    """What `text` holds, or itself where that is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _check_files(files: Sequence[Upload]) -> None:
    counts: dict[str, int] = {}
    for upload in files:
        name = upload.name.removesuffix("[]")
        if name not in _FILES:
            raise InvalidRequest(
                f"'{upload.name}' is no file that an edit takes. Known are 'image', 'image[]', 'mask' and 'markup'.",
                param=upload.name,
            )
        place = counts.get(name, 0)
        counts[name] = place + 1
        _check_upload(upload, f"image[{place}]" if upload.name == "image[]" else name)
    if not counts.get("image"):
        raise InvalidRequest(
            "Missing required parameter: 'image'. Send the image to be edited as a file of the form.",
            param="image",
            code="missing_parameter",
        )
    if counts["image"] > MAX_INPUTS:
        raise InvalidRequest(f"Too many images: {counts['image']}. At most {MAX_INPUTS} can be sent.", param="image")
    for name in _MASKS:
        if counts.get(name, 0) > 1:
            raise InvalidRequest(f"'{name}' may be sent once.", param=name)
    if all(name in counts for name in _MASKS):
        raise InvalidRequest("'markup' and 'mask' cannot be sent together. Send one of them.", param="markup")


def _check_upload(upload: Upload, param: str) -> None:
    if not upload.size:
        raise InvalidRequest(f"'{param}' is an empty file.", param=param)
    kind = (upload.type or "").partition(";")[0].strip().lower()
    if kind not in _UNKNOWN and not kind.startswith("image/"):
        raise InvalidRequest(f"'{param}' is no image: its type is '{kind[:64]}'.", param=param)
    if upload.data is not None:
        _check_image(upload.data[:_BEGINS], param)


def _check_image(begins: bytes, param: str) -> None:
    if kind_of(begins) is None:
        raise InvalidRequest(f"'{param}' holds no PNG, JPEG, WebP or GIF image.", param=param)


# --- answers ---------------------------------------------------------------------------------


class ImagesFace:
    """How a client of either endpoint is told its images."""

    __slots__ = ("_asked",)

    stream_type = "text/event-stream"
    kind = GENERATION

    def __init__(self, parsed: Parsed, view: View) -> None:
        self._asked: Mapping[str, Any] = parsed.request

    def whole(self, answer: Result) -> bytes:
        """The body of a whole answer."""
        return answer.data if answer.data is not None else orjson.dumps(answer.body)

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, pieces: Sequence[Part | Result]) -> bytes:
        """The frames of a stream; an answer that came whole is told as a completed event for each image."""
        return b"".join(self._event(piece) for piece in pieces)

    def _event(self, piece: Any) -> bytes:
        # A `Result` has a body, a `Part` has none.
        body = getattr(piece, "body", None)
        data: bytes = piece.data if body is None else completed(body, self.kind, self._asked)
        return data

    def end(self) -> bytes:
        """Nothing: the last completed event is the end."""
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """An `error` event."""
        return event("error", orjson.dumps({"type": "error", **error.envelope()}))


class EditsFace(ImagesFace):
    """How a client is told its edited images: by other words in a stream."""

    __slots__ = ()

    kind = EDIT


IMAGES = Surface(name="images", scope="images", codec="images", parse=parse, face=ImagesFace, envelope=envelope)
EDITS = Surface(
    name="images.edits",
    scope="images",
    codec="edits",
    parse=parse_edit,
    parse_form=parse_form,
    face=EditsFace,
    envelope=envelope,
)
