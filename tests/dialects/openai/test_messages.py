"""Histories: what an upstream would refuse is stripped, what it wants back is kept, nothing else changes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Quirks
from compatgw.errors import InvalidRequest, UnsupportedParameter

from .sending import HI, body, encode, history, target

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TURN = {"role": "assistant", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "4"}
LONG = "call_" + "x" * 60
PDF = "JVBERi0xLjQKJcfs"


def said(extra: dict[str, Any], quirks: Quirks | None = None) -> dict[str, Any]:
    """An assistant's message after translation."""
    return history([*HI, {"role": "assistant", "content": "a", **extra}, *HI], quirks)[1]


@pytest.mark.parametrize(
    "echo",
    [
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "x"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "x"}]},
        {"annotations": []},
        {"extra_content": {"google": {}}},
        {"provider_specific_fields": {}},
        {"images": []},
        {"audio": None},
        {"refusal": None},
        {"function_call": None},
        {"tool_calls": []},
    ],
    ids=lambda echo: next(iter(echo)),
)
def test_what_clients_echo_of_an_answer_is_stripped(echo: dict[str, Any]) -> None:
    """Strict upstreams refuse every one of them."""
    assert said(echo) == {"role": "assistant", "content": "a"}


def test_a_reference_to_earlier_audio_is_no_echo() -> None:
    """It is a member of the request."""
    assert said({"audio": {"id": "audio_1"}})["audio"] == {"id": "audio_1"}


def test_calls_lose_what_answers_add_to_them() -> None:
    """Indexes, null members and vendors' extras."""
    call = {**CALL, "index": 0, "extra_content": {}, "function": {**CALL["function"], "parsed": None}}  # type: ignore[dict-item]

    assert said({"tool_calls": [call]})["tool_calls"] == [CALL]


