"""Scenarios of what an upstream is told: what a client says arrives there, all of it and as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.matrix.asked import Asked, Entry, Tool, user
from compatgw_testing.matrix.expect import Expect, Heard
from compatgw_testing.matrix.scenario import Scenario
from compatgw_testing.matrix.scenarios.answers import CLOCK, LETTERS, PARALLEL, PLAN, TOOLS, WEATHER
from compatgw_testing.script import ToolCall, improvise, reply
from compatgw_testing.specimens import PAGE, PIXEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw_testing.journal import Call
    from compatgw_testing.request import Message, Request

FINE = reply("Fine.")


def heard(words: str, holds: Callable[[Request], bool]) -> Heard:
    """What the upstream's request has to show."""

    def judged(call: Call) -> bool:
        return call.request is not None and holds(call.request)

    return Heard(words, judged)


def sent(words: str, text: str) -> Heard:
    """Bytes that have to stand in the upstream's body."""
    return Heard(words, lambda call: text.encode() in call.raw)


def _told(request: Request, role: str) -> list[Message]:
    return [one for one in request.messages if one.role == role]


def _results_of(request: Request) -> dict[str, str]:
    """The text of each result by the call that it answers: its city, found by the call's id or its order."""
    calls = [call for one in request.messages for call in one.calls]
    by_id = {call.id: call for call in calls if call.id}
    found = {}
    for number, result in enumerate(_told(request, "tool")):
        call = by_id.get(result.call_id) if result.call_id else None
        call = call or (calls[number] if number < len(calls) else None)
        city = call.arguments.get("city") if call is not None and not isinstance(call.arguments, str) else None
        if call is not None and isinstance(call.arguments, str):
            city = next((name for name in ("Paris", "Rome") if name in call.text), None)
        found[str(city)] = result.text
    return found


