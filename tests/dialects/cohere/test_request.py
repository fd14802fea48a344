"""What `POST /v2/chat` is sent, judged by the Cohere SDK's own request types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from compatgw.dialects.base import Outgoing, Target
from compatgw.dialects.cohere import DIALECT
from compatgw.errors import InvalidRequest, UnsupportedParameter

from .judges import accepted

if TYPE_CHECKING:
    from compatgw.wire.chat import ChatRequest

MODEL = "command-a-03-2025"
REASONING = "command-a-reasoning-08-2025"
OLD = "command-r-08-2024"
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
HI = [{"role": "user", "content": "Hi"}]
GET = {"type": "function", "function": {"name": "get", "description": "d", "parameters": SCHEMA}}
PUT = {"type": "function", "function": {"name": "put"}}
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def send(request: dict[str, Any], model: str = MODEL, **target: Any) -> tuple[dict[str, Any], Outgoing]:
    assert DIALECT.chat is not None
    outgoing = DIALECT.chat.encode(
        cast("ChatRequest", {"model": "cohere/x", "messages": HI, **request}),
        Target(provider="Cohere", model=model, **target),
    )
    return accepted(outgoing.body), outgoing


def sent(**request: Any) -> dict[str, Any]:
    return send(request)[0]


def call(id: str, name: str = "get", arguments: str = '{"x":1}') -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_smallest_request_goes_to_v2_chat() -> None:
    """Model of the target, messages and the stream flag are all that is sent."""
    body, outgoing = send({})

    assert body == {"model": MODEL, "messages": HI, "stream": False}
    assert (outgoing.method, outgoing.path, outgoing.headers) == ("POST", "/v2/chat", ())
    assert (outgoing.dropped, outgoing.clamped, dict(outgoing.memo)) == ((), (), {})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_p": 1.0}, {}),
        ({"top_k": 40}, {"k": 40}),
        ({"k": 7}, {"k": 7}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 8, "max_tokens": 9}, {"max_tokens": 8}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"seed": 3}, {"seed": 3}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0.25}, {"frequency_penalty": 0.5, "presence_penalty": 0.25}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": False, "top_logprobs": 0, "n": 1}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
        ),
        ({"tool_choice": "auto", "tools": [GET]}, {"tools": [GET]}),
        ({"tool_choice": "none", "tools": [GET]}, {"tools": [GET], "tool_choice": "NONE"}),
        ({"tool_choice": "required", "tools": [GET]}, {"tools": [GET], "tool_choice": "REQUIRED"}),
        ({"documents": ["a", {"id": "d", "data": {"text": "b"}}]}, {"documents": ["a", {"id": "d", "data": {"text": "b"}}]}),
        ({"safety_mode": "STRICT"}, {"safety_mode": "STRICT"}),
        ({"citation_options": {"mode": "OFF"}}, {"citation_options": {"mode": "OFF"}}),
        ({"priority": 2}, {"priority": 2}),
        ({"thinking": {"type": "enabled", "token_budget": 9}}, {"thinking": {"type": "enabled", "token_budget": 9}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"thinking": {"type": "enabled", "token_budget": 9}}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"tools": [GET], "strict_tools": True}, {"tools": [GET], "strict_tools": True}),
    ],
)  # fmt: skip
def test_each_field_has_its_counterpart(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """The document's table of fields, left to right, without anything dropped."""
    body, outgoing = send(given)

    assert {"model": MODEL, "messages": HI, "stream": False, **expected} == body
    assert outgoing.dropped == ()


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"temperature": 2.0}, "temperature", 1.0),
        ({"top_p": 0.995}, "p", 0.99),
        ({"top_p": 0.0}, "p", 0.01),
        ({"top_k": 900}, "k", 500),
        ({"top_k": -1}, "k", 0),
        ({"frequency_penalty": 2.0}, "frequency_penalty", 1.0),
        ({"frequency_penalty": -1.5}, "frequency_penalty", 0.0),
        ({"presence_penalty": -0.1}, "presence_penalty", 0.0),
    ],
)
def test_a_value_out_of_range_is_clamped_and_reported(given: dict[str, Any], name: str, value: float) -> None:
    """What is sent lies in Cohere's range, and `X-Clamped-Params` will say so under OpenAI's name."""
    body, outgoing = send(given)

    assert body[name] == value
    assert outgoing.clamped == ((next(iter(given)), str(value)),)


