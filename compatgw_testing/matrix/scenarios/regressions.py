"""Scenarios from bugs that gateways had: each was reported against one, and is easy to have again.

What does not live here: the bytes (`wire.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.matrix.asked import Asked, user
from compatgw_testing.matrix.expect import BROKEN, RETRYABLE, Expect, Failed
from compatgw_testing.matrix.scenario import Scenario, Then
from compatgw_testing.matrix.scenarios import wire
from compatgw_testing.matrix.scenarios.answers import ASK_WEATHER, HELLO, PARALLEL, TOOLS, WEATHER
from compatgw_testing.matrix.scenarios.requests import HEARD_RESULT
from compatgw_testing.script import ToolCall, fault, reply, tool_calls

if TYPE_CHECKING:
    from compatgw_testing.matrix.asked import Mode
    from compatgw_testing.matrix.upstreams import Upstream
    from compatgw_testing.script import Step

PARIS = ("get_weather", {"city": "Paris"})
ROME = ("get_weather", {"city": "Rome"})
PARIS_TEXT, ROME_TEXT = '{"city":"Paris"}', '{"city":"Rome"}'
ROLE = {"role": "assistant", "content": ""}
LONG = reply("One two three four five six seven eight.")
OPENAI = ("openai",)
STREAM: tuple[Mode, ...] = ("stream",)
# What a gateway does better than Anthropic it can only do where it translates: a client of Anthropic's own API may be
# handed the very bytes.
TRANSLATED = ("chat", "responses")
_ONE = Expect(text="", calls=(PARIS,), finish=("tool_calls",))
_TWO = Expect(text="", calls=(PARIS, ROME), finish=("tool_calls",))


def _anthropic_call(text: str) -> tuple[dict[str, object], tuple[dict[str, object], ...]]:
    start: dict[str, object] = {"type": "tool_use", "id": "toolu_raw1", "name": "get_weather", "input": {}}
    half = len(text) // 2
    return start, tuple({"type": "input_json_delta", "partial_json": one} for one in (text[:half], text[half:]))


def _anthropic_text(text: str) -> tuple[dict[str, object], tuple[dict[str, object], ...]]:
    return {"type": "text", "text": ""}, ({"type": "text_delta", "text": text},)


def _stopped(upstream: Upstream) -> Step:
    return reply("One two", finish="STOP_SEQUENCE" if upstream.dialect == "cohere" else "stop_sequence")


SCENARIOS = (
    Scenario(
        name="error_mid_stream",
        says="An error in the middle of a stream is told, and what came before it is kept.",
        asked=HELLO,
        step=fault(LONG, error_after=5, error=500),
        expect=Failed(status=RETRYABLE, begun=True),
        needs=frozenset({"error_event"}),
    ),
    Scenario(
        name="overloaded_mid_stream",
        says="An overload in the middle of a stream is told.",
        asked=HELLO,
        step=fault(LONG, error_after=5, error="overloaded"),
        expect=Failed(status=RETRYABLE, begun=True),
        needs=frozenset({"error_event"}),
    ),
    Scenario(
        name="text_and_tool_in_one_chunk",
        says="Words and a tool call in one chunk arrive both, the call with its name.",
        asked=ASK_WEATHER,
        step=wire.openai(
            {"role": "assistant", "content": "I look.", **wire.fragment("", id="call_1", name="get_weather")},
            wire.fragment(PARIS_TEXT),
            finish="tool_calls",
        ),
        expect=Expect(text="I look.", calls=(PARIS,), finish=("tool_calls",)),
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="two_calls_in_one_chunk",
        says="Two whole calls in one chunk arrive both.",
        asked=ASK_WEATHER,
        step=wire.openai(
            {
                **ROLE,
                "tool_calls": [
                    *wire.fragment(PARIS_TEXT, index=0, id="call_1", name="get_weather")["tool_calls"],
                    *wire.fragment(ROME_TEXT, index=1, id="call_2", name="get_weather")["tool_calls"],
                ],
            },
            finish="tool_calls",
        ),
        expect=_TWO,
        needs=PARALLEL,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_without_index",
        says="Two calls whose fragments have no index arrive apart.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE,
            wire.fragment(PARIS_TEXT, index=None, id="call_1", name="get_weather"),
            wire.fragment(ROME_TEXT, index=None, id="call_2", name="get_weather"),
            finish="tool_calls",
        ),
        expect=_TWO,
        needs=PARALLEL,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_index_from_one",
        says="A call that an upstream counts from 1 has the index 0.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE,
            wire.fragment("", index=1, id="call_1", name="get_weather"),
            wire.fragment(PARIS_TEXT, index=1),
            finish="tool_calls",
        ),
        expect=_ONE,
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_index_negative",
        says="A call that an upstream counts as -1 has the index 0.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE,
            wire.fragment("", index=-1, id="call_1", name="get_weather"),
            wire.fragment(PARIS_TEXT, index=-1),
            finish="tool_calls",
        ),
        expect=_ONE,
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_without_id",
        says="A call without an id gets one, or its result could not be sent back.",
        asked=ASK_WEATHER,
        step=wire.openai(ROLE, wire.fragment(PARIS_TEXT, name="get_weather"), finish="tool_calls"),
        expect=_ONE,
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_id_repeated",
        says="A call whose id and name stand in each fragment is one call with one name.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE,
            wire.fragment('{"city":', id="call_1", name="get_weather"),
            wire.fragment('"Paris"}', id="call_1", name="get_weather"),
            finish="tool_calls",
        ),
        expect=_ONE,
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tools_interleaved",
        says="Two calls whose fragments come in turns arrive whole, each with its own arguments.",
        asked=ASK_WEATHER,
        step=wire.openai(
            {
                **ROLE,
                "tool_calls": [
                    *wire.fragment("", index=0, id="call_1", name="get_weather")["tool_calls"],
                    *wire.fragment("", index=1, id="call_2", name="get_weather")["tool_calls"],
                ],
            },
            wire.fragment('{"city":', index=1),
            wire.fragment('{"city":"Pa', index=0),
            wire.fragment('"Rome"}', index=1),
            wire.fragment('ris"}', index=0),
            finish="tool_calls",
        ),
        expect=_TWO,
        needs=PARALLEL,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_odd_id",
        says="A call whose id has other letters than some protocols allow can be answered.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE, wire.fragment(PARIS_TEXT, id="functions.get_weather:0", name="get_weather"), finish="stop"
        ),
        expect=_ONE,
        then=Then(
            results=("21 degrees",),
            step=reply("It has 21 degrees."),
            expect=Expect(
                text="It has 21 degrees.",
                heard=HEARD_RESULT,
            ),
        ),
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="text_after_tool",
        says="Words on both sides of a tool call arrive, and so does the call.",
        asked=ASK_WEATHER,
        step=wire.openai(
            {**ROLE, "content": "I look."},
            wire.fragment(PARIS_TEXT, id="call_1", name="get_weather"),
            {"content": " Done."},
            finish="tool_calls",
        ),
        expect=Expect(text="I look. Done.", calls=(PARIS,), finish=("tool_calls",)),
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="thought_twice",
        says="Thought, words, thought again and a call arrive all.",
        asked=ASK_WEATHER,
        step=wire.openai(
            {"role": "assistant", "reasoning_content": "Hm."},
            {"content": "I look."},
            {"reasoning_content": " Paris."},
            wire.fragment(PARIS_TEXT, id="call_1", name="get_weather"),
            finish="tool_calls",
        ),
        expect=Expect(text="I look.", reasoning="Hm. Paris.", calls=(PARIS,), finish=("tool_calls",)),
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_letters",
        says="Arguments that come letter by letter, within escapes too, join to the same.",
        asked=ASK_WEATHER,
        step=wire.openai(
            ROLE,
            wire.fragment("", id="call_1", name="get_weather"),
            *(wire.fragment(letter) for letter in '{"city":"\\u6771\\ud83e\\udd8a\\n"}'),
            finish="tool_calls",
        ),
        expect=Expect(calls=(("get_weather", {"city": "\u6771\U0001f98a\n"}),), finish=("tool_calls",)),
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="tool_said_to_stop",
        says="A stream with a tool call finishes with `tool_calls` even if the upstream says `stop`.",
        asked=ASK_WEATHER,
        step=wire.openai(ROLE, wire.fragment(PARIS_TEXT, id="call_1", name="get_weather"), finish="stop"),
        expect=_ONE,
        needs=TOOLS,
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="comments_and_crlf",
        says="Comments, empty chunks, CRLF and `data:` without a space do no harm.",
        asked=HELLO,
        step=wire.openai(
            b": ping\n\n",
            b'data:{"id":"chatcmpl-raw1","object":"chat.completion.chunk","created":1780272000,"model":"raw-model",'
            b'"choices":[{"index":0,"delta":{"role":"assistant","content":"He"},"finish_reason":null}]}\r\n\r\n',
            b": ping\r\n\r\n",
            {"content": "llo"},
            {"content": None},
            {},
        ),
        expect=Expect(text="Hello", finish=("stop",)),
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="reasoning_and_text_in_one_chunk",
        says="Thought and words in one chunk arrive both.",
        asked=HELLO,
        step=wire.openai({"role": "assistant", "reasoning_content": "Hm.", "content": "Hi."}),
        expect=Expect(text="Hi.", reasoning="Hm.", finish=("stop",)),
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="thinking_text_tool",
        says="Thought, words and a tool call after one another arrive all.",
        asked=Asked(entries=user("The weather?"), tools=(WEATHER,), effort="low", thinker=True, limit=4000),
        step=tool_calls(ToolCall("get_weather", {"city": "Paris"}), text="I look.", reasoning="Better look."),
        expect=Expect(text="I look.", reasoning="Better look.", calls=(PARIS,), finish=("tool_calls",)),
        needs=TOOLS | {"thinker"},
        dialects=("anthropic", "gemini", "bedrock"),
    ),
    Scenario(
        name="anthropic_tool_said_to_end",
        says="A tool call finishes with `tool_calls` even if the stop reason is `end_turn`.",
        asked=ASK_WEATHER,
        step=wire.anthropic(_anthropic_call(PARIS_TEXT), stop="end_turn"),
        expect=_ONE,
        dialects=("anthropic",),
        clients=TRANSLATED,
        modes=STREAM,
    ),
    Scenario(
        name="anthropic_empty_text_block",
        says="An empty block of text before a tool call adds nothing and loses nothing.",
        asked=ASK_WEATHER,
        step=wire.anthropic(({"type": "text", "text": ""}, ()), _anthropic_call(PARIS_TEXT), stop="tool_use"),
        expect=_ONE,
        dialects=("anthropic",),
        modes=STREAM,
    ),
    Scenario(
        name="anthropic_text_after_tool",
        says="Words after a tool call arrive as words.",
        asked=ASK_WEATHER,
        step=wire.anthropic(
            _anthropic_text("I look."), _anthropic_call(PARIS_TEXT), _anthropic_text(" Done."), stop="tool_use"
        ),
        expect=Expect(text="I look. Done.", calls=(PARIS,), finish=("tool_calls",)),
        dialects=("anthropic",),
        modes=STREAM,
    ),
    Scenario(
        name="anthropic_unknown_events",
        says="Events that nobody knows yet are passed over.",
        asked=HELLO,
        step=wire.anthropic(_anthropic_text("Hello."), odd=True),
        expect=Expect(text="Hello.", finish=("stop",)),
        dialects=("anthropic",),
        clients=TRANSLATED,
        modes=STREAM,
    ),
    Scenario(
        name="gemini_text_and_tool_in_one_event",
        says="Words and a call in one event arrive both.",
        asked=ASK_WEATHER,
        step=wire.gemini(
            [{"text": "I look."}, {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}],
        ),
        expect=Expect(text="I look.", calls=(PARIS,), finish=("tool_calls",)),
        dialects=("gemini",),
        modes=STREAM,
    ),
    Scenario(
        name="gemini_tool_after_thought",
        says="A call after thought keeps its arguments, and finishes with `tool_calls`.",
        asked=Asked(entries=user("The weather?"), tools=(WEATHER,), effort="low", limit=4000),
        step=wire.gemini(
            [{"text": "I have to look.", "thought": True}],
            [
                {
                    "functionCall": {"name": "get_weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "c2lnbmF0dXJl",
                }
            ],
            [{"text": ""}],
        ),
        expect=Expect(reasoning="I have to look.", calls=(PARIS,), finish=("tool_calls",)),
        dialects=("gemini",),
        modes=STREAM,
    ),
    Scenario(
        name="gemini_two_tools_two_events",
        says="Calls in different events have different indices and ids.",
        asked=ASK_WEATHER,
        step=wire.gemini(
            [{"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}],
            [{"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}}],
        ),
        expect=_TWO,
        dialects=("gemini",),
        modes=STREAM,
    ),
    Scenario(
        name="gemini_empty_events",
        says="Events without parts do no harm.",
        asked=HELLO,
        step=wire.gemini(None, [{"text": "Hello."}], None, []),
        expect=Expect(text="Hello.", finish=("stop",)),
        dialects=("gemini",),
        modes=STREAM,
    ),
    Scenario(
        name="malformed_function_call",
        says="A call that Gemini could not finish is a failure, not an empty answer that looks complete.",
        asked=ASK_WEATHER,
        step=reply(None, finish="MALFORMED_FUNCTION_CALL"),
        expect=Failed(status=BROKEN, begun=True),
        dialects=("gemini",),
    ),
    Scenario(
        name="unfinished_finish",
        says="A stream whose last event has no finish reason is told as broken.",
        asked=HELLO,
        step=wire.gemini([{"text": "Hello"}], [{"text": " there"}], finish=None),
        expect=Failed(status=BROKEN, begun=True),
        dialects=("gemini",),
        modes=STREAM,
    ),
    Scenario(
        name="done_without_finish",
        says="`[DONE]` without a finish reason and without totals is no end.",
        asked=HELLO,
        step=wire.openai({"role": "assistant", "content": "Hello"}, finish=None),
        expect=Failed(status=BROKEN, begun=True),
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="finish_without_done",
        says="A finish reason and a clean end without `[DONE]` are an end; some vendors write none.",
        asked=HELLO,
        step=wire.openai({"role": "assistant", "content": "Hello"}, done=False),
        expect=Expect(text="Hello", finish=("stop",)),
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="done_twice",
        says="A second `[DONE]` is passed over.",
        asked=HELLO,
        step=fault(reply("Hello"), two_end_marks=True),
        expect=Expect(text="Hello", finish=("stop",)),
        dialects=OPENAI,
        modes=STREAM,
    ),
    Scenario(
        name="stop_sequence",
        says="An answer that a stop sequence ended finishes with `stop`.",
        asked=Asked(entries=user("Hello."), stop=("END",)),
        step=_stopped,
        expect=Expect(text="One two", finish=("stop",)),
        dialects=("anthropic", "cohere", "bedrock"),
    ),
    Scenario(
        name="context_full",
        says="An answer that the context window ended finishes with `length`.",
        asked=HELLO,
        step=reply("One two", finish="model_context_window_exceeded"),
        expect=Expect(text="One two", finish=("length",)),
        dialects=("anthropic", "bedrock"),
    ),
    Scenario(
        name="recitation",
        says="An answer that was cut because it recites is marked as filtered.",
        asked=HELLO,
        step=reply("Once upon", finish="RECITATION"),
        expect=Expect(finish=("content_filter",)),
        dialects=("gemini",),
    ),
    Scenario(
        name="prompt_blocked",
        says="A prompt that was blocked is no empty answer that looks complete.",
        asked=HELLO,
        step=reply(None, finish="blocked:SAFETY"),
        expect=Failed(status=(400, 403, 422), begun=True, finish=("content_filter",)),
        dialects=("gemini",),
    ),
    Scenario(
        name="failed_finish",
        says="An answer that ended with the upstream's own failure is told as one.",
        asked=HELLO,
        step=reply("One two", finish="ERROR"),
        expect=Failed(status=BROKEN, begun=True),
        dialects=("cohere",),
    ),
    Scenario(
        name="tool_cut_by_limit",
        says="A call that the limit cut short finishes with `length`, so that nobody runs it.",
        asked=Asked(entries=user("The weather in Paris?"), tools=(WEATHER,), limit=16),
        step=reply(None, calls=(ToolCall("get_weather", '{"city": "Pa'),), finish="length"),
        expect=Expect(finish=("length",)),
        needs=TOOLS | {"fragments"},
        dialects=("openai", "anthropic", "cohere", "bedrock"),
        modes=STREAM,
    ),
)
