"""Requests for responses: what becomes a chat, what only their own protocol can do, and what is wrong with the rest."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces.base import Parsed
from compatgw.surfaces.chat import validator
from compatgw.surfaces.responses.request import continued, parse
from compatgw.surfaces.responses.thoughts import sealed

HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "42"}


def parsed(**members: Any) -> Parsed:
    """A request as it is parsed; its hub half is a sound chat."""
    found = parse(orjson.dumps({"model": "m", "input": "hi", **members}))
    validator().validate_python(found.request, strict=True)
    return found


def messages(*items: Any) -> Any:
    """The messages that these items become."""
    return parsed(input=list(items)).request["messages"]


def foreign(found: Parsed) -> list[tuple[str, bool]]:
    """Paths of what only the own protocol can do, and whether it is refused elsewhere."""
    assert found.native is not None
    return [(one.param, one.semantic) for one in found.native.foreign]


# --- input -----------------------------------------------------------------------------------


def test_a_text_is_a_users_message_behind_the_instructions() -> None:
    """The shortest request."""
    found = parsed(input="hi", instructions="Be brief.")
    assert found.request == {
        "model": "m",
        "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    }
    assert found.native is not None
    assert found.native.body == {"model": "m", "input": "hi", "instructions": "Be brief."}


def test_parts_become_parts_of_a_chat() -> None:
    """Text, images and files, each in its own place."""
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low", "file_id": None},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    (message,) = messages({"type": "message", "role": "user", "content": parts})
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_url": "https://x.test/a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]


def test_what_the_assistant_did_in_a_row_is_one_message() -> None:
    """Text and calls before their results; a text between calls goes with them."""
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "let me see"}]}
    second = {**CALL, "call_id": "call_2", "arguments": ""}
    found = messages(HELLO, said, CALL, second, RESULT, {**RESULT, "call_id": "call_2"}, said, said)
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "assistant", "assistant"]
    assert found[1]["content"] == "let me see"
    assert [call["function"]["arguments"] for call in found[1]["tool_calls"]] == ['{"a":1}', "{}"]
    between = messages(HELLO, CALL, said, RESULT)
    assert [message["role"] for message in between] == ["user", "assistant", "tool"]
    assert between[1]["content"] == "let me see"
    both = messages(HELLO, said, CALL, said, RESULT)
    assert [message["role"] for message in both] == ["user", "assistant", "tool"]
    assert [part["text"] for part in both[1]["content"]] == ["let me see", "let me see"]


def test_outputs_may_be_parts() -> None:
    """A tool that gives an image."""
    output = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:image/png;base64,AA"}]
    found = messages(HELLO, CALL, {**RESULT, "output": output})
    assert found[-1]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    assert messages(HELLO, CALL, {**RESULT, "output": []})[-1]["content"] == ""


def test_refusals_and_roles() -> None:
    """A refusal is the assistant's; instructions may come in the midst."""
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    found = messages({"role": "system", "content": "s"}, HELLO, refused, {"role": "developer", "content": "d"}, HELLO)
    assert [message["role"] for message in found] == ["system", "user", "assistant", "developer", "user"]
    assert found[2]["content"] == [{"type": "refusal", "refusal": "no"}]


# --- reasoning -------------------------------------------------------------------------------