def test_a_limit_over_the_model_is_clamped_to_it() -> None:
    """Cohere would cap in silence; the caller is told."""
    body, outgoing = send({"max_tokens": 99_999}, max_output=8000)

    assert body["max_tokens"] == 8000
    assert outgoing.clamped == (("max_tokens", "8000"),)


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [
        ("none", {"type": "disabled"}),
        ("minimal", {"type": "enabled", "token_budget": 512}),
        ("low", {"type": "enabled", "token_budget": 1024}),
        ("medium", {"type": "enabled", "token_budget": 4096}),
        ("high", {"type": "enabled", "token_budget": 16384}),
        ("xhigh", {"type": "enabled", "token_budget": 31000}),
        ("max", {"type": "enabled", "token_budget": 31000}),
    ],
)
def test_reasoning_effort_is_a_budget_on_models_that_reason(effort: str, thinking: dict[str, Any]) -> None:
    """Each effort has its budget; `none` switches thinking off."""
    body, outgoing = send({"reasoning_effort": effort}, model=REASONING)

    assert body["thinking"] == thinking
    assert outgoing.dropped == ()


def test_reasoning_effort_is_dropped_on_models_that_do_not_reason() -> None:
    """It is named as dropped, but for `none`, which such a model fulfils anyway."""
    body, outgoing = send({"reasoning_effort": "high"})

    assert "thinking" not in body
    assert outgoing.dropped == ("reasoning_effort",)
    assert send({"reasoning_effort": "none"})[1].dropped == ()


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        ({"max_tokens": 77}, {"type": "enabled", "token_budget": 77}),
        ({"effort": "low"}, {"type": "enabled", "token_budget": 1024}),
        ({"enabled": True}, {"type": "enabled"}),
        ({"enabled": False}, {"type": "disabled"}),
    ],
)
def test_the_reasoning_object_is_read_as_well(reasoning: dict[str, Any], thinking: dict[str, Any]) -> None:
    """OpenRouter's spelling of the same wish."""
    assert send({"reasoning": reasoning}, model=REASONING)[0]["thinking"] == thinking


def test_traits_from_configuration_override_the_table() -> None:
    """An operator can say that a model reasons, or takes a format beside tools."""
    body, _ = send({"reasoning_effort": "low"}, model="our-tuned-model", traits={"reasoning": True})
    fmt = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    beside, outgoing = send({"tools": [GET], "response_format": fmt}, traits={"json_beside_tools": True})

    assert body["thinking"]["token_budget"] == 1024
    assert beside["response_format"]["json_schema"] == SCHEMA
    assert dict(outgoing.memo) == {}


# --- tools -----------------------------------------------------------------------------------


def test_a_named_function_is_the_only_one_sent_and_required() -> None:
    """Cohere has no named choice: the others are left out."""
    body = sent(tools=[GET, PUT], tool_choice={"type": "function", "function": {"name": "put"}})

    assert [tool["function"]["name"] for tool in body["tools"]] == ["put"]
    assert body["tool_choice"] == "REQUIRED"


@pytest.mark.parametrize(("mode", "choice"), [("auto", None), ("required", "REQUIRED")])
def test_allowed_tools_filter_the_list(mode: str, choice: str | None) -> None:
    """A subset is sent, with or without the force of its mode."""
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get"}}]}
    body = sent(tools=[GET, PUT], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})

    assert body["tools"] == [GET]
    assert body.get("tool_choice") == choice


def test_a_function_without_parameters_gets_an_empty_schema() -> None:
    """`parameters` is required there."""
    tool = sent(tools=[PUT])["tools"][0]["function"]

    assert tool == {"name": "put", "parameters": {"type": "object", "properties": {}}}


def test_strict_on_all_tools_becomes_one_switch() -> None:
    """Cohere refuses `strict` inside a tool and has `strict_tools` for all of them."""
    strict = {"type": "function", "function": {**GET["function"], "strict": True}}  # type: ignore[dict-item]
    bare = {"type": "function", "function": {"name": "now", "strict": True}}

    assert sent(tools=[strict])["strict_tools"] is True
    for tools in ([strict, GET], [strict, bare]):
        body, outgoing = send({"tools": tools})
        assert "strict_tools" not in body
        assert outgoing.dropped == ("tools.strict",)


def test_parallel_tool_calls_false_is_left_to_the_decoder() -> None:
    """There is no switch; the memo tells the decoder to keep the first call."""
    assert dict(send({"tools": [GET], "parallel_tool_calls": False})[1].memo) == {"single_call": True}
    assert dict(send({"tools": [GET], "parallel_tool_calls": True})[1].memo) == {}
    assert dict(send({"parallel_tool_calls": False})[1].memo) == {}


