"""The history: turns that alternate, results behind their calls, media, reasoning that comes back, cache points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .bedrock_asking import (
    HI,
    LLAMA,
    MODELS,
    NOVA,
    PDF,
    PNG,
    SIGNATURE,
    TITAN,
    accepted,
    called,
    encode,
    result,
    sent,
    tool,
)

IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
DOCUMENT = {
    "type": "file",
    "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "My_report (1).pdf"},
}
POINT = {"cachePoint": {"type": "default"}}
MARK: Any = {"cache_control": {"type": "ephemeral"}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


# --- turns -----------------------------------------------------------------------------------


def test_system_text_stands_apart() -> None:
    """What leads is the request's; what comes later is the user's, marked."""
    talk = [
        {"role": "system", "content": "A"},
        {"role": "developer", "content": "B"},
        HI,
        {"role": "system", "content": "C"},
    ]
    body = sent(messages=talk)

    assert body["system"] == [{"text": "A"}, {"text": "B"}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "<system-reminder>\nC\n</system-reminder>"}]}
    ]


def test_a_model_without_system_text_gets_it_from_the_user() -> None:
    """In the first message."""
    body = sent(TITAN, messages=[{"role": "system", "content": "A"}, HI])

    assert "system" not in body
    assert [block["text"] for block in body["messages"][0]["content"]] == [
        "<system-reminder>\nA\n</system-reminder>",
        "Hi",
    ]


def test_neighbours_of_one_role_are_one_message() -> None:
    """Roles must alternate, and blank text is refused."""
    talk = [HI, {"role": "user", "content": "  "}, {"role": "user", "content": "there"}, {"role": "assistant", "content": "a"},
            {"role": "assistant", "content": "b"}, HI]  # fmt: skip

    assert sent(messages=talk)["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
        {"role": "assistant", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "user", "content": [{"text": "Hi"}]},
    ]


@pytest.mark.parametrize("talk", [[], [{"role": "user", "content": ""}], [{"role": "system", "content": "A"}]])
def test_there_is_always_something_to_answer(talk: list[Any]) -> None:
    """An empty conversation is none."""
    messages = sent(messages=talk)["messages"]

    assert [message["role"] for message in messages] == ["user"]
    assert messages[0]["content"][0]["text"].strip()


def test_an_answer_to_go_on_with() -> None:
    """Where the model does so; without white space at its end."""
    talk = [HI, {"role": "assistant", "content": "The answer is \n"}]

    assert sent(messages=talk)["messages"][-1] == {"role": "assistant", "content": [{"text": "The answer is"}]}
    with pytest.raises(UnsupportedParameter, match="messages"):
        encode(LLAMA, talk)
    assert sent(LLAMA, talk, where={"unsupported": "drop"})["messages"][-1]["role"] == "user"


# --- tools -----------------------------------------------------------------------------------


def test_results_stand_behind_their_calls_in_one_message() -> None:
    """In the order of arrival, before what the user says."""
    talk = [
        HI,
        called("a", "b", content="Looking"),
        result("call_1", "two"),
        result("call_0", "one", is_error=True),
        HI,
    ]
    body = sent(messages=talk, tools=[tool("a"), tool("b")])

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "Looking"},
                {"toolUse": {"toolUseId": "call_0", "name": "a", "input": {"a": 1}}},
                {"toolUse": {"toolUseId": "call_1", "name": "b", "input": {"a": 1}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"text": "two"}]}},
                {"toolResult": {"toolUseId": "call_0", "content": [{"text": "one"}], "status": "error"}},
                {"text": "Hi"},
            ],
        },
    ]


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_text() -> None:
    """Both are said as changes of their messages."""
    talk = [HI, result("nobody", "lost"), called("a"), HI]
    outgoing = encode(messages=talk, tools=[tool("a")])
    messages = accepted(outgoing)["messages"]

    assert "lost" in str(messages[0])
    assert messages[2]["content"][0]["toolResult"] == {
        "toolUseId": "call_0", "content": [{"text": "No result"}], "status": "error",
    }  # fmt: skip
    assert outgoing.clamped == (("messages[1]", "user text"), ("messages[2].tool_calls[0]", "no result"))


def test_foreign_ids_and_names_are_made_to_fit_and_told_apart() -> None:
    """The way back is in the memo."""
    talk = [
        HI,
        called("my.tool", ids=["functions.my.tool:0"]),
        result("functions.my.tool:0"),
        called("my.tool", ids=["x" * 80]),
        result("x" * 80),
    ]
    outgoing = encode(messages=talk, tools=[tool("my.tool")])
    body = accepted(outgoing)
    uses = [b["toolUse"] for m in body["messages"] for b in m["content"] if "toolUse" in b]

    assert len({use["toolUseId"] for use in uses}) == 2
    assert all(outgoing.memo["names"][use["name"]] == "my.tool" for use in uses)
    assert [outgoing.memo["ids"][use["toolUseId"]] for use in uses] == ["functions.my.tool:0", "x" * 80]
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == uses[0]["name"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("", {}), ("null", {}), ('"{\\"a\\": 2}"', {"a": 2}), ("{broken", {"_raw": "{broken"}), ("[1]", {"_raw": [1]})],
)
def test_arguments_are_an_object(written: str, expected: Any) -> None:
    """Whatever they were."""
    call = {"id": "call_0", "type": "function", "function": {"name": "a", "arguments": written}}
    body = sent(
        messages=[HI, {"role": "assistant", "content": None, "tool_calls": [call]}, result()], tools=[tool("a")]
    )

    assert body["messages"][1]["content"][0]["toolUse"]["input"] == expected


def test_the_oldest_form_of_calls() -> None:
    """Paired by name."""
    talk: list[Any] = [HI, {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}},
            {"role": "function", "name": "a", "content": "42"}]  # fmt: skip
    outgoing = encode(messages=talk, functions=[{"name": "a"}])
    body = accepted(outgoing)
    id = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]

    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == id
    assert outgoing.memo["legacy"] is True


def test_a_history_with_calls_needs_tools() -> None:
    """Stubs of them, and a sentence that none is to be called."""
    body = sent(messages=[HI, called("a"), result()])

    assert [one["toolSpec"]["name"] for one in body["toolConfig"]["tools"]] == ["a"]
    assert "without calling" in body["system"][0]["text"]


def test_an_empty_result_is_none() -> None:
    """A text that says so; a blank one is refused."""
    body = sent(messages=[HI, called("a"), result(content="")], tools=[tool("a")])

    assert body["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "(empty)"}]


# --- media -----------------------------------------------------------------------------------


def test_images_and_documents() -> None:
    """By their bytes; names are made to fit and are unlike each other."""
    content = sent(messages=[user(text("See"), IMAGE, DOCUMENT, DOCUMENT)])["messages"][0]["content"]

    assert content[1] == {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert [block["document"]["name"] for block in content[2:]] == ["My report (1)", "My report (1) (2)"]
    assert content[2]["document"]["format"] == "pdf"


def test_a_document_alone_gets_a_word() -> None:
    """It is refused without one."""
    assert "text" in sent(messages=[user(DOCUMENT)])["messages"][0]["content"][1]


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ({"data": "aGk=", "media_type": "text/csv", "filename": "a.csv"}, "csv"),
        ({"data": "aGk=", "media_type": "text/markdown"}, "md"),
        ({"data": "aGk=", "media_type": "text/x-python"}, "txt"),
        ({"data": "aGk=", "media_type": "application/json"}, "txt"),
        (
            {"data": "aGk=", "media_type": "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
            "docx",
        ),
        ({"data": "aGk=", "media_type": "application/octet-stream", "filename": "a.xlsx"}, "xlsx"),
    ],
)
def test_kinds_of_documents(file: dict[str, str], form: str) -> None:
    """By their type, or by the end of their name."""
    content = sent(messages=[user(text("See"), {"type": "file", "file": file})])["messages"][0]["content"]

    assert content[1]["document"]["format"] == form


def test_sound_and_videos() -> None:
    """For the models that take them."""
    parts = [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
             {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aGk="}}]  # fmt: skip
    content = sent(NOVA, messages=[user(text("See"), *parts)])["messages"][0]["content"]

    assert content[1] == {"audio": {"format": "wav", "source": {"bytes": "aGk="}}}
    assert content[2] == {"video": {"format": "mp4", "source": {"bytes": "aGk="}}}


@pytest.mark.parametrize(
    ("part", "kind"),
    [({"type": "image_url", "image_url": {"url": "s3://b/k.jpg"}}, "image"), ({"type": "video_url", "video_url": {"url": "s3://b/k.mov"}}, "video"),
     ({"type": "file", "file": {"file_data": "s3://b/k.pdf"}}, "document")],
)  # fmt: skip
def test_what_lies_in_the_vendors_storage_is_named(part: Any, kind: str) -> None:
    """It is the only address that is fetched there."""
    block = sent(messages=[user(text("See"), part)])["messages"][0]["content"][1][kind]

    assert block["source"] == {"s3Location": {"uri": block["source"]["s3Location"]["uri"]}}
    assert block["format"] in ("jpeg", "mov", "pdf")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "https://x.test/a.pdf"}},
        {"type": "file", "file": {"data": "aGk=", "media_type": "application/zip"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "midi"}},
    ],
)
def test_what_is_not_fetched_or_known_is_refused(part: Any) -> None:
    """With its path."""
    with pytest.raises(UnsupportedParameter, match=r"messages\[0\]\.content\[0\]"):
        encode(messages=[user(part)])


@pytest.mark.parametrize("url", ["ftp://x/a.png", "hello", "data:image/png,abc"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """With its path."""
    with pytest.raises(InvalidRequest) as error:
        encode(messages=[user({"type": "image_url", "image_url": {"url": url}})])
    assert error.value.param == "messages[0].content[0].image_url.url"


def test_pictures_of_tools_are_results() -> None:
    """Beside text."""
    body = sent(messages=[HI, called("a"), result(content=[text("it"), IMAGE])], tools=[tool("a")])

    assert [list(b) for b in body["messages"][2]["content"][0]["toolResult"]["content"]] == [["text"], ["image"]]


# --- reasoning -------------------------------------------------------------------------------


def test_signed_reasoning_comes_back_unchanged() -> None:
    """From details or blocks, before everything else of its turn."""
    details = [
        {"type": "reasoning.text", "text": "Hm", "signature": SIGNATURE, "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "c2VhbGVk", "format": "anthropic-claude-v1", "index": 1},
    ]
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
    ]
    expected = [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": SIGNATURE}}},
        {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
    ]
    for members in ({"reasoning_details": details}, {"thinking_blocks": blocks}):
        body = sent(messages=[HI, called("a", **members), result()], tools=[tool("a")])
        assert body["messages"][1]["content"][:2] == expected


@pytest.mark.parametrize(
    "members",
    [
        {"reasoning_content": "Hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "x", "format": "google-gemini-v1"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "x", "format": "anthropic-claude-v1", "id": "claude-thought-elsewhere"}]},
        {"reasoning_details": [3, None]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm"}]},
    ],
)  # fmt: skip
def test_what_nobody_here_signed_stays_out(members: Any) -> None:
    """Plain text, other vendors' signatures, other accounts' ones."""
    assert "reasoningContent" not in str(sent(messages=[HI, called("a", **members), result()], tools=[tool("a")]))


def test_other_models_get_no_reasoning() -> None:
    """They know no signatures."""
    blocks = [{"type": "thinking", "thinking": "Hm", "signature": SIGNATURE}]

    assert "reasoningContent" not in str(
        sent(NOVA, [HI, {"role": "assistant", "content": "a", "thinking_blocks": blocks}, HI])
    )


# --- cache points ----------------------------------------------------------------------------


def test_marks_become_points_behind_what_they_mark() -> None:
    """Parts, messages, tools and results; longer ones say so."""
    hour: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    talk = [
        {"role": "system", "content": [text("A", **hour)]},
        user(text("B", **MARK), text("C")),
        called("a"),
        result(**MARK),
    ]
    body = sent(messages=talk, tools=[{**tool("a"), **MARK}])

    assert body["system"] == [{"text": "A"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"][0]["content"] == [{"text": "B"}, POINT, {"text": "C"}]
    assert body["messages"][2]["content"][1] == POINT
    assert body["toolConfig"]["tools"][1] == POINT


def test_a_mark_of_the_request_is_one_on_its_end() -> None:
    """Unless one is there already."""
    assert sent(**MARK)["messages"][0]["content"] == [{"text": "Hi"}, POINT]
    assert sent(messages=[user(text("B", **MARK))], **MARK)["messages"][0]["content"] == [{"text": "B"}, POINT]


def test_only_four_points_are_sent() -> None:
    """The last ones, which cover the most."""
    talk = [user(*(text(str(n), **MARK) for n in range(6)))]
    outgoing = encode(messages=talk)

    assert str(accepted(outgoing)).count("cachePoint") == 4
    assert accepted(outgoing)["messages"][0]["content"][-1] == POINT
    assert outgoing.clamped == (("cache_control", "last 4"),)


@pytest.mark.parametrize("model", [LLAMA, TITAN])
def test_models_without_a_cache_get_no_points(model: str) -> None:
    """They refuse them."""
    assert "cachePoint" not in str(sent(model, messages=[user(text("B", **MARK))]))


# --- anything --------------------------------------------------------------------------------

_texts = st.text("ab \n", max_size=4)
_messages = st.lists(
    st.one_of(
        st.builds(lambda role, value: {"role": role, "content": value}, st.sampled_from(["system", "user"]), _texts),
        st.builds(lambda value: {"role": "assistant", "content": value}, _texts),
        st.builds(
            lambda names, value: called(*names, content=value),
            st.lists(st.sampled_from(["a", "b.c"]), min_size=1, max_size=3),
            _texts,
        ),
        st.builds(result, st.sampled_from(["call_0", "call_1", "x"]), _texts),
        st.just(user(text("d"), DOCUMENT, IMAGE)),
    ),
    max_size=7,
)


@settings(max_examples=150, deadline=None)
@given(talk=_messages, model=st.sampled_from(MODELS), tools=st.booleans())
def test_any_history_becomes_one_that_is_taken(talk: list[Any], model: str, tools: bool) -> None:
    """The strict fake refuses nothing of it, and the same history is always the same bytes."""
    members: Any = {"tools": [tool("a"), tool("b.c")]} if tools and model != TITAN else {}
    first = encode(model, talk, {"unsupported": "drop"}, **members)

    accepted(first, model)
    assert encode(model, talk, {"unsupported": "drop"}, **members) == first