HEARD_RESULT = (heard("the result of the call", lambda request: "21" in _results_of(request).get("Paris", "")),)
HEARD_RESULTS = (
    heard("that 21 is of Paris", lambda request: "21" in _results_of(request).get("Paris", "")),
    heard("that 27 is of Rome", lambda request: "27" in _results_of(request).get("Rome", "")),
)
_RICH = {
    "type": "object",
    "$defs": {
        "leg": {
            "type": "object",
            "properties": {
                "to": {"type": "string", "minLength": 1, "maxLength": 60},
                "days": {"type": "integer", "minimum": 1},
            },
            "required": ["to"],
            "additionalProperties": False,
        }
    },
    "properties": {
        "legs": {"type": "array", "items": {"$ref": "#/$defs/leg"}, "minItems": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "mode": {"type": "string", "enum": ["train", "boat"], "default": "train"},
        "start": {"type": "string", "format": "date-time"},
        "price": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "required": ["legs"],
    "additionalProperties": False,
}
_ORDERS = ("Be brief.", "Speak like a pirate.")
_ONE_CALL = (
    Entry(role="user", text="The weather in Paris?"),
    Entry(role="assistant", calls=(ToolCall("get_weather", {"city": "Paris"}, "callaaa11"),)),
    Entry(role="tool", answers="callaaa11", text='{"celsius": 21}'),
)
_TWO_CALLS = (
    Entry(role="user", text="The weather in Paris and Rome?"),
    Entry(
        role="assistant",
        text="I look.",
        calls=(
            ToolCall("get_weather", {"city": "Paris"}, "callaaa11"),
            ToolCall("get_weather", {"city": "Rome"}, "callbbb22"),
        ),
    ),
    Entry(role="tool", answers="callbbb22", text="Rome has 27 degrees"),
    Entry(role="tool", answers="callaaa11", text="Paris has 21 degrees"),
)
_LATE = Asked(
    entries=(
        Entry(role="system", text="Be brief."),
        *user("My name is Ada."),
        Entry(role="assistant", text="Hello Ada."),
        *user("Who am I?"),
        Entry(role="system", text="Speak like a pirate."),
    )
)
_LATE_HEARD = Expect(
    text="Fine.",
    heard=(
        heard("both texts", lambda one: all(any(it in said.text for said in one.messages) for it in _ORDERS)),
        heard("the question", lambda one: any("Who am I?" in said.text for said in one.messages)),
    ),
)

SCENARIOS = (
    Scenario(
        name="system",
        says="A system message arrives as one.",
        asked=Asked(entries=(Entry(role="system", text="Speak like a pirate."), *user("Hello."))),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(heard("the system text", lambda request: request.system == "Speak like a pirate."),),
        ),
    ),
    Scenario(
        name="developer",
        says="A developer message arrives as instructions.",
        asked=Asked(entries=(Entry(role="developer", text="Speak like a pirate."), *user("Hello."))),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(heard("the developer's text", lambda request: "like a pirate" in request.system),),
        ),
        dialects=("anthropic", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="two_systems",
        says="Two system messages arrive both.",
        asked=Asked(
            entries=(
                Entry(role="system", text="Speak like a pirate."),
                Entry(role="system", text="Be brief."),
                *user("Hello."),
            )
        ),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(heard("both texts", lambda request: "pirate" in request.system and "Be brief." in request.system),),
        ),
    ),
    Scenario(
        name="history",
        says="Earlier turns arrive in order, each under its role.",
        asked=Asked(
            entries=(
                Entry(role="user", text="My name is Ada."),
                Entry(role="assistant", text="Hello Ada."),
                Entry(role="user", text="Who am I?"),
            )
        ),
        step=reply("You are Ada."),
        expect=Expect(
            text="You are Ada.",
            heard=(
                heard(
                    "the three turns",
                    lambda request: (
                        [(one.role, one.text) for one in request.messages]
                        == [("user", "My name is Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
                    ),
                ),
            ),
        ),
    ),
    Scenario(
        name="unicode_in",
        says="A question in all letters arrives as it is.",
        asked=Asked(entries=user(LETTERS)),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("the letters", lambda request: request.user == LETTERS),)),
    ),
    Scenario(
        name="parts",
        says="A message of several text parts arrives with all of them, in order.",
        asked=Asked(entries=(Entry(role="user", pieces=("One.", "Two.", "Three.")),)),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(
                heard(
                    "the parts in order",
                    lambda request: "One.Two.Three." in request.user.replace("\n", "").replace(" ", ""),
                ),
            ),
        ),
    ),
    Scenario(
        name="image",
        says="A picture arrives with its bytes and its type.",
        asked=Asked(entries=(Entry(role="user", text="What is it?", image=PIXEL),)),
        step=reply("A red pixel."),
        expect=Expect(
            text="A red pixel.",
            heard=(
                sent("the picture's bytes", PIXEL),
                heard("its type", lambda request: "image/png" in request.media),
                heard("the question", lambda request: "What is it?" in request.user),
            ),
        ),
        needs=frozenset({"image"}),
    ),
    Scenario(
        name="document",
        says="A PDF arrives with its bytes and its type.",
        asked=Asked(entries=(Entry(role="user", text="What does it say?", document=PAGE),)),
        step=reply("Nothing."),
        expect=Expect(
            text="Nothing.",
            heard=(
                sent("the document's bytes", PAGE),
                heard("its type", lambda request: "application/pdf" in request.media),
            ),
        ),
        needs=frozenset({"document"}),
    ),
    Scenario(
        name="tool_offered",
        says="The tools that are offered arrive with their schemas.",
        asked=Asked(entries=user("Hello."), tools=(WEATHER, CLOCK)),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(
                heard("both tools", lambda request: set(request.tools) == {"get_weather", "get_time"}),
                heard("the schema", lambda request: "city" in str(request.tools.get("get_weather"))),
            ),
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_required",
        says="A demanded call is demanded of the upstream.",
        asked=Asked(entries=user("Paris?"), tools=(WEATHER,), choice="required"),
        step=improvise(),
        expect=Expect(
            finish=("tool_calls", "stop"),
            heard=(heard("the demand", lambda request: request.force is not None),),
        ),
        needs=TOOLS | {"required"},
    ),
    Scenario(
        name="tool_named",
        says="A named tool is the one that is demanded.",
        asked=Asked(entries=user("The time?"), tools=(WEATHER, CLOCK), choice="get_time"),
        step=improvise(),
        expect=Expect(heard=(heard("the demand of get_time", lambda request: request.force == "get_time"),)),
        needs=TOOLS | {"choice"},
    ),
    Scenario(
        name="tool_result",
        says="A tool's result arrives with its call.",
        asked=Asked(entries=_ONE_CALL, tools=(WEATHER,)),
        step=reply("It has 21 degrees."),
        expect=Expect(
            text="It has 21 degrees.",
            finish=("stop",),
            heard=HEARD_RESULT,
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_results",
        says="Two results, given in another order than the calls, arrive each with its own call.",
        asked=Asked(entries=_TWO_CALLS, tools=(WEATHER,)),
        step=reply("21 and 27."),
        expect=Expect(
            text="21 and 27.",
            heard=HEARD_RESULTS,
        ),
        needs=PARALLEL,
    ),
    Scenario(
        name="schema_in",
        says="A schema for the answer arrives.",
        asked=Asked(entries=user("Plan a trip."), schema=PLAN),
        step=improvise(),
        expect=Expect(heard=(sent("the schema's words", "legs"),)),
        needs=frozenset({"schema"}),
    ),
    Scenario(
        name="limit",
        says="The limit of an answer arrives.",
        asked=Asked(entries=user("Hello."), limit=777),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("the limit", lambda request: request.limit == 777),)),
    ),
    Scenario(
        name="temperature",
        says="The temperature arrives; 0 is not left out.",
        asked=Asked(entries=user("Hello."), temperature=0),
        step=FINE,
        expect=Expect(
            text="Fine.", heard=(heard("temperature 0", lambda request: request.settings.get("temperature") == 0),)
        ),
    ),
    Scenario(
        name="stop",
        says="Stop sequences arrive.",
        asked=Asked(entries=user("Hello."), stop=("END", "###")),
        step=FINE,
        expect=Expect(text="Fine.", heard=(sent("END", '"END"'), sent("###", '"###"'))),
    ),
    Scenario(
        name="two_questions",
        says="Two user messages in a row arrive both.",
        asked=Asked(entries=(*user("First thing."), *user("Second thing."))),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(
                heard(
                    "both questions",
                    lambda request: all(
                        any(words in one.text for one in request.messages)
                        for words in ("First thing.", "Second thing.")
                    ),
                ),
            ),
        ),
        dialects=("anthropic", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="assistant_first",
        says="A conversation that the assistant opens is taken.",
        asked=Asked(entries=(Entry(role="assistant", text="How may I help?"), *user("Hello."))),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(heard("both turns", lambda request: any("How may I" in one.text for one in request.messages)),),
        ),
        dialects=("anthropic", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="silent_assistant",
        says="An earlier turn in which the assistant said nothing is taken.",
        asked=Asked(entries=(*user("Hello."), Entry(role="assistant", pieces=("",)), *user("Are you there?"))),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("the question", lambda one: "Are you there?" in one.user),)),
        dialects=("anthropic", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="tool_history",
        says="A conversation with calls is taken though no tools are offered any more.",
        asked=Asked(entries=(*_ONE_CALL, Entry(role="assistant", text="21 degrees."), *user("Thank you."))),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("the question", lambda one: "Thank you." in one.user),)),
        needs=TOOLS,
        dialects=("anthropic", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="tool_result_list",
        says="A result that is a JSON list, not an object, arrives.",
        asked=Asked(
            entries=(*_ONE_CALL[:2], Entry(role="tool", answers="callaaa11", text="[21, 22]")), tools=(WEATHER,)
        ),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(heard("the list", lambda request: "22" in _results_of(request).get("Paris", "")),),
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_result_empty",
        says="A result without any text is taken.",
        asked=Asked(entries=(*_ONE_CALL[:2], Entry(role="tool", answers="callaaa11", text="")), tools=(WEATHER,)),
        step=FINE,
        expect=Expect(text="Fine."),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_result_picture",
        says="A picture that a tool gave arrives, and so do its words.",
        asked=Asked(
            entries=(*_ONE_CALL[:2], Entry(role="tool", answers="callaaa11", text="21, as shown", image=PIXEL)),
            tools=(WEATHER,),
        ),
        step=FINE,
        expect=Expect(text="Fine.", heard=(*HEARD_RESULT, sent("the picture's bytes", PIXEL))),
        needs=TOOLS | {"image"},
    ),
    Scenario(
        name="tool_result_then_user",
        says="Words of the user right after a result, who did not wait for the answer, arrive with it.",
        asked=Asked(entries=(*_ONE_CALL, *user("In Fahrenheit.")), tools=(WEATHER,)),
        step=FINE,
        expect=Expect(
            text="Fine.",
            heard=(*HEARD_RESULT, heard("the words", lambda one: "In Fahrenheit." in one.user)),
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="late_system",
        says="Instructions in the middle of a conversation arrive.",
        asked=_LATE,
        step=FINE,
        expect=_LATE_HEARD,
        clients=("chat", "responses"),
    ),
    Scenario(
        name="late_system_claude",
        says="So it is with a client of Anthropic's API; only its newest models take that natively.",
        asked=_LATE,
        step=FINE,
        expect=_LATE_HEARD,
        clients=("messages",),
        dialects=("openai", "gemini", "cohere", "bedrock"),
    ),
    Scenario(
        name="tool_schema",
        says="A tool whose schema has references, unions, formats and bounds is taken.",
        asked=Asked(entries=user("Plan."), tools=(Tool(name="plan", parameters=_RICH),)),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("the tool", lambda request: "plan" in request.tools),)),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_none",
        says="`none` keeps the upstream from calling: it is told so, or offered no tool.",
        asked=Asked(entries=user("Hello."), tools=(WEATHER,), choice="none"),
        step=FINE,
        expect=Expect(text="Fine.", heard=(heard("no demand", lambda request: request.force is None),)),
        needs=TOOLS,
    ),
)