def test_functions_are_sent_as_tools() -> None:
    """The oldest form; the decoder will give the one call back in that form."""
    body, outgoing = send({"functions": [GET["function"], PUT["function"]], "function_call": {"name": "get"}})

    assert (body["tools"], body["tool_choice"]) == ([GET], "REQUIRED")
    assert dict(outgoing.memo) == {"legacy": True, "single_call": True}
    assert "tool_choice" not in send({"functions": [GET["function"]], "function_call": "auto"})[0]
    assert send({"functions": [GET["function"]], "function_call": "none"})[0]["tool_choice"] == "NONE"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [GET], "tool_choice": {"type": "function", "function": {"name": "other"}}},
            "tool_choice.function.name",
        ),
        (
            {"tools": [GET], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            "tool_choice.allowed_tools.tools",
        ),
        ({"top_k": "many"}, "top_k"),
    ],
)
def test_a_contradiction_is_refused_with_its_path(request_: dict[str, Any], param: str) -> None:
    """These would be a 400 there too, without saying where."""
    with pytest.raises(InvalidRequest) as caught:
        send(request_)

    assert caught.value.param == param


def test_models_without_tool_choice_go_without_it() -> None:
    """On an older model `none` leaves the tools out, and a forced call is refused."""
    assert "tools" not in send({"tools": [GET], "tool_choice": "none"}, model=OLD)[0]
    with pytest.raises(UnsupportedParameter) as caught:
        send({"tools": [GET], "tool_choice": "required"}, model=OLD)
    assert caught.value.param == "tool_choice"
    body, outgoing = send({"tools": [GET], "tool_choice": "required"}, model=OLD, unsupported="drop")
    assert "tool_choice" not in body
    assert outgoing.dropped == ("tool_choice",)


# --- response_format beside tools ------------------------------------------------------------

FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def test_a_schema_beside_tools_becomes_a_forced_tool() -> None:
    """Models that take no format together with tools answer through one more tool."""
    taken = {"type": "function", "function": {"name": "json_response", "parameters": SCHEMA}}
    body, outgoing = send({"tools": [GET, taken], "response_format": FORMAT})

    assert [t["function"]["name"] for t in body["tools"]] == ["get", "json_response", "json_response_"]
    assert body["tools"][-1]["function"]["parameters"] == SCHEMA
    assert body["tool_choice"] == "REQUIRED"
    assert "response_format" not in body
    assert dict(outgoing.memo) == {"json_tool": "json_response_"}


def test_a_schema_beside_documents_becomes_a_forced_tool() -> None:
    """The limitation holds for documents alike."""
    body, outgoing = send({"documents": ["a"], "response_format": FORMAT})

    assert dict(outgoing.memo) == {"json_tool": "json_response"}
    assert len(body["tools"]) == 1


def test_a_forced_call_needs_no_format() -> None:
    """The answer will be a call, which no format governs."""
    body, outgoing = send({"tools": [GET], "tool_choice": "required", "response_format": FORMAT})

    assert (body["tools"], body["tool_choice"]) == ([GET], "REQUIRED")
    assert "response_format" not in body
    assert dict(outgoing.memo) == {}


def test_tools_that_must_not_be_called_make_room_for_a_format() -> None:
    """With `none` the tools are left out, so the format itself can be sent."""
    body = sent(tools=[GET], tool_choice="none", response_format=FORMAT)

    assert "tools" not in body
    assert body["response_format"]["json_schema"] == SCHEMA


@pytest.mark.parametrize("model_and_format", [(MODEL, {"type": "json_object"}), (OLD, FORMAT)])
def test_a_format_that_cannot_be_kept_is_refused(model_and_format: tuple[str, dict[str, Any]]) -> None:
    """Without a schema, or on a model that cannot be forced, there is no honest way."""
    model, wanted = model_and_format
    with pytest.raises(UnsupportedParameter) as caught:
        send({"tools": [GET], "response_format": wanted}, model=model)

    assert caught.value.param == "response_format"
    assert send({"tools": [GET], "response_format": wanted}, model=model, unsupported="drop")[1].dropped == (
        "response_format",
    )


