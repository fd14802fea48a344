"""The history: roles, order, pairing of calls and results, system text, and what is repaired."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import UnsupportedParameter

from .claude_asking import (
    HI,
    MANUAL,
    MODELS,
    MODERN,
    OPT_IN,
    UNFORCED,
    call,
    encode,
    image,
    result,
    said,
    sent,
    shape,
    tool,
    user,
)

REMINDER = "<system-reminder>\nBe brief.\n</system-reminder>"
BRIEF = {"role": "system", "content": "Be brief."}


def texts(message: dict[str, Any]) -> list[str]:
    return [block["text"] for block in message["content"] if block["type"] == "text"]


# --- system ----------------------------------------------------------------------------------


def test_leading_system_and_developer_messages_are_the_system_text() -> None:
    """One block each, in order, with their marks."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = sent(
        messages=[
            {"role": "system", "content": "One."},
            {
                "role": "developer",
                "content": [
                    {"type": "text", "text": "Two.", "cache_control": mark},
                    {"type": "text", "text": "Three."},
                ],
            },
            HI,
        ]
    )

    assert body["system"] == [
        {"type": "text", "text": "One."},
        {"type": "text", "text": "Two.", "cache_control": mark},
        {"type": "text", "text": "Three."},
    ]
    assert shape(body["messages"]) == [("user", ["text"])]


def test_a_request_of_system_text_alone_gets_a_user() -> None:
    """There must be a message."""
    body = sent(messages=[BRIEF])

    assert body["system"][0]["text"] == "Be brief."
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Begin."}]}]


@pytest.mark.parametrize("model", [MODERN, OPT_IN])
@pytest.mark.parametrize("rest", [[], [said("Ok"), HI]], ids=["last", "before an answer"])
def test_later_system_text_stays_where_it_is(model: str, rest: list[dict[str, Any]]) -> None:
    """As a message of its own, where the model takes it and the position is legal."""
    body = sent(model, messages=[HI, BRIEF, {"role": "developer", "content": "In verse."}, *rest])

    assert body["messages"][1] == {"role": "system", "content": [{"type": "text", "text": "Be brief.\n\nIn verse."}]}
    assert "system" not in body


@pytest.mark.parametrize(
    ("model", "messages", "expected"),
    [
        (MANUAL, [HI, BRIEF], [["Hi", REMINDER]]),
        (MODERN, [HI, BRIEF, user("Go")], [["Hi", REMINDER, "Go"]]),
        (MODERN, [HI, said("Ok"), BRIEF, user("Go")], [["Hi"], ["Ok"], [REMINDER, "Go"]]),
        (MODERN, [HI, said("Ok"), BRIEF], [["Hi"], ["Ok"], [REMINDER]]),
        (MANUAL, [HI, said("Ok"), user("Go"), BRIEF], [["Hi"], ["Ok"], ["Go", REMINDER]]),
    ],
    ids=["old model", "before a user", "behind an answer", "alone behind an answer", "old model, last"],
)
def test_system_text_that_cannot_stand_alone_is_a_reminder(
    model: str, messages: list[dict[str, Any]], expected: list[list[str]]
) -> None:
    """In the user's turn, in its place."""
    assert [texts(message) for message in sent(model, messages=messages)["messages"]] == expected


@pytest.mark.parametrize("model", [MANUAL, MODERN])
def test_system_text_never_comes_between_a_call_and_its_result(model: str) -> None:
    """It goes behind the results."""
    messages = [HI, said(None, call("a")), BRIEF, result("a"), user("Go")]
    body = sent(model, messages=messages, tools=[tool()])

    assert shape(body["messages"])[2] == ("user", ["tool_result", "text", "text"])
    assert texts(body["messages"][2]) == [REMINDER, "Go"]


# --- roles and empties -----------------------------------------------------------------------


def test_neighbours_of_one_role_become_one_message() -> None:
    """Roles alternate."""
    body = sent(MANUAL, messages=[HI, user("there"), said("One"), said("Two"), HI])

    assert shape(body["messages"]) == [("user", ["text", "text"]), ("assistant", ["text", "text"]), ("user", ["text"])]


def test_the_first_message_is_the_users() -> None:
    """A conversation that the assistant began gets a beginning."""
    assert texts(sent(messages=[said("Welcome!"), HI])["messages"][0]) == ["Begin."]