def test_our_own_reasoning_comes_back_as_it_went() -> None:
    """Signatures of blocks, of calls, and of the message."""
    details = [{"index": 0, "type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}]
    secret = sealed({"details": details, "calls": {"call_1": {"google": {"x": 1}}}, "extra": {"y": 2}})
    item = {"type": "reasoning", "id": "rs_cgw1", "summary": [{"type": "summary_text", "text": "hm"}]}
    (_, turn, _) = messages(HELLO, {**item, "encrypted_content": secret}, CALL, RESULT)
    assert turn["reasoning_details"] == details
    assert turn["reasoning_content"] == "hm"
    assert turn["extra_content"] == {"y": 2}
    assert turn["tool_calls"][0]["extra_content"] == {"google": {"x": 1}}


def test_another_vendors_reasoning_keeps_its_format() -> None:
    """OpenAI's sealed blocks: only an upstream that wants them gets them."""
    item: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA", "content": None}
    (_, turn, _) = messages(HELLO, item, CALL, RESULT)
    assert turn["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "gAAAA", "format": "openai-responses-v1", "id": "rs_1"}
    ]


def test_what_was_thought_after_a_text_begins_a_message_of_its_own() -> None:
    """So that each thought stays before what it led to."""
    said = {"role": "assistant", "content": "let me see"}
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    first, second = messages(HELLO, said, item, CALL, RESULT)[1:3]
    assert first == {"role": "assistant", "content": "let me see"}
    assert second["reasoning_content"] == "hm"
    assert "tool_calls" in second


@pytest.mark.parametrize("secret", ["cgw1.", "cgw1.!!", "cgw1.AAAA", "cgw1.W10", "cgw1.bnVsbA"])
def test_damaged_reasoning_is_none(secret: str) -> None:
    """What was cut or changed is left out, and nothing else."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": secret}
    assert messages(HELLO, item, CALL, RESULT)[1] == {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_reasoning_that_leads_to_nothing_goes_with_what_was_said_before() -> None:
    """Or away, when nothing was."""
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = {"role": "assistant", "content": "yes"}
    assert messages(HELLO, said, item, HELLO)[1] == {"role": "assistant", "content": "yes", "reasoning_content": "hm"}
    assert messages(HELLO, item, HELLO) == [HELLO, HELLO]


# --- tools -----------------------------------------------------------------------------------


def test_functions_keep_what_they_say() -> None:
    """Flat here, nested there; null members are left out."""
    tool = {"type": "function", "name": "f", "description": None, "parameters": {"type": "object"}, "strict": True}
    found = parsed(tools=[tool], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    function = {"name": "f", "parameters": {"type": "object"}, "strict": True}
    assert found.request["tools"] == [{"type": "function", "function": function}]
    assert found.request["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert found.request["parallel_tool_calls"] is False


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    """Its grammar is told in words; its calls come back as such."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    tool = {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": form}
    items = [
        HELLO,
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
    ]
    found = parsed(input=items, tools=[tool], tool_choice={"type": "custom", "name": "apply_patch"})
    (function,) = (one["function"] for one in found.request["tools"])
    assert function["parameters"]["required"] == ["input"]
    assert "start: WORD" in function["description"]
    assert found.request["tool_choice"] == {"type": "function", "function": {"name": "apply_patch"}}
    assert found.request["messages"][1]["tool_calls"][0]["function"] == {
        "name": "apply_patch",
        "arguments": '{"input":"*** Begin"}',
    }
    assert found.request["messages"][2] == {"role": "tool", "tool_call_id": "c", "content": "done"}
    assert foreign(found) == []


def test_tools_of_a_namespace_keep_their_own_names_where_they_can() -> None:
    """And get another where two would be the same."""
    inner = [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]
    tools = [{"type": "namespace", "name": "ns", "tools": inner}, {"type": "function", "name": "f"}]
    call = {**CALL, "namespace": "ns"}
    found = parsed(tools=tools, input=[HELLO, call, RESULT])
    assert [tool["function"]["name"] for tool in found.request["tools"]] == ["f", "ns__f", "g"]
    assert found.request["messages"][1]["tool_calls"][0]["function"]["name"] == "ns__f"


def test_allowed_tools() -> None:
    """A choice among some."""
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]
    allowed = [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]
    found = parsed(tools=tools, tool_choice={"type": "allowed_tools", "mode": "required", "tools": allowed})
    named = [{"type": "function", "function": {"name": name}} for name in ("f", "c")]
    assert found.request["tool_choice"]["allowed_tools"] == {"mode": "required", "tools": named}