# --- what cannot be carried ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {"1": 2}), ("user", "u"), ("metadata", {"a": "b"}), ("store", True),
        ("prediction", {"type": "content", "content": "x"}), ("service_tier", "flex"), ("verbosity", "low"),
        ("prompt_cache_key", "k"), ("safety_identifier", "s"), ("seed", -1), ("some_new_field", 1),
    ],
)  # fmt: skip
def test_a_hint_is_left_out_and_named(name: str, value: Any) -> None:
    """Hints do not fail a call, unless the policy is to reject."""
    body, outgoing = send({name: value})

    assert name not in body
    assert outgoing.dropped == (name,)
    with pytest.raises(UnsupportedParameter) as caught:
        send({name: value}, unsupported="reject")
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("top_logprobs", 3), ("web_search_options", {"search_context_size": "low"}),
        ("modalities", ["text", "audio"]), ("audio", {"format": "wav", "voice": "alloy"}),
        ("stop", ["1", "2", "3", "4", "5", "6"]),
    ],
)  # fmt: skip
def test_what_changes_the_answer_is_refused(name: str, value: Any) -> None:
    """400 `unsupported_parameter` with the member's name, unless the policy is to drop."""
    with pytest.raises(UnsupportedParameter) as caught:
        send({name: value})

    assert (caught.value.param, caught.value.code, caught.value.status) == (name, "unsupported_parameter", 400)
    assert send({name: value}, unsupported="drop")[1].dropped == (name,)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "input_audio"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}, "file"),
        ({"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}}, "video_url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,JVBERi0xLjQK"}}, "image_url.url"),
    ],
)
@pytest.mark.parametrize("policy", ["hints", "drop", "reject"])
def test_media_other_than_images_are_refused_with_their_path(part: dict[str, Any], path: str, policy: Any) -> None:
    """An answer about a document that was left out would be a lie, so no policy drops it."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}, part]}]
    with pytest.raises(UnsupportedParameter) as caught:
        send({"messages": messages}, unsupported=policy)

    assert caught.value.param == f"messages[1].content[1].{path}"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"tools": [GET, {"type": "custom", "custom": {"name": "c"}}]}, "tools[1]"),
        ({"tools": [GET], "tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
    ],
)
def test_custom_tools_are_refused_with_their_path(request_: dict[str, Any], param: str) -> None:
    """Only functions exist there."""
    with pytest.raises(UnsupportedParameter) as caught:
        send(request_)

    assert caught.value.param == param


IMAGE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "assistant", "content": [IMAGE]}, *HI], "messages[0].content[0].image_url"),
        (
            [
                {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "t"}, IMAGE]},
            ],
            "messages[1].content[1].image_url",
        ),
    ],
)  # fmt: skip
def test_images_are_refused_where_only_text_can_stand(messages: list[dict[str, Any]], param: str) -> None:
    """In answers and in results of tools there is no place for them."""
    with pytest.raises(UnsupportedParameter) as caught:
        send({"messages": messages})

    assert caught.value.param == param


# --- messages --------------------------------------------------------------------------------


def test_system_and_developer_keep_their_places() -> None:
    """Several are allowed, anywhere; both are `system` there."""
    body = sent(
        messages=[
            {"role": "developer", "content": "a"},
            {"role": "user", "content": "b", "name": "Ann"},
            {"role": "system", "content": [{"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}}]},
        ]
    )

    assert body["messages"] == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "system", "content": [{"type": "text", "text": "c"}]},
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "https://x.test/a.png"}, {"url": "https://x.test/a.png"}),
        ({"url": "https://x.test/a.png", "detail": "low"}, {"url": "https://x.test/a.png", "detail": "low"}),
        ({"url": "https://x.test/a.png", "detail": "original"}, {"url": "https://x.test/a.png", "detail": "high"}),
        ({"url": f"data:image/jpeg;base64,{PNG}"}, {"url": f"data:image/png;base64,{PNG}"}),
    ],
)
def test_images_go_by_address_or_as_data(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Both forms are taken there; a wrong media type is corrected by the bytes."""
    parts = [{"type": "text", "text": ""}, {"type": "image_url", "image_url": given}, {"type": "text", "text": "?"}]
    body = sent(messages=[{"role": "user", "content": parts}])

    assert body["messages"][0]["content"] == [
        {"type": "image_url", "image_url": expected},
        {"type": "text", "text": "?"},
    ]


def turn(**assistant: Any) -> list[dict[str, Any]]:
    return [
        *HI,
        {"role": "assistant", **assistant},
        *({"role": "tool", "tool_call_id": c["id"], "content": "r"} for c in assistant.get("tool_calls", ())),
    ]


