"""OpenAI's embeddings: rules, answers, the route.

What does not live here: the vectors themselves (`vectors.py`).
"""

from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing.fakes.answer import Answer, Json
from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import count_of, members_of, refuse
from compatgw_testing.fakes.shape import Arr, Either, Free, Num, Str
from compatgw_testing.request import Request
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Turn

# Dimensions of a model, and whether fewer may be asked for.
_MODELS: Mapping[str, tuple[int, bool]] = {
    "text-embedding-ada-002": (1536, False),
    "text-embedding-3-small": (1536, True),
    "text-embedding-3-large": (3072, True),
}
_OTHERS: tuple[int, bool] = (1024, True)
_MOST_TOKENS = 8192
_MOST_INPUTS = 2048
FIELDS: dict[str, Shape] = {
    "input": Either(
        {
            "string": Str(),
            "array": Arr(
                Either({"string": Str(), "number": Num(0, whole=True), "array": Arr(Num(0, whole=True), low=1)}),
                low=1,
                high=_MOST_INPUTS,
            ),
        }
    ),
    "model": Str(),
    "dimensions": Num(1, whole=True),
    "encoding_format": Str(("float", "base64")),
    "user": Free(),
}


def dimensions_of(model: str) -> tuple[int, bool]:
    """How long a model's vectors are, and whether shorter ones may be asked for."""
    return _MODELS.get(model.rpartition("/")[2], _OTHERS)


def inputs_of(given: Any) -> list[str]:
    """The inputs as texts; a list of token ids as its JSON.

    Raises:
        ValueError: There are more than the vendor takes: nobody checked the request.
    """
    if isinstance(given, str):
        return [given]
    if all(isinstance(one, int) for one in given):
        return [dump(given)]
    if len(given) > _MOST_INPUTS:
        raise ValueError(f"{len(given)} inputs are too many")
    return [one if isinstance(one, str) else dump(one) for one in given]


def check_embeddings(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    body = members_of(body, {**FIELDS, **habit.embedding_shapes}, ("input", "model"), habit)
    given = body["input"]
    items = given if isinstance(given, list) else [given]
    kinds = {type(one) for one in items}
    if kinds != {str} and not habit.embedding_tokens:
        raise refuse("'input' has to hold texts.", "input", "invalid_type")
    if len(kinds) > 1:
        raise refuse("'input' has to hold items of one kind.", "input", "invalid_type")
    if any(one == "" for one in items):
        raise refuse("'input' cannot be an empty string.", "input", "invalid_value")
    for text in inputs_of(given):
        tokens = text.count(",") + 1 if text.startswith("[") and kinds != {str} else len(text) // 4
        if tokens > _MOST_TOKENS:
            raise refuse(
                f"This model's maximum context length is {_MOST_TOKENS} tokens, however you requested {tokens} tokens.",
                None,
                "context_length_exceeded",
            )
    if not habit.models_rules:
        return
    dimensions, free = dimensions_of(body["model"])
    if "dimensions" not in body:
        return
    if not free:
        raise refuse("This model does not support specifying dimensions.", "dimensions")
    if body["dimensions"] > dimensions and re.match("text-embedding-3", body["model"]):
        raise refuse(
            f"Invalid value for 'dimensions' = {body['dimensions']}. Must be less than or equal to {dimensions}.",
            "dimensions",
            "invalid_value",
        )


class EmbeddingsSurface(Vendor):
    """`POST /embeddings`."""

    embeddings_routes: ClassVar[tuple[Route, ...]] = (Route("POST", "/embeddings", "_embeddings"),)

    def _embeddings(self, call: Call) -> Answer:
        if self.strict:
            check_embeddings(call.body, self.habit)
        inputs, model = self.read(lambda: (inputs_of(call.body["input"]), str(call.body["model"])))
        self.require_model(call, model)
        dimensions = self.read(
            lambda: count_of(call.body.get(self.habit.embedding_size), 8192, dimensions_of(model)[0])
        )
        packed = call.body.get(self.habit.embedding_packed) == "base64"
        request = Request(
            model=model,
            surface="embeddings",
            inputs=tuple(inputs),
            settings={"dimensions": dimensions},
            prompt=call.body["input"],
        )

        def make(turn: Turn | None) -> Answer:
            vectors = [self.vectors.embed(one, dimensions) for one in inputs]
            data: list[Json] = [
                {"object": "embedding", "index": index, "embedding": packed_of(vector) if packed else vector}
                for index, vector in enumerate(vectors)
            ]
            tokens = sum(len(one) // 4 + 1 for one in inputs)
            if self.limits is not None:
                self.limits.spend(tokens)
            habit = self.habit
            usage = {"prompt_tokens": tokens, "total_tokens": tokens, **habit.embedding_usage}
            usage = {name: value for name, value in usage.items() if name not in habit.embedding_without}
            answer = {"object": "list", "data": data, "model": model, "usage": usage, **habit.embedding_extra}
            return self.json_answer(call, answer)

        return self.serve(call, request, make)


def packed_of(vector: Sequence[float]) -> str:
    """A vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
