"""OpenAI's embeddings request and answer as TypedDicts, and vectors as base64.

The base64 form is little-endian 32-bit floats one after the other, in the standard alphabet
with padding; the official SDKs ask for it unless they are told otherwise.

What does not live here: validation (`surfaces/embeddings.py`), other vendors' shapes (`dialects/`).
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON, Open

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_INPUTS = 2048
"""Texts, or lists of token ids, that one request may hold."""
MOST_TOKENS = 300_000
"""Token ids that one request may hold."""
_LARGEST = (2 - 2**-23) * 2.0**127  # of the 32-bit floats


def by_kind_of_input(value: JSON) -> str | None:
    """Tag of an input: a list is of the kind of its first entry."""
    if isinstance(value, str):
        return "<string>"
    if not isinstance(value, list):
        return None
    if value and isinstance(value[0], list):
        return "<token lists>"
    return "<tokens>" if value and isinstance(value[0], int) and not isinstance(value[0], bool) else "<strings>"


Text = Annotated[str, Field(min_length=1)]
Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Input = Annotated[
    Annotated[Text, Tag("<string>")]
    | Annotated[Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS)], Tag("<strings>")]
    | Annotated[Tokens, Tag("<tokens>")]
    | Annotated[Annotated[list[Tokens], Field(min_length=1, max_length=MOST_INPUTS)], Tag("<token lists>")],
    Discriminator(by_kind_of_input),
]
"""One text or several, one list of token ids or several."""


class EmbeddingsRequest(Open):
    """The body of `POST /v1/embeddings`, null members left out.

    Attributes:
        input_type: What the vectors are for, in any vendor's words (`dialects/purposes.py`); OpenAI has no such
            member. `task_type` and `task` are other vendors' names of it.
        output_dtype: What the numbers of a vector are, where a vendor has more than floats.
        truncate: Whether, or from which end, a text that is too long is cut. `truncation` is the same.
    """

    model: Annotated[str, Field(min_length=1, max_length=512)]
    input: Input
    encoding_format: NotRequired[Literal["float", "base64"]]
    dimensions: NotRequired[Annotated[int, Field(ge=1)]]
    user: NotRequired[str]
    input_type: NotRequired[str]
    task_type: NotRequired[str]
    task: NotRequired[str]
    output_dtype: NotRequired[str]
    truncate: NotRequired[bool | str]
    truncation: NotRequired[bool]


class Embedding(TypedDict):
    """One vector, as numbers or as base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(TypedDict):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(TypedDict):
    """An answer: one vector for each input, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


def packed(vector: Sequence[float]) -> str:
    """`vector` as base64. A number beyond those of 32 bits becomes the largest of them."""
    try:
        data = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:
        data = struct.pack(f"<{len(vector)}f", *(min(max(value, -_LARGEST), _LARGEST) for value in vector))
    return base64.b64encode(data).decode()


def unpacked(text: str) -> list[float]:
    """The numbers that base64 holds, each exactly the 32-bit float that was written.

    Raises:
        ValueError: Not base64, not whole numbers of 4 bytes, none at all, or one that is no number.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if not data or len(data) % 4:
        raise ValueError(f"{len(data)} bytes are no 32-bit floats")
    values = list(struct.unpack(f"<{len(data) // 4}f", data))
    # Sums of numbers of this size stay finite, unless one of them is not.
    if not math.isfinite(sum(values)):
        raise ValueError("not every number is finite")
    return values