@pytest.mark.parametrize("empty", ["", " \n", [{"type": "text", "text": ""}]])
def test_empty_text_is_left_out(empty: Any) -> None:
    """An empty answer vanishes, an empty question keeps its place."""
    body = sent(messages=[HI, {"role": "assistant", "content": empty}, {"role": "user", "content": empty}])
    assert [texts(message) for message in body["messages"]] == [["Hi"]]

    body = sent(messages=[{"role": "user", "content": empty}])
    assert texts(body["messages"][0]) == ["(empty)"]

    body = sent(messages=[{"role": "user", "content": [{"type": "text", "text": " "}, image()]}])
    assert shape(body["messages"]) == [("user", ["image"])]


def test_a_refusal_is_text() -> None:
    """In either of its places."""
    body = sent(
        messages=[
            HI,
            {"role": "assistant", "refusal": "No."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "Never."}]},
            HI,
        ]
    )

    assert texts(body["messages"][1]) == ["No.", "Never."]


def test_a_spoken_answer_needs_its_transcript() -> None:
    """The audio itself is another vendor's."""
    body = sent(messages=[HI, {"role": "assistant", "audio": {"id": "audio_1", "transcript": "Hello."}}, HI])
    assert texts(body["messages"][1]) == ["Hello."]

    with pytest.raises(UnsupportedParameter) as caught:
        encode(messages=[HI, {"role": "assistant", "audio": {"id": "audio_1"}}, HI])
    assert caught.value.param == "messages[1].audio"


def test_names_of_speakers_are_dropped() -> None:
    """There is no place for them."""
    assert encode(messages=[{**HI, "name": "Ann"}]).dropped == ("messages.name",)


# --- prefill ---------------------------------------------------------------------------------


def test_a_prefill_does_not_end_in_white_space() -> None:
    """The API refuses it there, and only there."""
    body = sent(MANUAL, messages=[HI, said("One \n"), HI, said("The answer is (\n ")])

    assert texts(body["messages"][1]) == ["One \n"]
    assert texts(body["messages"][3]) == ["The answer is ("]


def test_models_without_prefill_refuse_it_here() -> None:
    """With a sentence that helps; under `drop` they are asked to go on."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(MODERN, messages=[HI, said("The answer is")])
    assert caught.value.param == "messages"

    outgoing = encode(MODERN, messages=[HI, said("The answer is")], where={"unsupported": "drop"})
    assert outgoing.dropped == ("messages",)
    body = sent(MODERN, messages=[HI, said("The answer is")], where={"unsupported": "drop"})
    assert [texts(m) for m in body["messages"]] == [["Hi"], ["The answer is"], ["Continue."]]


# --- calls and results -----------------------------------------------------------------------

PARALLEL = said("Looking.", call("a"), call("b", arguments='{"city":"Oslo"}'))


def test_parallel_results_are_one_message() -> None:
    """With the results first, whatever the user says next."""
    body = sent(messages=[HI, PARALLEL, result("b", "4 C"), result("a"), user("Go on.")], tools=[tool()])

    assert shape(body["messages"]) == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]
    assert body["messages"][1]["content"][2] == {
        "type": "tool_use",
        "id": "b",
        "name": "get_weather",
        "input": {"city": "Oslo"},
    }
    assert body["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "b", "content": "4 C"}


def test_results_are_brought_to_their_calls() -> None:
    """From behind the user's words, and from behind a later answer."""
    body = sent(
        messages=[HI, PARALLEL, user("Wait"), result("a"), said("One moment."), result("b"), HI], tools=[tool()]
    )

    assert shape(body["messages"]) == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
    ]