@pytest.mark.parametrize("content", [{}, {"content": ""}, {"content": []}])
def test_content_is_left_out_beside_calls(content: dict[str, Any]) -> None:
    """Not even an empty text stands beside tool calls."""
    body = sent(messages=turn(tool_calls=[call("a")], **content))

    assert body["messages"][1] == {"role": "assistant", "tool_calls": [call("a")]}
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "r"}


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.encrypted", "data": "x"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}], "reasoning": "other"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}], "reasoning_content": "hm"},
    ],
)
def test_earlier_reasoning_comes_back_where_cohere_wants_it(thought: dict[str, Any]) -> None:
    """As the plan beside calls, else as a thinking part of a model that reasons."""
    beside = sent(messages=turn(tool_calls=[call("a")], content="So.", **thought))
    alone, _ = send({"messages": turn(content="So.", **thought)}, model=REASONING)
    never = sent(messages=turn(content="So.", **thought))

    assert beside["messages"][1]["tool_plan"] == "hm\nSo."
    assert alone["messages"][1]["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}]
    assert never["messages"][1]["content"] == "So."


def test_thinking_and_refusal_parts_are_read() -> None:
    """Parts of earlier answers keep their meaning."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "No"},
        {"type": "refusal", "refusal": "."},
    ]
    body, _ = send({"messages": turn(content=content)}, model=REASONING)

    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "No."},
    ]
    assert sent(messages=turn(refusal="No."))["messages"][1] == {"role": "assistant", "content": "No."}


def test_an_answer_that_said_nothing_is_left_out() -> None:
    """An empty assistant turn is refused there."""
    assert sent(messages=[*turn(content=""), *HI])["messages"] == [*HI, *HI]


def test_old_and_custom_calls_become_function_calls() -> None:
    """Histories that were made elsewhere stay usable."""
    body = sent(
        messages=[
            *HI,
            {"role": "assistant", "function_call": {"name": "get", "arguments": ""}},
            {"role": "function", "name": "get", "content": "1"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "x"}}]},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "2"}]},
        ]
    )  # fmt: skip
    old, custom = body["messages"][1], body["messages"][3]

    assert old["tool_calls"][0]["function"] == {"name": "get", "arguments": "{}"}
    assert body["messages"][2]["tool_call_id"] == old["tool_calls"][0]["id"]
    assert custom["tool_calls"][0]["function"] == {"name": "sql", "arguments": '{"input":"x"}'}
    assert body["messages"][4]["content"] == [{"type": "text", "text": "2"}]


def test_a_late_result_is_moved_behind_its_call() -> None:
    """Cohere wants results directly after the turn that asked; clients put words between."""
    body = sent(
        messages=[
            *HI,
            {"role": "assistant", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {"role": "user", "content": "wait"},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
        ]
    )

    assert [m.get("tool_call_id", m["role"]) for m in body["messages"]] == ["user", "assistant", "b", "a", "user"]


def test_an_id_that_comes_again_belongs_to_the_newest_call() -> None:
    """Some upstreams number their calls anew in each turn."""
    answered = [{"role": "assistant", "tool_calls": [call("a")]}, {"role": "tool", "tool_call_id": "a", "content": "r"}]

    assert len(sent(messages=[*HI, *answered, *answered])["messages"]) == 5


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([*HI, {"role": "tool", "tool_call_id": "zz", "content": "r"}], "messages[1].tool_call_id"),
        ([*HI, {"role": "function", "name": "zz", "content": "r"}], "messages[1].name"),
        ([*turn(tool_calls=[call("a")]), {"role": "tool", "tool_call_id": "a"}], "messages[3].tool_call_id"),
        ([*HI, {"role": "assistant", "tool_calls": [call("a")]}], "messages[1].tool_calls"),
    ],
)
def test_results_and_calls_must_pair(messages: list[dict[str, Any]], param: str) -> None:
    """What cannot be paired is refused with the path, before it costs a call."""
    with pytest.raises(InvalidRequest) as caught:
        send({"messages": messages})

    assert caught.value.param == param


def test_a_request_is_not_changed() -> None:
    """Encoding works on values that other attempts use again."""
    request = {
        "messages": turn(content="x", tool_calls=[call("a")], reasoning_content="hm"),
        "tools": [GET, PUT],
        "response_format": FORMAT,
        "metadata": {"a": "b"},
        "top_p": 0.0,
    }
    before = orjson.dumps(request)
    send(request)

    assert orjson.dumps(request) == before
