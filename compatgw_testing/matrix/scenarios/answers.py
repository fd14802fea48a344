"""Scenarios of answers that go well: what an upstream says arrives, all of it and as what it is."""

from __future__ import annotations

from compatgw_testing.matrix.asked import Asked, Tool, user
from compatgw_testing.matrix.expect import Expect
from compatgw_testing.matrix.scenario import Scenario
from compatgw_testing.script import ToolCall, Usage, refuse, reply, tool_call, tool_calls

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="get_weather", parameters=CITY)
CLOCK = Tool(name="get_time", parameters={"type": "object", "properties": {"zone": {"type": "string"}}})
DICE = Tool(name="roll_dice", parameters=None)
LETTERS = (
    "\U0001f98a caf\u00e9 \u6f22\u5b57 \u0645\u0631\u062d\u0628\u0627 e\u0301 "
    '\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2028 "q" \\ </s>'
)
PLAN = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "legs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"to": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["to", "days"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["name", "legs"],
    "additionalProperties": False,
}
TRIP = {"name": "Zo\u00eb", "legs": [{"to": "\u6771\u4eac", "days": 3}, {"to": "Oslo \U0001f1f3\U0001f1f4", "days": 1}]}
HELLO = Asked(entries=user("Say hello."))
ASK_WEATHER = Asked(entries=user("The weather in Paris?"), tools=(WEATHER,))
TOOLS = frozenset({"tools"})
PARALLEL = frozenset({"tools", "parallel"})

