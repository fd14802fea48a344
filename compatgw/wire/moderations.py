"""OpenAI's moderations request and answer as TypedDicts.

What does not live here: validation (`surfaces/moderations.py`), other vendors' categories (`dialects/`).
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON, ImagePart, Open, TextPart, by_type

DEFAULT_MODEL = "omni-moderation-latest"
"""The model of requests that name none."""
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""What is judged; each stands in every result."""
MOST_INPUTS = 2048
"""Texts or parts that one request may hold."""


def by_kind_of_input(value: JSON) -> str | None:
    """Tag of an input: a list is of the kind of its first entry."""
    if isinstance(value, str):
        return "<string>"
    if not isinstance(value, list):
        return None
    return "<parts>" if value and isinstance(value[0], dict) else "<strings>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")] | Annotated[ImagePart, Tag("<image_url>")],
    Discriminator(by_type),
]
Input = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[Annotated[list[str], Field(min_length=1, max_length=MOST_INPUTS)], Tag("<strings>")]
    | Annotated[Annotated[list[Part], Field(min_length=1, max_length=MOST_INPUTS)], Tag("<parts>")],
    Discriminator(by_kind_of_input),
]
"""One text; several, each with a result of its own; or parts of one message, which has one result."""


class ModerationsRequest(Open):
    """The body of `POST /v1/moderations`, null members left out."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    input: Input
    user: NotRequired[str]


class Moderation(TypedDict):
    """What was found in one input.

    Attributes:
        flagged: A category is true.
        categories, category_scores: By category; false and 0 where nobody judged.
        category_applied_input_types: `text` and `image`, as far as they were judged for a category.
    """

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class Moderations(TypedDict):
    """An answer: results in the order of the inputs."""

    id: str
    model: str
    results: list[Moderation]
