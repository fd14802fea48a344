"""Assertions on `response_format`: what a server takes it also has to obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Skips, dig, expect, expect_same, gathered, must, parsed, short, should

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

WORDS = 300


def _asked(form: dict[str, Any], **members: object) -> dict[str, Any]:
    return {"messages": asks.user(asks.PERSON), "response_format": form, "max_tokens": WORDS, **members}


def _parsed(text: object, finish: object) -> Any:
    if finish == "length":
        raise Skips("the answer ran into its limit")
    return parsed(text)


async def _plain(probe: Probe, form: dict[str, Any]) -> tuple[Any, Any]:
    """The content of a plain answer, and that as JSON."""
    answer = await probe.optional(f"response_format {form['type']}", **_asked(form))
    expect(answer.status == 200, answer.said)
    choice = dig(answer.body(), "choices", 0)
    content = dig(choice, "message", "content")
    return content, _parsed(content, dig(choice, "finish_reason"))


@must("format.text")
async def text(probe: Probe) -> None:
    """`text` is taken and changes nothing."""
    answer = await probe.ask(response_format={"type": "text"})
    expect(answer.status == 200, answer.said)


@must("format.json_object")
async def json_object(probe: Probe) -> None:
    """`json_object` gives a JSON object, if it is taken."""
    content, value = await _plain(probe, {"type": "json_object"})
    expect(isinstance(value, dict), f"the content is {short(content)}")


@must("format.schema_json")
async def schema_json(probe: Probe) -> None:
    """`json_schema` gives a JSON object, if it is taken."""
    content, value = await _plain(probe, asks.person_format())
    expect(isinstance(value, dict), f"the content is {short(content)}")


@must("format.schema_required")
async def schema_required(probe: Probe) -> None:
    """It has all members that the schema requires, of the types that it names."""
    _, value = await _plain(probe, asks.person_format())
    age = dig(value, "age")
    expect(isinstance(dig(value, "name"), str), f"the value is {short(value)}")
    expect(isinstance(age, int) and not isinstance(age, bool), f"the value is {short(value)}")


@must("format.schema_enum")
async def schema_enum(probe: Probe) -> None:
    """It obeys the schema's `enum`."""
    _, value = await _plain(probe, asks.person_format())
    expect(dig(value, "colour") in ("red", "green", "blue"), f"the value is {short(value)}")


@must("format.schema_closed")
async def schema_closed(probe: Probe) -> None:
    """It has no members that a closed schema does not name."""
    _, value = await _plain(probe, asks.person_format())
    others = sorted(set(value or {}) - {"name", "age", "colour"})
    expect(not others, f"it has {short(others)} too")


@must("format.schema_stream")
async def schema_stream(probe: Probe) -> None:
    """A stream's text joins to such an object too."""
    form = asks.person_format()
    await probe.optional("response_format json_schema", **_asked(form))
    stream = await probe.stream(**_asked(form))
    finish = dig(stream.finishes(), 0)
    value = _parsed(stream.text(), finish)
    expect(isinstance(value, dict) and set(value) == {"name", "age", "colour"}, f"it joins to {short(stream.text())}")


@should("format.bad_type")
async def bad_type(probe: Probe) -> None:
    """An unknown type is refused with 400."""
    answer = await probe.ask(**_asked({"type": "poem"}))
    expect_same(answer.status, 400, "the status")


@should("format.no_schema")
async def no_schema(probe: Probe) -> None:
    """`json_schema` without its schema is refused with 400."""
    answer = await probe.ask(**_asked({"type": "json_schema"}))
    expect_same(answer.status, 400, "the status")


ASSERTIONS = gathered(globals())