SCENARIOS = (
    Scenario(
        name="text",
        says="A text arrives whole.",
        asked=HELLO,
        step=reply("Hello there, how are you?"),
        expect=Expect(text="Hello there, how are you?", finish=("stop",), calls=()),
    ),
    Scenario(
        name="many_pieces",
        says="A text that comes in single letters arrives whole and in order.",
        asked=HELLO,
        step=reply(chunks=tuple("A text of many pieces.\n\n  With  space. ")),
        expect=Expect(text="A text of many pieces.\n\n  With  space. ", finish=("stop",)),
        modes=("stream",),
    ),
    Scenario(
        name="unicode",
        says="Letters of all scripts, emoji, combining marks and quotes arrive as they are.",
        asked=HELLO,
        step=reply(LETTERS),
        expect=Expect(text=LETTERS, finish=("stop",)),
    ),
    Scenario(
        name="long",
        says="An answer of 20,000 words arrives whole.",
        asked=HELLO,
        step=reply("word " * 19_999 + "end"),
        expect=Expect(text="word " * 19_999 + "end"),
        modes=("plain",),
    ),
    Scenario(
        name="torn_bytes",
        says="A stream whose bytes arrive one by one, within characters and lines, arrives whole.",
        asked=HELLO,
        step=reply("caf\u00e9 \U0001f98a", chunks="torture"),
        expect=Expect(text="caf\u00e9 \U0001f98a", finish=("stop",)),
        modes=("stream",),
    ),
    Scenario(
        name="empty",
        says="An answer without any words is an answer, not an error.",
        asked=HELLO,
        step=reply("", usage=(5, 1)),
        expect=Expect(text="", finish=("stop",), calls=()),
    ),
    Scenario(
        name="usage",
        says="Tokens are counted as the upstream counts them.",
        asked=HELLO,
        step=reply("Hi.", usage=(1234, 56)),
        expect=Expect(text="Hi.", usage={"input": 1234, "output": 56}),
    ),
    Scenario(
        name="usage_cached",
        says="Tokens from a cache count as part of the prompt, and are told apart.",
        asked=HELLO,
        step=reply("Hi.", usage=Usage(input=1000, output=20, cached=640)),
        expect=Expect(usage={"input": 1000, "output": 20, "cached": 640}),
        needs=frozenset({"cached"}),
    ),
    Scenario(
        name="usage_cache_write",
        says="Tokens that were put into a cache count as part of the prompt.",
        asked=HELLO,
        step=reply("Hi.", usage=Usage(input=1000, output=20, cached=100, cache_write=300)),
        expect=Expect(usage={"input": 1000, "output": 20, "cached": 100}),
        needs=frozenset({"cache_write"}),
    ),
    Scenario(
        name="usage_reasoning",
        says="Tokens of thought count as part of the completion, and are told apart.",
        asked=HELLO,
        step=reply("Hi.", usage=Usage(input=10, output=200, reasoning=150)),
        expect=Expect(usage={"input": 10, "output": 200, "reasoning": 150}),
        needs=frozenset({"reasoning"}),
    ),
    Scenario(
        name="length",
        says="An answer that ran into its limit says so.",
        asked=Asked(entries=user("Say hello."), limit=16),
        step=reply("Hello there, how", finish="length"),
        expect=Expect(text="Hello there, how", finish=("length",)),
    ),
    Scenario(
        name="filtered",
        says="An answer that a filter cut does not look complete.",
        asked=HELLO,
        step=reply("Once upon", finish="content_filter"),
        expect=Expect(finish=("content_filter",)),
        dialects=("openai", "anthropic", "gemini", "bedrock"),
    ),
    Scenario(
        name="refusal",
        says="A refusal's words reach the client, and nothing suggests a tool call or a cut.",
        asked=HELLO,
        step=refuse("I cannot help with that."),
        expect=Expect(refusal="I cannot help with that.", finish=("stop", "content_filter"), calls=()),
        needs=frozenset({"refusal"}),
    ),
    Scenario(
        name="tool_call",
        says="A tool call arrives with its name and all its arguments, and is the reason to finish.",
        asked=ASK_WEATHER,
        step=tool_call("get_weather", city="Paris"),
        expect=Expect(text="", calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_nested",
        says="Nested arguments with other letters, numbers and nulls arrive as they are.",
        asked=Asked(entries=user("Plan a trip."), tools=(Tool(name="plan", parameters=PLAN),)),
        step=tool_calls(ToolCall("plan", {**TRIP, "price": 12.5, "note": None, "ok": True, "tags": []})),
        expect=Expect(
            calls=(("plan", {**TRIP, "price": 12.5, "note": None, "ok": True, "tags": []}),), finish=("tool_calls",)
        ),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_bare",
        says="A call without arguments arrives with an empty object.",
        asked=Asked(entries=user("Roll."), tools=(DICE,)),
        step=tool_call("roll_dice"),
        expect=Expect(calls=(("roll_dice", {}),), finish=("tool_calls",)),
        needs=TOOLS,
    ),
    Scenario(
        name="tool_after_text",
        says="Words before a tool call arrive, and so does the call.",
        asked=ASK_WEATHER,
        step=tool_calls(("get_weather", {"city": "Paris"}), text="Let me look."),
        expect=Expect(text="Let me look.", calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        needs=TOOLS,
        dialects=("openai", "anthropic", "gemini", "bedrock"),
    ),
    Scenario(
        name="tool_parallel",
        says="Two calls of one tool arrive apart, in order, each with its arguments.",
        asked=Asked(entries=user("Paris and Rome?"), tools=(WEATHER, CLOCK)),
        step=tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})),
        expect=Expect(
            calls=(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})), finish=("tool_calls",)
        ),
        needs=PARALLEL,
    ),
    Scenario(
        name="tool_three",
        says="Three calls of two tools arrive in order.",
        asked=Asked(entries=user("Paris, Rome, and the time?"), tools=(WEATHER, CLOCK)),
        step=tool_calls(
            ("get_weather", {"city": "Paris"}), ("get_time", {"zone": "CET"}), ("get_weather", {"city": "Rome"})
        ),
        expect=Expect(
            calls=(
                ("get_weather", {"city": "Paris"}),
                ("get_time", {"zone": "CET"}),
                ("get_weather", {"city": "Rome"}),
            ),
            finish=("tool_calls",),
        ),
        needs=PARALLEL,
    ),
    Scenario(
        name="reasoning",
        says="Thought that the upstream shows arrives apart from the text.",
        asked=Asked(entries=user("Two and two?"), effort="low", thinker=True, limit=4000),
        step=reply("Four.", reasoning="Two and two make four."),
        expect=Expect(text="Four.", reasoning="Two and two make four.", finish=("stop",)),
        needs=frozenset({"thinker"}),
    ),
    Scenario(
        name="reasoning_tool",
        says="Thought before a tool call arrives, and so does the call.",
        asked=Asked(entries=user("The weather?"), tools=(WEATHER,), effort="low", thinker=True, limit=4000),
        step=tool_calls(("get_weather", {"city": "Paris"}), reasoning="I have to look."),
        expect=Expect(reasoning="I have to look.", calls=(("get_weather", {"city": "Paris"}),), finish=("tool_calls",)),
        needs=TOOLS | {"thinker"},
    ),
    Scenario(
        name="schema",
        says="An answer that a schema asks for arrives as that JSON.",
        asked=Asked(entries=user("Plan a trip."), schema=PLAN),
        step=reply('{"name":"Ada","legs":[{"to":"Oslo","days":2}]}'),
        expect=Expect(value={"name": "Ada", "legs": [{"to": "Oslo", "days": 2}]}, finish=("stop",), calls=()),
        needs=frozenset({"schema"}),
    ),
    Scenario(
        name="json_object",
        says="An answer that has to be JSON arrives as that JSON.",
        asked=Asked(entries=user("Plan a trip, as JSON."), json=True),
        step=reply('{"a": [1, 2]}'),
        expect=Expect(value={"a": [1, 2]}, finish=("stop",)),
        needs=frozenset({"json"}),
    ),
)