@pytest.mark.parametrize(
    ("back", "extra", "expected"),
    [
        ("never", {"tool_calls": [CALL], "reasoning_content": "t"}, {}),
        ("tool_turns", {"tool_calls": [CALL], "reasoning_content": "t"}, {"reasoning_content": "t"}),
        ("tool_turns", {"tool_calls": [CALL], "reasoning": "t"}, {"reasoning_content": "t"}),
        ("tool_turns", {"tool_calls": [CALL]}, {"reasoning_content": ""}),
        ("tool_turns", {"reasoning_content": "t"}, {}),
        ("always", {"reasoning_content": "t"}, {"reasoning_content": "t"}),
        ("always", {"reasoning_details": [{"type": "reasoning.text", "text": "t"}]}, {"reasoning_content": "t"}),
        ("always", {"thinking_blocks": [{"type": "thinking", "thinking": "t"}]}, {"reasoning_content": "t"}),
        ("always", {}, {}),
        (
            "details",
            {"reasoning": "t", "reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 0}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 0}]},
        ),
        ("details", {"reasoning": "t"}, {"reasoning_content": "t"}),
    ],
)
def test_reasoning_goes_back_where_it_is_wanted(back: Any, extra: dict[str, Any], expected: dict[str, Any]) -> None:
    """DeepSeek and Moonshot refuse a tool turn without the member, so an empty one stands in."""
    changed = said(extra, Quirks(reasoning_back=back))

    assert {name: value for name, value in changed.items() if "reason" in name} == expected


def test_reasoning_goes_back_under_the_upstreams_own_name() -> None:
    """Groq and vLLM call it `reasoning`."""
    changed = said({"reasoning_content": "t"}, Quirks(reasoning_back="always", reasoning_field="reasoning"))

    assert changed == {"role": "assistant", "content": "a", "reasoning": "t"}


@pytest.mark.parametrize(
    ("rule", "id", "expected"),
    [
        ("any", LONG, LONG),
        ("40", "functions.name:0", "functions.name:0"),
        ("mistral", "abcDEF123", "abcDEF123"),
    ],
)
def test_an_id_that_is_taken_stays(rule: Any, id: str, expected: str) -> None:
    """Some upstreams know their own ids again."""
    messages = [{"role": "assistant", "tool_calls": [{**CALL, "id": id}]}, {**RESULT, "tool_call_id": id}]
    sent = history(messages, Quirks(tool_ids=rule))

    assert (sent[0]["tool_calls"][0]["id"], sent[1]["tool_call_id"]) == (expected, expected)


@pytest.mark.parametrize(("rule", "length"), [("40", 40), ("mistral", 9)])
def test_an_id_that_is_refused_is_mapped_alike_in_the_whole_history(rule: Any, length: int) -> None:
    """Calls and results still find each other."""
    messages = [{"role": "assistant", "tool_calls": [{**CALL, "id": LONG}]}, {**RESULT, "tool_call_id": LONG}]
    sent = history(messages, Quirks(tool_ids=rule))
    id = sent[0]["tool_calls"][0]["id"]

    assert id == sent[1]["tool_call_id"]
    assert len(id) == length
    assert sent == history(messages, Quirks(tool_ids=rule))


def test_results_carry_the_tools_name_where_it_is_wanted() -> None:
    """It is found by the id of the call."""
    assert history([TURN, RESULT], Quirks(tool_names=True))[1]["name"] == "f"


def test_a_turn_of_calls_has_content_where_null_is_refused() -> None:
    """An empty string says the same."""
    assert "content" not in history([TURN, RESULT])[0]
    assert history([TURN, RESULT], Quirks(content_null=False))[0]["content"] == ""


def test_an_assistant_that_said_nothing_at_all_says_an_empty_string() -> None:
    """A message without content and calls is an error everywhere."""
    assert history([*HI, {"role": "assistant", "reasoning": "x"}])[1] == {"role": "assistant", "content": ""}


def test_developer_becomes_system_where_it_is_not_understood() -> None:
    """The two are of one rank."""
    messages = [{"role": "developer", "content": "Be kind."}, *HI]

    assert history(messages)[0] == {"role": "system", "content": "Be kind."}
    assert history(messages, Quirks(developer=True))[0]["role"] == "developer"


def test_neighbours_of_one_role_are_merged_where_roles_must_alternate() -> None:
    """Later instructions move to the front; tool turns stay apart."""
    messages = [
        {"role": "system", "content": "A"},
        {"role": "user", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "2"}]},
        {"role": "system", "content": "B"},
        {"role": "assistant", "content": "3"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "5"},
    ]

    assert history(messages, Quirks(alternate=True)) == [
        {"role": "system", "content": "A\n\nB"},
        {"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
        {"role": "assistant", "content": "3\n\n4"},
        {"role": "user", "content": "5"},
    ]


def _row(*roles: str) -> list[dict[str, Any]]:
    """A history of these roles, each message told apart by its content."""
    return [{"role": role, "content": f"{number}"} for number, role in enumerate(roles)]


def _roles(messages: Any) -> str:
    return " ".join(f"{message['role'][0]}{message['content']}" for message in messages)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("user assistant tool user", "u0 a1 t2 aOK. u3"),
        ("user assistant tool assistant user", "u0 a1 t2 a3 u4"),
        ("user assistant tool tool user user", "u0 a1 t2 t3 aOK. u4 u5"),
        ("system user assistant system user", "s0 u1 a2 u4 s3"),
        ("user assistant tool system user system", "u0 a1 t2 aOK. u4 s3 s5"),
        ("user assistant tool system", "u0 s3 a1 t2"),
        ("system assistant tool system", "s0 s3 a1 t2"),
        ("assistant system", "s1 a0"),
    ],
)
def test_an_assistant_stands_between_a_tool_and_the_user_where_it_has_to(roles: str, expected: str) -> None:
    """Where an upstream refuses them side by side; instructions go to the user's nearest words."""
    messages = [
        {**message, "tool_call_id": "callaaa11"} if message["role"] == "tool" else message
        for message in _row(*roles.split())
    ]

    assert _roles(history(messages, Quirks(bridge="OK."))) == expected
    assert history(messages, Quirks()) == messages


@given(roles=st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=12))
def test_a_bridged_history_has_every_message_once(roles: list[str]) -> None:
    """All that was said by one of them stays in its order; nothing stands where it is refused."""
    messages = [
        {**message, "tool_call_id": "callaaa11"} if message["role"] == "tool" else message for message in _row(*roles)
    ]
    sent = history(messages, Quirks(bridge="OK."))
    said = [message for message in sent if message["content"] != "OK."]

    assert sorted(said, key=lambda message: int(message["content"])) == messages
    for kept in (("user", "assistant", "tool"), ("system",)):
        assert [each for each in said if each["role"] in kept] == [each for each in messages if each["role"] in kept]
    for before, after in pairwise(sent):
        pair = (before["role"], after["role"])
        assert pair not in {("tool", "user"), ("tool", "system"), ("assistant", "system")}


def test_strict_upstreams_get_known_members_of_messages_only() -> None:
    """What they have beside them is renamed to itself in their row."""
    messages = [
        {"role": "user", "content": "Hi", "name": "ann", "tag": 1},
        {"role": "assistant", "content": "a", "prefix": True, "parsed": None},
    ]
    quirks = Quirks(
        known_only=True, drop=frozenset({"messages[].name"}), rename={"messages[].prefix": "messages[].prefix"}
    )

    assert history(messages, quirks) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "a", "prefix": True},
    ]
    assert encode({"messages": messages}, target(quirks)).dropped == ("messages[].name",)


