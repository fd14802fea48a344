"""Imagen's images, through `predict`: what is accepted, what it asks for, what is answered.

What does not live here: the pictures themselves (`fakes/pictures.py`), images that Gemini's own models make.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.gemini.rules import phrased
from compatgw_testing.fakes.gemini.turns import refuse
from compatgw_testing.fakes.pictures import jpeg, png
from compatgw_testing.fakes.shape import Arr, Bool, Map, Num, Obj, Str, check
from compatgw_testing.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.answer import Json

_AT = "PredictRequest.parameters"
# Width and height at the resolution `1K`.
_SIZES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
# What only Vertex takes.
_VERTEX = ("addWatermark", "enhancePrompt", "negativePrompt", "seed", "storageUri")


def _both(*words: str) -> tuple[str, ...]:
    """The documents write them small, the SDK large."""
    return (*words, *(word.upper() for word in words))


PAINT = Obj(
    {
        "instances": Arr(Obj({"prompt": Str(low=1)}, ("prompt",)), low=1, high=1),
        "parameters": Obj(
            {
                "sampleCount": Num(1, 4, whole=True),
                "aspectRatio": Str(tuple(_SIZES)),
                "sampleImageSize": Str(("1K", "2K")),
                "personGeneration": Str(_both("dont_allow", "allow_adult", "allow_all")),
                "safetySetting": Str(
                    _both("block_low_and_above", "block_medium_and_above", "block_only_high", "block_none")
                ),
                "guidanceScale": Num(0),
                "seed": Num(1, 2**31 - 1, whole=True),
                "negativePrompt": Str(),
                "includeSafetyAttributes": Bool(),
                "includeRaiReason": Bool(),
                "language": Str(),
                "addWatermark": Bool(),
                "enhancePrompt": Bool(),
                "storageUri": Str(),
                "outputOptions": Obj(
                    {"mimeType": Str(("image/png", "image/jpeg")), "compressionQuality": Num(0, 100, whole=True)}
                ),
            }
        ),
        "labels": Map(Str()),
    },
    ("instances",),
)


def paints(model: str) -> bool:
    """The model is one of Imagen's."""
    return model.startswith("imagen-")


def check_paint(body: Any, model: str, *, vertex: bool) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    for violation in check(PAINT, body):
        raise phrased(violation, "PredictRequest")
    given = body.get("parameters") or {}
    for name in _VERTEX:
        if not vertex and name in given:
            raise refuse(f"* {_AT}.{_said(name)}: not supported in the Gemini API")
    if "labels" in body and not vertex:
        raise refuse("* PredictRequest.labels: not supported in the Gemini API")
    if given.get("sampleImageSize") == "2K" and not re.match(r"imagen-(?:[4-9]|\d\d)(?!.*fast)", model):
        raise refuse(f"* {_AT}.sample_image_size: {model} has one resolution only, 1K")
    if "seed" in given and given.get("addWatermark", True):
        raise refuse(f"* {_AT}.seed: not supported together with a watermark; set add_watermark to false")
    if "negativePrompt" in given and not re.match(r"imagen-3\.0-(?:fast-)?generate-001|imagegeneration", model):
        raise refuse(f"* {_AT}.negative_prompt: not supported by {model}")


def _said(name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)


def read_paint(body: Json, model: str) -> Request:
    """A request for images in the shape over all dialects."""
    given = body.get("parameters") or {}
    prompt = str(body["instances"][0]["prompt"])
    settings = {
        name: given[theirs]
        for name, theirs in (("n", "sampleCount"), ("aspect_ratio", "aspectRatio"), ("size", "sampleImageSize"))
        if given.get(theirs) is not None
    }
    return Request(model=model, surface="images", inputs=(prompt,), settings=settings, prompt=prompt)


def painted(body: Json, seed: int | str, revised: str | None, filtered: str | None) -> Json:
    """The answer: as many pictures as were asked for; four unless anybody says.

    Args:
        body: The request.
        seed: From which the pictures follow, besides the prompt.
        revised: What was painted instead of the prompt, where it was made better.
        filtered: Why no picture is shown; None shows all.
    """
    given = body.get("parameters") or {}
    count = int(given.get("sampleCount") or 4)
    if filtered is not None:
        reasons = [{"raiFilteredReason": filtered}] * count
        # Nobody is told of what was filtered who did not ask; not even the list is there.
        return {"predictions": reasons} if given.get("includeRaiReason") else {}
    prompt = str(body["instances"][0]["prompt"])
    kind = str((given.get("outputOptions") or {}).get("mimeType") or "image/png")
    width, height = _SIZES[str(given.get("aspectRatio") or "1:1")]
    scale = 2 if given.get("sampleImageSize") == "2K" else 1
    paint = jpeg if kind == "image/jpeg" else png
    told = {"prompt": revised} if revised is not None else {}
    return {
        "predictions": [
            {
                "mimeType": kind,
                "bytesBase64Encoded": base64.b64encode(
                    paint(f"{seed}/{prompt}/{number}", scale * width, scale * height)
                ).decode(),
                **told,
            }
            for number in range(count)
        ]
    }
