"""Gemini's embeddings: what is accepted, what it asks for, what is answered.

What does not live here: the vectors themselves (`vectors.py`), routes (`fake.py`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.gemini.rules import phrased
from compatgw_testing.fakes.gemini.schema import CONTENT
from compatgw_testing.fakes.gemini.turns import refuse
from compatgw_testing.fakes.shape import Arr, Bool, Map, Num, Obj, Shape, Str, check
from compatgw_testing.request import Request
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.vectors import Vectors

_TASKS = (
    *("RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION", "CLUSTERING"),
    *("QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY", "TASK_TYPE_UNSPECIFIED"),
)
_SETTINGS: Mapping[str, Shape] = {
    "taskType": Str(_TASKS),
    "title": Str(),
    "outputDimensionality": Num(1, whole=True),
}
_CONFIG: Shape = Obj(
    {**_SETTINGS, "autoTruncate": Bool(), "documentOcr": Bool(), "audioTrackExtraction": Bool(), "mimeType": Str()}
)
ONE = Obj({"model": Str(), "content": CONTENT, **_SETTINGS, "embedContentConfig": _CONFIG}, ("content",))
MANY = Obj({"requests": Arr(ONE, low=1, high=100)}, ("requests",))
PREDICT = Obj(
    {
        "instances": Arr(
            Obj({"content": Str(low=1), "task_type": Str(_TASKS), "title": Str(), "mimeType": Str()}, ("content",)),
            low=1,
            high=250,
        ),
        "parameters": Obj({"outputDimensionality": Num(whole=True), "autoTruncate": Bool()}),
        "labels": Map(Str()),
    },
    ("instances",),
)
_OLDEST = "gemini-embedding-001"


def dimensions_of(model: str) -> int:
    """How long a model's vectors are unless fewer dimensions are asked for; also the most that can be asked for."""
    return 768 if re.search(r"(text-embedding-00[45]|embedding-001)$", model) and model != _OLDEST else 3072


def embeds(model: str) -> bool:
    """The model makes embeddings, or its name does not say."""
    return "embedding" in model or not re.match(r"(gemini|gemma|imagen)-", model)


def check_embed(body: Any, model: str) -> None:
    """Raises Refused at the first thing in one canonical request that the vendor would not take."""
    for violation in check(ONE, body):
        raise phrased(violation, "EmbedContentRequest")
    _one(body, model, "EmbedContentRequest")


def check_batch(body: Any, model: str) -> None:
    """Raises Refused at the first thing in a canonical batch that the vendor would not take."""
    for violation in check(MANY, body):
        raise phrased(violation, "BatchEmbedContentsRequest")
    for number, one in enumerate(body["requests"]):
        at = f"BatchEmbedContentsRequest.requests[{number}]"
        given = one.get("model")
        if not given:
            raise refuse(f"* {at}.model: unexpected model name format")
        if given != f"models/{model}":
            raise refuse(f"* {at}.model: {given} is not the model of the batch, models/{model}")
        _one(one, model, at)


def check_predict(body: Any, model: str) -> None:
    """Raises Refused at the first thing in a request of Vertex's older form that the vendor would not take."""
    for violation in check(PREDICT, body):
        raise phrased(violation, "PredictRequest")
    _size(body.get("parameters") or {}, model, "PredictRequest.parameters")


def _one(body: Json, model: str, at: str) -> None:
    if not body["content"].get("parts"):
        raise refuse(f"* {at}.content.parts: contents.parts must not be empty.")
    if not any(part.get("text") or part.get("inlineData") or part.get("fileData") for part in body["content"]["parts"]):
        raise refuse(f"* {at}.content: empty Part")
    for config, where in ((body, at), (body.get("embedContentConfig") or {}, f"{at}.embed_content_config")):
        if config.get("title") and config.get("taskType") != "RETRIEVAL_DOCUMENT":
            raise refuse(f"* {where}.title: only allowed when task_type is RETRIEVAL_DOCUMENT")
        _size(config, model, where)


def _size(config: Json, model: str, where: str) -> None:
    asked = config.get("outputDimensionality")
    low = 128 if model == _OLDEST else 1
    if asked is not None and not low <= asked <= dimensions_of(model):
        raise refuse(f"* {where}.output_dimensionality: must be from {low} to {dimensions_of(model)}, got {asked}")


def text_of(content: Json) -> str:
    """What is embedded: the texts; of media their type and data."""
    parts = content["parts"] if isinstance(content["parts"], list) else [content["parts"]]
    return "\n".join(one["text"] if "text" in one else dump(one) for one in parts)


def read_embed(requests: list[Json], model: str) -> Request:
    """Canonical requests to embed, in the shape over all dialects."""
    first = requests[0]
    config = {**first, **(first.get("embedContentConfig") or {})}
    return Request(
        model=model,
        surface="embeddings",
        inputs=tuple(text_of(one["content"]) for one in requests),
        settings={
            name: config[theirs]
            for name, theirs in (("dimensions", "outputDimensionality"), ("task", "taskType"))
            if config.get(theirs) is not None
        },
        prompt=[one["content"] for one in requests],
    )


def read_predict(body: Json, model: str) -> Request:
    """A request of Vertex's older form in the shape over all dialects."""
    size = (body.get("parameters") or {}).get("outputDimensionality")
    texts = tuple(str(one["content"]) for one in body["instances"])
    settings = {} if size is None else {"dimensions": size}
    return Request(model=model, surface="embeddings", inputs=texts, settings=settings, prompt=list(texts))


def values_of(vectors: Vectors, request: Request) -> list[list[float]]:
    """The vectors for a request's inputs. The oldest model gives shorter ones than its own without length 1."""
    whole = dimensions_of(request.model)
    size = request.settings.get("dimensions")
    dimensions = size if isinstance(size, int) else whole
    found = [vectors.embed(one, dimensions) for one in request.inputs]
    if request.model != _OLDEST or dimensions == whole:
        return found
    share = math.sqrt(dimensions / whole)
    return [[share * value for value in vector] for vector in found]


def tokens_of(text: str) -> int:
    """How many tokens a text is counted for."""
    return len(text) // 4 + 1