@pytest.mark.parametrize(
    "kind",
    ["file_search", "computer_use_preview", "code_interpreter", "mcp", "shell", "apply_patch"],
)
def test_tools_that_the_upstream_runs_are_its_own(kind: str) -> None:
    """They stay in the native request, and are named for everybody else."""
    found = parsed(tools=[{"type": "function", "name": "f"}, {"type": kind}])
    assert foreign(found) == [("tools[1].type", True)]
    assert len(found.request["tools"]) == 1
    assert found.native is not None
    assert found.native.body["tools"][1] == {"type": kind}


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview_2025_03_11", "image_generation", "tool_search"])
def test_what_is_only_offered_beside_the_callers_own_tools_is_a_hint(kind: str) -> None:
    """Codex always offers some; alone, or where a tool has to be called, it is what the caller wants."""
    own = {"type": "function", "name": "f"}
    assert foreign(parsed(tools=[own, {"type": kind}])) == [("tools[1].type", False)]
    assert foreign(parsed(tools=[own, {"type": kind}], tool_choice="auto")) == [("tools[1].type", False)]
    assert foreign(parsed(tools=[own, {"type": kind}], tool_choice="required")) == [("tools[1].type", True)]
    forced = foreign(parsed(tools=[own, {"type": kind}], tool_choice={"type": kind}))
    assert forced == [("tools[1].type", True), ("tool_choice.type", True)]
    assert foreign(parsed(tools=[{"type": kind}])) == [("tools[0].type", True)]


def test_items_that_the_upstream_wrote_are_its_own() -> None:
    """References and traces of its tools."""
    items = [HELLO, {"type": "web_search_call", "id": "ws_1", "status": "completed"}, {"id": "msg_1"}, HELLO]
    assert foreign(parsed(input=items)) == [("input[1].type", True), ("input[2].type", True)]
    only = parsed(input=[{"type": "item_reference", "id": "msg_1"}])
    assert only.request["messages"] == [{"role": "user", "content": ""}]


def test_images_that_our_own_face_told_may_come_back() -> None:
    """A chat cannot hold what it painted: it is left out, and named."""
    items = [
        HELLO,
        {"type": "image_generation_call", "id": "ig_cgwabc00", "status": "completed", "result": "AA"},
        HELLO,
    ]
    assert foreign(parsed(input=items)) == [("input[1].type", False)]


def test_files_that_the_upstream_keeps() -> None:
    """An image by its id is no image for a chat."""
    image = {"type": "input_image", "file_id": "file_1"}
    assert foreign(parsed(input=[{"role": "user", "content": [image]}])) == [("input[0].content[0].file_id", True)]


# --- options ---------------------------------------------------------------------------------


def test_options_become_those_of_a_chat() -> None:
    """Each under its name there."""
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": None}
    found = parsed(
        max_output_tokens=99, temperature=0.5, top_p=0.9, metadata={"a": "b"}, user="u", service_tier="flex",
        safety_identifier="s", prompt_cache_key="p", reasoning={"effort": "low", "summary": "auto"},
        text={"format": schema, "verbosity": "low"}, include=["message.output_text.logprobs"], top_logprobs=3,
        stream=True, stream_options={"include_obfuscation": False}, truncation="disabled", store=False,
    )  # fmt: skip
    assert {name: value for name, value in found.request.items() if name not in ("model", "messages")} == {
        "max_completion_tokens": 99, "temperature": 0.5, "top_p": 0.9, "metadata": {"a": "b"}, "user": "u",
        "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "p", "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low", "logprobs": True, "top_logprobs": 3, "stream": True,
    }  # fmt: skip
    assert foreign(found) == []
    assert found.asked["store"] is False


def test_hints_and_needs_without_a_place_in_a_chat() -> None:
    """Each is named, and whether anything depends on it."""
    found = parsed(truncation="auto", max_tool_calls=3, prompt={"id": "p"}, context_management=[])
    assert sorted(foreign(found)) == [
        ("context_management", False), ("max_tool_calls", False), ("prompt", True), ("truncation", False),
    ]  # fmt: skip
    assert not found.request.keys() & {"truncation", "max_tool_calls", "prompt", "context_management"}


def test_the_gateways_own_members_are_taken_out() -> None:
    """They reach no upstream, of whatever protocol."""
    found = parsed(gateway={"retries": 1}, fallback=["n"], unknown=7)
    assert (found.options.retries, found.options.fallback) == (1, ("n",))
    assert found.native is not None
    assert found.native.body.keys() == {"model", "input", "unknown"}
    assert "unknown" not in found.request
    assert foreign(found) == [("unknown", False)]
    hidden = parsed(gateway={"reasoning": {"exclude": True}}).native
    assert hidden is not None
    assert hidden.surface == ""


