"""The shape of every member of a request is enforced: a wrong value is refused, and would not be without the shape."""

from collections.abc import Mapping
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.fakes.openai import audio, completions, embeddings, images, moderations, rules
from compatgw_testing.fakes.openai.responses import shapes
from compatgw_testing.fakes.shape import Free, Shape
from tests.testing.driver import Reply
from tests.testing.openai.forms import post
from tests.testing.openai.wrong import WRONG

TABLES: Mapping[str, dict[str, Shape]] = {
    "chat": rules.FIELDS,
    "responses": shapes.FIELDS,
    "embeddings": embeddings.FIELDS,
    "moderations": moderations.FIELDS,
    "images": images.FIELDS,
    "speech": audio.SPEECH,
    "transcription": audio.TRANSCRIPTION,
    "completions": completions.FIELDS,
}

# Codes of refusals for a shape.
CODES = (
    "array_above_max_length",
    "decimal_above_max_value",
    "decimal_below_min_value",
    "empty_array",
    "integer_above_max_value",
    "integer_below_min_value",
    "invalid_type",
    "invalid_value",
    "missing_required_parameter",
    "string_above_max_length",
    "string_below_min_length",
    "unknown_parameter",
)


# Members that a rule of the model's family refuses, too.
TWICE = {("images", name) for name in ("n", "quality", "response_format", "size", "style")}


async def sent(surface: str, name: str) -> Reply:
    """The answer to a request with one wrong value."""
    path, body, form, wrong = WRONG[surface]
    return await post(FakeOpenAI(), path, {**body, name: wrong[name]}, form=form)


def names(reply: Reply, name: str) -> bool:
    """Whether an answer refuses this member for its shape."""
    if reply.status != 400:
        return False
    error: dict[str, Any] = reply.json["error"]
    return str(error["param"]).replace("[", ".").split(".")[0] == name and error["code"] in CODES


@pytest.mark.parametrize("surface", WRONG)
async def test_each_member_has_a_shape(surface: str) -> None:
    """A wrong value is a 400 that names it; without the shape the answer is another one."""
    table = TABLES[surface]
    unnoticed: list[str] = []
    untested = sorted(
        name for name, shape in table.items() if not isinstance(shape, Free) and name not in WRONG[surface][3]
    )
    for name in WRONG[surface][3]:
        if not names(await sent(surface, name), name):
            unnoticed.append(name)
            continue
        kept = table[name]
        table[name] = Free()
        try:
            without = await broken(surface, name)
        finally:
            table[name] = kept
        if not without and (surface, name) not in TWICE:
            unnoticed.append(f"{name}, even without its shape")

    print(f"{surface}: {len(WRONG[surface][3])} shapes taken out, {len(unnoticed)} survived")
    assert (untested, unnoticed) == ([], [])


async def broken(surface: str, name: str) -> bool:
    """Whether the wrong value is no longer refused for its shape: it is taken, or a later rule stumbles over it."""
    try:
        reply = await sent(surface, name)
    except (AttributeError, KeyError, TypeError, ValueError):
        return True
    return not names(reply, name)
