"""Embeddings: what the codecs of several protocols share.

Texts are taken out of a hub request, an upstream's vectors are looked at and put in order, and
an answer in OpenAI's shape, which most vendors have, is read whole. What comes out of here is
numbers, all finite, or base64 if that is what the client asked for.

What does not live here: any one vendor's request, the form a client asked for (`surfaces/`).
"""

from __future__ import annotations

import binascii
import math
from array import array
from typing import TYPE_CHECKING, Any

from compatgw.dialects import bodies
from compatgw.dialects.base import Result
from compatgw.dialects.bodies import load_object, where
from compatgw.errors import UnsupportedParameter, UpstreamFailure
from compatgw.wire.embeddings import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Context, Leftovers, Target
    from compatgw.wire.chat import Usage

WHOLE_NUMBERS = frozenset({"int8", "uint8", "binary", "ubinary"})
"""Values of `output_dtype` whose vectors are no floats."""


def memo(request: Mapping[str, Any]) -> dict[str, Any]:
    """What reading the answer needs to know: how many vectors there have to be, and whether they may be base64."""
    given = request["input"]
    several = isinstance(given, list) and not isinstance(given[0], int)
    return {"count": len(given) if several else 1, "packed": request.get("encoding_format") == "base64"}


def has_tokens(request: Mapping[str, Any]) -> bool:
    """The input is token ids."""
    given = request["input"]
    return isinstance(given, list) and not isinstance(given[0], str)


def texts(request: Mapping[str, Any], target: Target) -> list[str]:
    """The input as texts, for an upstream that takes nothing else.

    Raises:
        UnsupportedParameter: It is token ids.
    """
    given = request["input"]
    if has_tokens(request):
        raise UnsupportedParameter(
            f"'input' holds token ids, which model '{target.model}' at {target.provider} cannot read: they belong to "
            "another model's tokenizer. Send text (in LangChain: check_embedding_ctx_length=False).",
            param="input",
        )
    return list(given) if isinstance(given, list) else [given]


def cutting(request: Mapping[str, Any]) -> bool | str | None:
    """What the caller said of texts that are too long: cut them or not, or from which end."""
    given: bool | str | None = request.get("truncate", request.get("truncation"))
    return given


def cut(request: Mapping[str, Any]) -> bool | None:
    """The same for an upstream that only knows yes and no."""
    given = cutting(request)
    return given if given is None or isinstance(given, bool) else given != "NONE"


def kind(request: Mapping[str, Any]) -> str:
    """How the numbers are to come: `float`, another type, or `base64`, which is for floats that the client wants so."""
    asked: str = request.get("output_dtype", "float")
    return "base64" if asked == "float" and request.get("encoding_format") == "base64" else asked


def leave(request: Mapping[str, Any], read: frozenset[str], left: Leftovers) -> None:
    """Tells `left` of the members of `request` that no protocol's codec has read."""
    dtype = request.get("output_dtype")
    if "output_dtype" not in read and dtype != "float":
        left.semantic("output_dtype", dtype, why="Leave it out to get floats.")
    for name, value in request.items():
        if name not in read and name not in _TAKEN:
            left.hint(name, value)


_TAKEN = frozenset(
    {"model", "input", "encoding_format", "dimensions", "input_type", "task_type", "task", "output_dtype"}
)


# --- answers ---------------------------------------------------------------------------------


def checked(vectors: Sequence[Any], context: Context) -> list[list[float] | str]:
    """`vectors`, each looked at: finite numbers, or base64 where the client asked for it.

    What base64 holds is only looked at when it has to be told as numbers.

    Raises:
        UpstreamFailure: One is nothing of that, or there are not as many as inputs.
    """
    wanted = context.memo.get("count", len(vectors))
    if not vectors or len(vectors) != wanted:
        raise UpstreamFailure(
            f"{where(context.target)} answered with {len(vectors)} vectors for {wanted} inputs. Send it again."
        )
    found = []
    for place, vector in enumerate(vectors):
        try:
            found.append(_sound(vector, bool(context.memo.get("packed"))))
        except (TypeError, ValueError):
            raise UpstreamFailure(
                f"{where(context.target)} answered with something that is no vector at place {place}. Send it again."
            ) from None
    return found


def _sound(vector: Any, packed: bool) -> list[float] | str:
    if isinstance(vector, str):
        if not packed:
            return unpacked(vector)
        size = len(binascii.a2b_base64(vector, strict_mode=True))
        if size and not size % 4:
            return vector
    elif isinstance(vector, list) and vector and math.isfinite(sum(vector)):
        return vector
    raise ValueError("no vector")


def result(vectors: Sequence[list[float] | str], model: str, usage: Usage | None) -> Result:
    """An answer in the hub's shape. Its `usage` is 0 when nobody says: clients' types insist on the member."""
    read, total = (usage["prompt_tokens"], usage["total_tokens"]) if usage is not None else (0, 0)
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)],
        "model": model,
        "usage": {"prompt_tokens": read, "total_tokens": total},
    }
    return Result(body, usage)


def decode(body: bytes, context: Context, *, small: bool = False) -> Result:
    """An answer in OpenAI's shape; one that needs no change goes on as its own bytes.

    Args:
        small: Its base64 holds whole numbers of one byte, from -128 to 127.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or vectors that are none.
    """
    value = load_object(body, context.target)
    data = value.get("data")
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise UpstreamFailure(f"{where(context.target)} answered with no vectors. Send it again.")
    rows = _ordered(data)
    given = [one.get("embedding") for one in rows]
    vectors = checked([_widened(one) for one in given] if small else given, context)
    told = value.get("usage")
    told = told if isinstance(told, dict) else {}
    usage = bodies.usage(told.get("prompt_tokens"), told.get("total_tokens"))
    model = value.get("model")
    if _canonical(value, data) and all(one is other for one, other in zip(vectors, given, strict=True)):
        return Result(value, usage, body)
    made = result(vectors, model if isinstance(model, str) and model else context.target.model, usage)
    rest = {name: member for name, member in told.items() if name not in made.body["usage"] and member is not None}
    rest.pop("completion_tokens", None)
    return made._replace(body={**made.body, "usage": {**made.body["usage"], **rest}}) if rest else made


def _widened(vector: Any) -> Any:
    if not isinstance(vector, str):
        return vector
    try:
        return list(array("b", binascii.a2b_base64(vector, strict_mode=True)))
    except binascii.Error:
        return None


def _ordered(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By their own indexes, or as they stand where those make no sense."""
    by_index = {one["index"]: one for one in data if isinstance(one.get("index"), int)}
    if by_index.keys() == set(range(len(data))):
        return [by_index[place] for place in range(len(data))]
    return data


def _canonical(value: Mapping[str, Any], data: list[dict[str, Any]]) -> bool:
    usage = value.get("usage")
    return (
        value.get("object") == "list"
        and isinstance(value.get("model"), str)
        and value["model"] != ""
        and isinstance(usage, dict)
        and all(isinstance(usage.get(name), int) for name in ("prompt_tokens", "total_tokens"))
        and all(one.get("object") == "embedding" and one.get("index") == place for place, one in enumerate(data))
    )
