"""Scenarios of two turns: a client sends back what it was answered, as clients do, and the upstream takes it.

What does not live here: what one request says (`requests.py`).
"""

from __future__ import annotations

from dataclasses import replace

from compatgw_testing.matrix.asked import Asked, Entry, user
from compatgw_testing.matrix.expect import Expect
from compatgw_testing.matrix.scenario import Scenario, Then
from compatgw_testing.matrix.scenarios.answers import PARALLEL, TOOLS, WEATHER
from compatgw_testing.matrix.scenarios.requests import HEARD_RESULT, HEARD_RESULTS, heard, sent
from compatgw_testing.script import reply, tool_call, tool_calls

_THINKING = Asked(entries=user("The weather?"), tools=(WEATHER,), effort="low", thinker=True, limit=4000)
_THOUGHT = tool_calls(("get_weather", {"city": "Paris"}), reasoning="I have to look.")

SCENARIOS = (
    Scenario(
        name="loop",
        says="A client that answers a tool call gets the next answer, and the upstream the result of its call.",
        asked=Asked(entries=user("The weather in Paris?"), tools=(WEATHER,)),
        step=tool_call("get_weather", city="Paris"),
        expect=Expect(calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees."),
            expect=Expect(
                text="It has 21 degrees.",
                calls=(),
                heard=HEARD_RESULT,
            ),
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="loop_parallel",
        says="So it is with two calls at once, after words.",
        asked=Asked(entries=user("The weather in Paris and Rome?"), tools=(WEATHER,)),
        step=tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"}), text="I look."),
        expect=Expect(finish=("tool_calls",)),
        then=Then(
            results=("21 degrees", "27 degrees"),
            step=reply("21 and 27."),
            expect=Expect(
                text="21 and 27.",
                heard=HEARD_RESULTS,
            ),
        ),
        needs=PARALLEL,
    ),
    Scenario(
        name="loop_thinking",
        says="So it is with a model that thinks before it calls, whose thought an upstream may want back.",
        asked=_THINKING,
        step=_THOUGHT,
        expect=Expect(calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees.", reasoning="That is it."),
            expect=Expect(
                text="It has 21 degrees.",
                heard=HEARD_RESULT,
            ),
        ),
        needs=TOOLS | {"thinker"},
    ),
    Scenario(
        name="loop_sealed",
        says="So it is with thought that nobody may read: it goes back as it came.",
        asked=_THINKING,
        step=replace(_THOUGHT, redacted=True),
        expect=Expect(calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees."),
            expect=Expect(text="It has 21 degrees.", heard=(*HEARD_RESULT, sent("the sealed thought", "redacted"))),
        ),
        needs=TOOLS | {"thinker", "sealed"},
    ),
    Scenario(
        name="loop_signed",
        says="Thought that is signed goes back with the call that it led to, as it came.",
        asked=_THINKING,
        step=_THOUGHT,
        expect=Expect(reasoning="I have to look.", calls=(("get_weather", {"city": "Paris"}),)),
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees."),
            expect=Expect(
                text="It has 21 degrees.",
                heard=(
                    *HEARD_RESULT,
                    heard("its thought", lambda one: "I have to look." in [said.reasoning for said in one.messages]),
                ),
            ),
        ),
        needs=TOOLS | {"thinker"},
        dialects=("anthropic", "bedrock"),
    ),
    Scenario(
        name="loop_signatures",
        says="The signatures of Gemini's calls go back with them.",
        asked=_THINKING,
        step=_THOUGHT,
        expect=Expect(calls=(("get_weather", {"city": "Paris"}),)),
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees."),
            expect=Expect(
                text="It has 21 degrees.",
                heard=(*HEARD_RESULT, sent("the signature", "thoughtSignature")),
            ),
        ),
        needs=TOOLS | {"thinker"},
        dialects=("gemini",),
    ),
    Scenario(
        name="loop_kept",
        says="A client that lets the server keep the conversation sends the result alone; the upstream gets all.",
        asked=Asked(
            entries=(Entry(role="system", text="Be brief."), *user("The weather in Paris and Rome?")),
            tools=(WEATHER,),
            kept=True,
        ),
        step=tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"}), text="I look."),
        expect=Expect(finish=("tool_calls",)),
        then=Then(
            results=("21 degrees", "27 degrees"),
            step=reply("21 and 27."),
            expect=Expect(
                text="21 and 27.",
                heard=(
                    *HEARD_RESULTS,
                    heard("the question", lambda request: "Paris and Rome?" in request.user),
                ),
            ),
        ),
        needs=PARALLEL,
    ),
    Scenario(
        name="loop_words",
        says="A client that goes on talking sends back what it was answered, and the upstream takes it.",
        asked=Asked(entries=user("Two and two?"), effort="low", thinker=True, limit=4000),
        step=reply("Four.", reasoning="Two and two make four."),
        expect=Expect(text="Four."),
        then=Then(
            results=(),
            user="And one more?",
            step=reply("Five."),
            expect=Expect(
                text="Five.",
                heard=(heard("what it said", lambda request: any("Four." in one.text for one in request.messages)),),
            ),
        ),
        needs=frozenset({"thinker"}),
    ),
)