def test_a_refusal_becomes_text_where_the_member_is_unknown() -> None:
    """What the model said is not lost."""
    quirks = Quirks(drop=frozenset({"messages[].refusal"}))

    assert history([{"role": "assistant", "refusal": "No."}], quirks) == [{"role": "assistant", "content": "No."}]
    parts = [{"type": "refusal", "refusal": "No."}]
    assert history([{"role": "assistant", "content": parts}], quirks)[0]["content"] == [{"type": "text", "text": "No."}]


def test_cache_marks_are_taken_out_where_they_are_refused() -> None:
    """From parts, messages and tools alike, and named once."""
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x", **mark}], **mark}],
        "tools": [{"type": "function", "function": {"name": "f"}, **mark}],
    }
    sent = encode(asked, target(Quirks(drop=frozenset({"cache_control"}))))

    assert b"cache_control" not in sent.body
    assert sent.dropped == ("cache_control",)
    assert body(asked) == {"model": "m", **asked}


@pytest.mark.parametrize("back", ["always", "details"])
def test_signatures_of_calls_go_back_with_the_reasoning(back: Any) -> None:
    """Gemini behind an OpenAI-like layer refuses calls without theirs."""
    extra = {"google": {"thought_signature": "s"}}
    changed = said(
        {"tool_calls": [{**CALL, "extra_content": extra}], "extra_content": extra}, Quirks(reasoning_back=back)
    )

    assert changed["tool_calls"] == [{**CALL, "extra_content": extra}]
    assert changed["extra_content"] == extra


def test_what_a_router_read_of_a_document_goes_back_to_it() -> None:
    """OpenRouter would read, and bill, it again."""
    notes = [{"type": "file", "file": {"hash": "h"}}]

    assert said({"annotations": notes}, Quirks(reasoning_back="details"))["annotations"] == notes


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "tool", "tool_call_id": "call_1"}, {"role": "tool", "tool_call_id": "call_1", "content": ""}),
        (
            {**RESULT, "content": [{"type": "text", "text": "4"}]},
            {**RESULT, "content": [{"type": "text", "text": "4"}]},
        ),
        ({"role": "function", "name": "f", "content": "4"}, {"role": "function", "name": "f", "content": "4"}),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        ),
        (
            {"role": "assistant", "content": [], "tool_calls": [CALL]},
            {"role": "assistant", "tool_calls": [CALL]},
        ),
    ],
)
def test_results_and_legacy_turns(message: dict[str, Any], expected: dict[str, Any]) -> None:
    """A result always has content; an empty list of parts is none."""
    assert history([message]) == [expected]


# --- parts ---------------------------------------------------------------------------------------


def sent_file(file: dict[str, Any]) -> dict[str, Any]:
    """A file part after translation."""
    part: dict[str, Any] = history([{"role": "user", "content": [{"type": "file", "file": file}]}])[0]["content"][0]
    return part


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"data": PDF, "media_type": "application/pdf", "filename": "a.pdf"}, "a.pdf"),
        ({"data": PDF, "media_type": "application/pdf"}, "document.pdf"),
        ({"file_data": PDF, "filename": "a.pdf"}, "a.pdf"),
        ({"file_data": f"data:application/pdf;base64,{PDF}"}, "document.pdf"),
    ],
)
def test_a_document_goes_as_openai_has_it(file: dict[str, Any], expected: str) -> None:
    """A data URL with a name, whichever form the client chose."""
    assert sent_file(file) == {
        "type": "file",
        "file": {"filename": expected, "file_data": f"data:application/pdf;base64,{PDF}"},
    }


@pytest.mark.parametrize(
    "file", [{"file_id": "file_1"}, {"file_data": "data:application/pdf;base64,eA==", "filename": "x"}]
)
def test_a_document_in_openais_own_form_is_left_alone(file: dict[str, Any]) -> None:
    """Its bytes are not looked at."""
    assert sent_file(file) == {"type": "file", "file": file}


def test_a_document_without_bytes_is_refused_by_its_path() -> None:
    """The caller can find it among many."""
    with pytest.raises(InvalidRequest) as error:
        sent_file({"filename": "a.pdf"})

    assert error.value.param == "messages[0].content[0].file"


def test_an_image_that_would_have_to_be_fetched_is_refused_where_nobody_fetches() -> None:
    """Data URLs pass."""
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    text = {"type": "text", "text": "?"}
    with pytest.raises(UnsupportedParameter) as error:
        history([*HI, {"role": "user", "content": [text, image]}], Quirks(image_urls=False))

    assert error.value.param == "messages[1].content[1].image_url.url"
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    message = {"role": "user", "content": [text, inline]}
    assert history([message], Quirks(image_urls=False)) == [message]


def test_replayed_thinking_parts_are_left_out_of_content() -> None:
    """Only their own vendor takes them."""
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}]

    assert history([{"role": "assistant", "content": parts}])[0]["content"] == [{"type": "text", "text": "a"}]
