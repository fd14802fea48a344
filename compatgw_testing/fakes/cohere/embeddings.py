"""Cohere's embeddings: what is accepted, what it asks for, what is answered.

What does not live here: the vectors themselves (`vectors.py`), routes (`fake.py`).
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.cohere.pictures import size_of
from compatgw_testing.fakes.cohere.rules import IMAGE, TEXT, phrased, refuse
from compatgw_testing.fakes.media import DataUrl
from compatgw_testing.fakes.shape import Arr, Num, Obj, Str, Tagged, check
from compatgw_testing.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.vectors import Vector

_INPUT = Obj({"content": Arr(Tagged("type", {"text": TEXT, "image_url": IMAGE}), low=1)}, ("content",))
_TYPES = ("float", "int8", "uint8", "binary", "ubinary", "base64")
_PURPOSES = ("search_document", "search_query", "classification", "clustering", "image")
_SIZES = (256, 512, 1024, 1536)
EMBED = Obj(
    {
        "model": Str(low=1),
        "input_type": Str(_PURPOSES),
        "texts": Arr(Str(), low=1, high=96),
        "images": Arr(Str(), low=1),
        "inputs": Arr(_INPUT, low=1, high=96),
        "embedding_types": Arr(Str(_TYPES)),
        "output_dimension": Num(),
        "max_tokens": Num(1, whole=True),
        "truncate": Str(("NONE", "START", "END")),
        "priority": Num(0, 999, whole=True),
    },
    ("model", "input_type"),
)


def dimensions_of(model: str) -> int:
    """How long a model's vectors are, unless it is told."""
    if "light" in model:
        return 384
    return 1024 if "v3" in model else 1536


def check_embed(body: Any) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    for violation in check(EMBED, body):
        raise phrased(violation)
    given = [name for name in ("texts", "images", "inputs") if body.get(name) is not None]
    if len(given) != 1:
        raise refuse("invalid request: exactly one of texts, images or inputs must be provided")
    for fault in _faults(body):
        raise refuse(f"invalid request: {fault}")


def _faults(body: Json) -> Iterator[str]:
    older = "v3" in body["model"]
    size = body.get("output_dimension")
    if size is not None and older:
        yield f"output_dimension is not supported by model '{body['model']}'"
    if size is not None and size not in _SIZES:
        yield f"output_dimension must be one of {', '.join(map(str, _SIZES))}, got {size}"
    if older and len(body.get("images") or ()) > 1:
        yield "images may hold at most 1 item for this model"
    for number, url in enumerate(_urls(body)):
        image = DataUrl.of(url)
        if image is None or not image.media_type.startswith("image/"):
            yield f"image {number} must be a base64 data URL"


def _urls(body: Json) -> Iterator[str]:
    yield from body.get("images") or ()
    for one in body.get("inputs") or ():
        for part in one["content"]:
            if part["type"] == "image_url":
                yield part["image_url"]["url"]


def read_embed(body: Json) -> Request:
    """A request in the shape over all dialects; an image goes by its URL."""
    model = str(body["model"])
    inputs = [*(body.get("texts") or ()), *(body.get("images") or ())]
    inputs += ["\n".join(map(_said, one["content"])) for one in body.get("inputs") or ()]
    return Request(
        model=model,
        surface="embeddings",
        inputs=tuple(str(one) for one in inputs),
        settings={"dimensions": int(body.get("output_dimension") or dimensions_of(model))},
        prompt=inputs,
    )


def _said(part: Json) -> str:
    return str(part["text"] if part["type"] == "text" else part["image_url"]["url"])


def answer_of(body: Json, vectors: Sequence[Vector], identity: str) -> Json:
    """The answer, with the vectors in each form that is asked for."""
    texts = list(_texts(body))
    images = [size_of(image.data) for url in _urls(body) if (image := DataUrl.of(url)) is not None]
    billed: Json = {"input_tokens": float(sum(tokens_of(one) for one in texts))}
    answer: Json = {
        "id": identity,
        "embeddings": {
            kind: [_packed(one, kind) for one in vectors] for kind in body.get("embedding_types") or ["float"]
        },
        "texts": list(body.get("texts") or ()),
        "meta": {"api_version": {"version": "2"}, "billed_units": billed},
        "response_type": "embeddings_by_type",
    }
    if images:
        billed |= {"image_tokens": 0.0, "images": float(len(images))}
        answer["images"] = images
    elif "v3" not in body["model"]:
        billed["image_tokens"] = 0.0
    return answer


def _texts(body: Json) -> Iterator[str]:
    yield from body.get("texts") or ()
    for one in body.get("inputs") or ():
        yield from (part["text"] for part in one["content"] if part["type"] == "text")


def tokens_of(text: str) -> int:
    """How many tokens a text is counted for."""
    return len(text) // 4 + 1


def _packed(vector: Vector, kind: str) -> Any:
    """A vector as floats, as whole numbers of a byte, as bits by the byte, or as base64 of 32-bit floats."""
    if kind == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    if kind == "float":
        return vector
    if kind in ("int8", "uint8"):
        most = max(map(abs, vector)) or 1.0
        levels = [round(one / most * 127) for one in vector]
        return levels if kind == "int8" else [one + 128 for one in levels]
    bits = [1 if one > 0 else 0 for one in vector]
    whole = [sum(bit << (7 - at) for at, bit in enumerate(bits[start : start + 8])) for start in range(0, len(bits), 8)]
    return whole if kind == "ubinary" else [one - 128 for one in whole]