def test_calls_in_several_messages_are_parallel_calls() -> None:
    """Some clients send one message for each."""
    body = sent(messages=[HI, said("One", call("a")), said("Two", call("b")), result("a"), result("b")], tools=[tool()])

    assert shape(body["messages"])[1:] == [
        ("assistant", ["text", "text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
    ]


@pytest.mark.parametrize("rest", [[], [HI], [said("So."), HI]], ids=["at the end", "before a user", "before an answer"])
def test_a_call_without_a_result_gets_one_that_says_so(rest: list[dict[str, Any]]) -> None:
    """And the change is told."""
    messages = [HI, PARALLEL, result("b"), *rest]
    outgoing = encode(MANUAL, messages=messages, tools=[tool()])
    block = sent(MANUAL, messages=messages, tools=[tool()])["messages"][2]["content"][1]

    assert block == {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": "No result"}
    assert outgoing.clamped == (("messages[1].tool_calls[0]", "no result"),)


@pytest.mark.parametrize("id", ["unknown", "a"], ids=["no call", "answered before"])
def test_a_result_without_a_call_becomes_text(id: str) -> None:
    """Nothing of it is lost, and the change is told."""
    messages = [HI, said(None, call("a")), result("a"), result(id, [{"type": "text", "text": "99"}, image()])]
    outgoing = encode(messages=messages, tools=[tool()])
    blocks = sent(messages=messages, tools=[tool()])["messages"][2]["content"]

    assert [block["type"] for block in blocks] == ["tool_result", "text", "text", "image"]
    assert id in blocks[1]["text"]
    assert outgoing.clamped == (("messages[3]", "user text"),)


def test_results_hold_images_and_documents() -> None:
    """Inside, where the model relates them to the call."""
    parts = [{"type": "text", "text": "Here"}, image(), {"type": "text", "text": ""}]
    body = sent(messages=[HI, said(None, call("a")), result("a", parts)], tools=[tool()])

    (block,) = body["messages"][2]["content"]
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]


@pytest.mark.parametrize("empty", ["", "  ", [], [{"type": "text", "text": ""}]])
def test_an_empty_result_has_no_content(empty: Any) -> None:
    """That is allowed, empty text is not."""
    body = sent(messages=[HI, said(None, call("a")), result("a", empty)], tools=[tool()])

    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


def test_an_error_is_told_only_when_the_caller_says_so() -> None:
    """Never guessed from the text."""
    body = sent(
        messages=[HI, PARALLEL, result("a", '{"error": "no"}'), result("b", "timeout", is_error=True)], tools=[tool()]
    )

    first, second = body["messages"][2]["content"]
    assert "is_error" not in first
    assert second["is_error"] is True


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"_raw": [1]}),
        ("{broken", {"_raw": "{broken"}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("7", {"_raw": 7}),
    ],
)
def test_arguments_become_an_object(arguments: str, expected: dict[str, Any]) -> None:
    """Whatever they were; nothing of them is lost."""
    body = sent(messages=[HI, said(None, call("a", arguments=arguments)), result("a")], tools=[tool()])

    assert body["messages"][1]["content"][0]["input"] == expected


def test_the_oldest_form_is_paired_by_name() -> None:
    """Ids are made from the position, so they are the same every time."""
    messages: list[Any] = [
        HI,
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "2"},
    ]
    body = sent(messages=messages, functions=[{"name": "f"}])
    uses = [body["messages"][place]["content"][0]["id"] for place in (1, 3)]
    results = [body["messages"][place]["content"][0]["tool_use_id"] for place in (2, 4)]

    assert uses == results
    assert uses[0] != uses[1]
    assert body == sent(messages=messages, functions=[{"name": "f"}])


def test_an_id_used_twice_is_told_apart() -> None:
    """Some models count their calls from 0 in every turn; results find the latest."""
    turn = [said(None, call("call_0")), result("call_0")]
    body = sent(messages=[HI, *turn, *turn, HI], tools=[tool()])
    uses = [message["content"][0]["id"] for message in body["messages"] if message["role"] == "assistant"]

    assert uses[0] == "call_0"
    assert len(set(uses)) == 2


def test_custom_calls_travel_as_functions_of_one_argument() -> None:
    """In the history as in the tools."""
    custom = {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    body = sent(messages=[HI, said(None, custom), result("a")], tools=[{"type": "custom", "custom": {"name": "sh"}}])

    assert body["messages"][1]["content"][0]["input"] == {"input": "ls"}


@pytest.mark.parametrize("model", MODELS)
def test_tools_of_the_history_are_declared(model: str) -> None:
    """The API wants them; the model must not call what the caller did not offer."""
    body = sent(model, messages=[HI, said(None, call("a"), call("b", "my tool")), result("a"), result("b"), HI])

    assert body["tools"][0]["name"] == "get_weather"
    assert len(body["tools"]) == 2
    assert body["tool_choice"] == {"type": "none"}


def test_images_of_the_assistant_are_refused() -> None:
    """Claude takes images from the user only."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(UNFORCED, messages=[HI, {"role": "assistant", "content": [image()]}, HI])
    assert caught.value.param == "messages[1].content[0].image_url"
