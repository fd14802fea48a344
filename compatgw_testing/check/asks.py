"""The requests that the scorecard sends: texts, tools, schemas and pictures.

Equal requests are sent once and their answer is shared, so that assertions use what stands
here instead of writing their own. What does not live here: sending (`probe.py`).
"""

from __future__ import annotations

from typing import Any, Final

from compatgw_testing.specimens import PIXEL

Messages = list[dict[str, Any]]

HELLO: Final = "Say hello in a few words."
COUNT: Final = "Count from 1 to 60 in words, one after the other."
WEATHER: Final = "What is the weather in Paris right now? Use the tool."
TWO_CITIES: Final = "What is the weather in Paris and in Rome right now? Call the tool once for each city."
PERSON: Final = "Ada is 36 years old and likes the colour green. Give her as JSON."
UNICODE: Final = (
    "Repeat exactly: \U0001f98a caf\u00e9 \u6f22\u5b57 \u0645\u0631\u062d\u0628\u0627 e\u0301 "
    "\U0001f468\u200d\U0001f469\u200d\U0001f467"
)
PICTURE: Final = "What is in this picture?"


def user(content: object) -> Messages:
    """A conversation of one user message."""
    return [{"role": "user", "content": content}]


def function(name: str, description: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
    """The definition of a tool; without `parameters` it takes none."""
    inner: dict[str, Any] = {"name": name, "description": description}
    if parameters is not None:
        inner["parameters"] = parameters
    return {"type": "function", "function": inner}


def weather_tool() -> dict[str, Any]:
    """A tool with one required string."""
    return function(
        "get_weather",
        "The current weather of one city.",
        {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    )


def clock_tool() -> dict[str, Any]:
    """Another tool, with a choice of two."""
    return function(
        "get_time",
        "The current time.",
        {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}}, "required": ["zone"]},
    )


def bare_tool() -> dict[str, Any]:
    """A tool that takes nothing."""
    return function("roll_dice", "Rolls a die.", None)


def round_trip(*, parts: bool = False) -> Messages:
    """A conversation in which a tool was called and has answered."""
    result: object = '{"celsius": 21}'
    if parts:
        result = [{"type": "text", "text": '{"celsius": 21}'}]
    return [
        *user(WEATHER),
        {"role": "assistant", "content": None, "tool_calls": [called("call_abc123xyz", "Paris")]},
        {"role": "tool", "tool_call_id": "call_abc123xyz", "content": result},
    ]


def double_round_trip() -> Messages:
    """A conversation in which a tool was called twice at once and both calls have answers."""
    calls = [called("call_one111111", "Paris"), called("call_two222222", "Rome")]
    return [
        *user(TWO_CITIES),
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_one111111", "content": '{"celsius": 21}'},
        {"role": "tool", "tool_call_id": "call_two222222", "content": '{"celsius": 27}'},
    ]


def called(id: str, city: str) -> dict[str, Any]:
    """A call of the weather tool as it stands in a history."""
    return {"id": id, "type": "function", "function": {"name": "get_weather", "arguments": f'{{"city": "{city}"}}'}}


def person_format() -> dict[str, Any]:
    """A response format with a schema that is strict in each way that a small server can be."""
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "colour": {"type": "string", "enum": ["red", "green", "blue"]},
        },
        "required": ["name", "age", "colour"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}


def picture(data: str = PIXEL) -> Messages:
    """A question about a picture in a data URL."""
    url = {"url": f"data:image/png;base64,{data}"}
    return user([{"type": "text", "text": PICTURE}, {"type": "image_url", "image_url": url}])