# --- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"input": 5}, "input", "invalid_type"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": [5]}, "input[0]", "invalid_type"),
        ({"input": [{}]}, "input[0].type", "missing_parameter"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role", "missing_parameter"),
        ({"input": [{"role": "alien", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [HELLO, {"role": "user", "content": [{"type": "input_text"}]}]}, "input[1].content[0].text", "missing_parameter"),
        ({"input": [{"role": "user", "content": [{"type": "poem"}]}]}, "input[0].content[0].type", "invalid_value"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url", "missing_parameter"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data", "missing_parameter"),
        ({"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type", "invalid_value"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_file", "file_url": "x"}]}]}, "input[0].content[0].type", "invalid_value"),
        ({"input": [HELLO, RESULT]}, "input[1].call_id", "invalid_value"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_parameter"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "missing_parameter"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": []}]}, "tools[0].tools", "invalid_value"),
        ({"tool_choice": "maybe"}, "tool_choice", "invalid_value"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "missing_parameter"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort", "invalid_value"),
        ({"max_output_tokens": "9"}, "max_output_tokens", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"stream_options": {}}, "stream_options", "invalid_value"),
        ({"background": True, "store": False}, "background", "invalid_value"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"model": None}, "model", "missing_parameter"),
        ({"input": None}, "input", "missing_parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(members: dict[str, Any], param: str, code: str) -> None:
    """The first thing wrong, where it stands, and how to mend it."""
    with pytest.raises(InvalidRequest) as caught:
        parsed(**members)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.status == 400


def test_a_conversation_elsewhere_is_refused_by_name() -> None:
    """Leaving it out would lose what was said without a word."""
    with pytest.raises(UnsupportedParameter, match="previous_response_id"):
        parsed(conversation={"id": "conv_1"})


# --- going on --------------------------------------------------------------------------------


def test_a_conversation_goes_on_behind_what_was_kept() -> None:
    """Both halves of the request have all of it; the paths of its own input stay."""
    first = parsed(previous_response_id="resp_1", input=[RESULT], instructions="Be brief.")
    found = continued(first, [{**HELLO, "type": "message"}, CALL])
    assert [message["role"] for message in found.request["messages"]] == ["developer", "user", "assistant", "tool"]
    assert found.native is not None
    assert found.native.body["input"] == [{**HELLO, "type": "message"}, CALL, RESULT]
    assert found.asked["previous"] == "resp_1"
    with pytest.raises(InvalidRequest) as caught:
        continued(first, [HELLO])
    assert caught.value.param == "input[0].call_id"


def test_kept_traces_of_an_upstreams_tools_are_hints() -> None:
    """What came of them stands in the answer's text, too."""
    found = continued(parsed(previous_response_id="resp_1"), [HELLO, {"type": "web_search_call", "id": "ws_1"}])
    assert foreign(found) == [("previous_response_id", False)]


# --- anything --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "content", "text"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KINDS = st.sampled_from(
    ["message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
     "local_shell_call", "local_shell_call_output", "item_reference", "web_search_call"]
)  # fmt: skip
MEMBERS = st.sampled_from(
    ["role", "content", "call_id", "name", "arguments", "output", "input", "summary", "encrypted_content", "id", "action"]
)  # fmt: skip
VALUES = st.one_of(
    JSON,
    st.sampled_from(["user", "assistant", "system", "c1", "c2", "{}", "cgw1.e30"]),
    st.lists(st.fixed_dictionaries({"type": st.sampled_from(["input_text", "output_text", "refusal", "summary_text"]), "text": st.just("t")})),
    st.just({"command": ["ls"]}),
)  # fmt: skip
ITEMS = st.lists(
    st.builds(lambda kind, rest: {"type": kind, **rest}, KINDS, st.dictionaries(MEMBERS, VALUES, max_size=4)) | JSON
)


@given(ITEMS, st.lists(JSON, max_size=2), JSON)
def test_any_input_is_taken_or_refused(items: list[Any], tools: list[Any], choice: Any) -> None:
    """Never anything but a sound chat, or a 400 with a path."""
    body = {"model": "m", "input": items, "tools": tools, "tool_choice": choice}
    try:
        found = parse(orjson.dumps(body))
    except InvalidRequest as error:
        assert error.param
        return
    validator().validate_python(found.request, strict=True)
