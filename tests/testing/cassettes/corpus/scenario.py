"""One scenario of the shipped cassettes: what is asked through the vendor's own SDK, and what its fake says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from compatgw_testing import Fake

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TRIP = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TRIP_TEXT = '{"city":"Lisbon","days":3}'
HELLO = "Say hello in French."
WHERE = "What is the weather in Paris?"
BOTH = "What is the weather in Paris and in Rome?"
# Two-, three- and four-byte characters, so that a cut may fall within one.
GREETING = "Bonjour à tous, bienvenue à Paris \u2013 \U0001f44b"
THOUGHT = "The user wants a greeting. A short one will do."


class Said(NamedTuple):
    """What an SDK made of an answer.

    Attributes:
        text: All of it.
        calls: Names and arguments of tool calls.
        finish: Why it ended, in the vendor's word; of an error, the class that the SDK raised.
        thought: Reasoning, if the SDK shows it.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""
    thought: str = ""


class Scenario(NamedTuple):
    """What is asked, and what is said.

    Attributes:
        ask: Asks through the SDK; gives what came of it. Takes the client and the model.
        script: Tells the fake what to say.
        model: The model that is asked for.
        live: Whether a real server can be brought to it; an error 500 cannot be asked for.
    """

    ask: Callable[[Any, str], Said]
    script: Callable[[Any], object]
    model: str
    live: bool = True


def hello(fake: Fake) -> object:
    """A greeting."""
    return fake.reply(GREETING, usage=(14, 12))


def weather(fake: Fake) -> object:
    """One tool call."""
    return fake.tool_call("get_weather", city="Paris")


def round_trip(fake: Fake) -> object:
    """One tool call, and the answer once its result is there."""
    return fake.tool_call("get_weather", city="Paris").reply("It is 18 degrees in Paris.")


def both(fake: Fake) -> object:
    """Two tool calls at once."""
    return fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"}))


def trip(fake: Fake) -> object:
    """JSON of the schema."""
    return fake.reply(TRIP_TEXT)


def thinking(fake: Fake) -> object:
    """Thought, then text."""
    return fake.reply(GREETING, reasoning=THOUGHT)


def seen(fake: Fake) -> object:
    """What one says of a picture or a page."""
    return fake.reply("There is nothing to see but one pixel.")


def failing(status: int) -> Callable[[Fake], object]:
    """An error status, with the time to wait where vendors say it."""

    def script(fake: Fake) -> object:
        return fake.fail(status, retry_after=2.0) if status in (429, 503, 529) else fake.fail(status)

    return script


def refused(ask: Callable[[Any, str], Said]) -> Callable[[Any, str], Said]:
    """Asks for what goes wrong; gives the class that the SDK raised."""

    def asked(client: Any, model: str) -> Said:
        try:
            said = ask(client, model)
        except Exception as failure:  # noqa: BLE001 - which one the SDK raises is what is asked for
            return Said(finish=type(failure).__name__)
        return said

    return asked
