"""What a failed assertion says: what is otherwise, where, and nothing else."""

from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing.difference import differences, like, tool_calls, values
from compatgw_testing.journal import Call
from compatgw_testing.request import Message, Request
from compatgw_testing.rules import contains, regex
from compatgw_testing.script import ToolCall

LONG = "word " * 60


def call(**members: Any) -> Call:
    """A call with this request."""
    request = Request(**{"model": "gpt-4o", **members})
    return Call(ordinal=1, method="POST", path="/v1/chat/completions", request=request, body={"model": "gpt-4o"})


def messages(*wanted: object, got: tuple[Message, ...]) -> list[str]:
    """Differences of messages alone."""
    return differences({"messages": list(wanted)}, call(messages=got))


USER = Message(role="user", text="Hi")
ASKED = Message(role="assistant", calls=(ToolCall("f", {"city": "Rome", "days": [1, 2]}, "call_1"),))
RESULT = Message(role="tool", text="21", tool="f", call_id="call_1")


@pytest.mark.parametrize(
    ("wanted", "got", "lines"),
    [
        (1, 1.0, []),
        (1, True, ["x: expected 1, got True"]),
        (True, 1, ["x: expected True, got 1"]),
        ("a", "a", []),
        ("a", "b", ["x: expected 'a', got 'b'"]),
        (None, None, []),
        (None, 0, ["x: expected None, got 0"]),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, []),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, ["x.a.b[0]: expected 1, got 2"]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, ["x.b: missing, expected 2", "x.c: not expected, got 3"]),
        ([1, 2], [1], ["x[1]: missing, expected 2"]),
        ([1], [1, {"a": 2}], ['x[1]: not expected, got {"a":2}']),
        ((1, 2), [1, 2], []),
        ({"a": 1}, [1], ['x: expected {"a":1}, got [1]']),
        (contains("b"), "abc", []),
        (contains("b"), "a", ["x: expected contains('b'), got 'a'"]),
        (contains("b"), 3, ["x: expected contains('b'), got 3"]),
        ({"a": regex("^b")}, {"a": "bc"}, []),
        (mock.ANY, {"what": "ever"}, []),
        ({"a": mock.ANY}, {"a": 3}, []),
        (like({"a": 1}), {"a": 1, "b": 2}, []),
        (like({"a": {"b": 1}}), {"a": {"b": 1, "c": 2}}, []),
        (like({"a": {"b": 1}}), {"a": {"b": 2, "c": 2}}, ["x.a.b: expected 1, got 2"]),
        (like([1, 3]), [1, 2, 3], []),
        (like([3, 1]), [1, 2, 3], ["x: expected an element 1 (in this order), got [1,2,3]"]),
        (like([{"a": 1}]), [{"b": 0}, {"a": 1, "c": 2}], []),
        (like("b"), "abc", []),
        (like("x"), "abc", ["x: expected 'x' in it, got 'abc'"]),
        ({"a": like([2])}, {"a": [1, 2]}, []),
        (like(3), 4, ["x: expected 3, got 4"]),
    ],
)
def test_values(wanted: object, got: object, lines: list[str]) -> None:
    """By meaning, each difference with its path."""
    assert values("x", wanted, got) == lines


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """The same with every number a float, and every boolean a text."""
    if isinstance(value, bool):
        return f"bool {value}"
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


@given(JSON, JSON)
@settings(max_examples=200, deadline=None)
def test_nothing_is_otherwise_exactly_where_values_are_equal(one: Any, other: Any) -> None:
    """For any JSON; and each value is like itself."""
    assert values("x", one, one) == []
    assert values("x", like(one), one) == []
    assert (values("x", one, other) == []) == (plain(one) == plain(other))


def test_long_texts_are_shown_where_they_differ() -> None:
    """Not from their beginning, and not in full."""
    (line,) = values("user", LONG + "one", LONG + "two")

    assert line.startswith("user: differs from character 300: expected ")
    assert "one'" in line
    assert "two'" in line
    assert len(line) < 160


def test_a_text_that_goes_on_too_long() -> None:
    """One is the beginning of the other."""
    (line,) = values("user", LONG, LONG + "more")
    (other,) = values("user", LONG + "more", LONG)

    assert "expected the end after" in line
    assert "got the end after" in other


def test_members_of_the_request_and_of_the_call() -> None:
    """All that can be named is compared."""
    got = call(
        messages=(Message(role="system", text="Brief."), USER),
        limit=64,
        stream=True,
        settings={"temperature": 0.2, "stop": ["END"]},
    )

    assert not differences(
        {
            "model": "gpt-4o",
            "user": "Hi",
            "system": "Brief.",
            "limit": 64,
            "max_tokens": 64,
            "stream": True,
            "temperature": 0.2,
            "top_p": None,
            "settings": {"temperature": 0.2, "stop": ["END"]},
            "turn": 0,
            "path": contains("chat"),
            "body": like({"model": "gpt-4o"}),
            "method": "POST",
            "query": {},
            "headers": like({}),
        },
        got,
    )


def test_what_was_not_sent_is_told_apart_from_another_value() -> None:
    """None says that a setting is not there."""
    got = call(settings={"temperature": 0.2})

    assert differences({"temperature": 0.3, "top_p": 0.9, "seed": None}, got) == [
        "temperature: expected 0.3, got 0.2",
        "top_p: expected 0.9, but it was not sent",
    ]
    assert differences({"temperature": None}, got) == ["temperature: expected none, got 0.2"]


def test_an_unknown_member_is_a_mistake_in_the_test() -> None:
    """Whether or not the call would have been as expected."""
    with pytest.raises(TypeError, match=r"no member 'modle' to be compared; there are body, .*force, .*model"):
        differences({"modle": "gpt-4o"}, call())


def test_a_call_that_was_not_read() -> None:
    """One line for all that cannot be compared."""
    unread = Call(ordinal=1, method="POST", path="/v1/x", status=404, outcome="refused")

    assert differences({"model": "m", "user": "Hi", "path": "/v1/x"}, unread) == [
        "the call has no content to compare: it was answered 404 (refused) unread"
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        USER,
        "Hi",
        ("user", "Hi"),
        {"role": "user", "content": "Hi"},
        {"role": "user", "text": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "Ann"},
        {"role": "user", "content": contains("H")},
        contains("H"),
        like({"role": "user"}),
        like("H"),
        like(Message(role="user")),
    ],
)
def test_forms_of_a_message(wanted: object) -> None:
    """Our class, the SDK's mapping, a pair, a text, a matcher."""
    expected = [wanted] if not isinstance(wanted, type(contains("x"))) else like([wanted])

    assert differences({"messages": expected}, call(messages=(USER,))) == []


@pytest.mark.parametrize(
    "wanted",
    [
        ASKED,
        Message(role="assistant", calls=(ToolCall("f", '{"days": [1, 2], "city": "Rome"}'),)),
        {"role": "assistant", "calls": [("f", {"city": "Rome", "days": [1.0, 2.0]})]},
        {"role": "assistant", "content": None, "tool_calls": ["f"]},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"city":"Rome","days":[1,2]}'},
                }
            ],
        },
        {"role": "model", "calls": [{"type": "tool_use", "name": "f", "input": {"city": "Rome", "days": [1, 2]}}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"city": "Rome", "days": [1, 2]}}],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"city": "Rome", "days": [1, 2]}}}]},
        like({"calls": [("f", {"city": "Rome"})]}),
    ],
)
def test_forms_of_tool_calls(wanted: object) -> None:
    """Arguments are JSON, however they are written; an id that is not given does not count."""
    assert messages(USER, wanted, RESULT, got=(USER, ASKED, RESULT)) == []


def test_forms_of_tool_results() -> None:
    """Name and id count where they are given."""
    for wanted in (
        {"role": "tool", "content": "21"},
        {"role": "tool", "tool_call_id": "call_1", "content": "21"},
        {"role": "tool", "tool": "f", "content": "21"},
        {"role": "function", "name": "f", "content": "21"},
    ):
        assert messages(USER, ASKED, wanted, got=(USER, ASKED, RESULT)) == []
    assert messages(
        USER, ASKED, {"role": "tool", "tool_call_id": "call_2", "content": "21"}, got=(USER, ASKED, RESULT)
    ) == ["messages[2] tool: call_id: expected 'call_2', got 'call_1'"]


@pytest.mark.parametrize("wrong", [3, ["a", "b", "c"], {"role": "user", "txt": "Hi"}])
def test_what_is_no_message(wrong: object) -> None:
    """A mistake in the test is no difference."""
    with pytest.raises(TypeError, match=r"message is expected as|has no member 'txt'"):
        messages(wrong, got=(USER,))
    with pytest.raises(TypeError, match="expected as a list"):
        differences({"messages": "Hi"}, call())
    with pytest.raises(TypeError, match="tool call is expected as"):
        messages({"role": "assistant", "calls": [3]}, got=(ASKED,))


def test_messages_are_put_side_by_side_by_role_and_order() -> None:
    """One that is missing does not make all after it wrong."""
    got = (USER, ASKED, RESULT, Message(role="assistant", text="Warm."))

    lines = messages(
        Message(role="system", text="Brief."),
        USER,
        ("assistant", "Let me see."),
        {"role": "tool", "content": "22"},
        ("assistant", "Warm."),
        got=got,
    )

    assert lines == [
        "messages: a message is missing, expected system: 'Brief.'",
        "messages[1] assistant: text: expected 'Let me see.', got ''",
        'messages[1] assistant: calls.f: not expected, got {"city":"Rome","days":[1,2]}',
        "messages[2] tool: text: expected '22', got '21'",
    ]


def test_roles_are_not_mixed() -> None:
    """The same words of another are another message; without a role anyone may have said them."""
    assert messages(("user", "Hi"), got=(Message(role="assistant", text="Hi"),)) == [
        "messages: a message is missing, expected user: 'Hi'",
        "messages[0] assistant: not expected, got 'Hi'",
    ]
    assert messages({"content": "Hi"}, got=(Message(role="assistant", text="Hi"),)) == []


def test_what_a_mapping_leaves_out_is_not_there() -> None:
    """Unless it says so with `like`."""
    got = Message(role="assistant", text="Hi", reasoning="Hm", calls=(ToolCall("f"),))

    assert messages({"role": "assistant", "content": "Hi"}, got=(got,)) == [
        "messages[0] assistant: reasoning: expected '', got 'Hm'",
        "messages[0] assistant: calls.f: not expected, got {}",
    ]
    assert messages(like({"role": "assistant", "content": "Hi"}), got=(got,)) == []


def test_a_message_that_is_too_much() -> None:
    """It is named, and shown in short."""
    assert messages(USER, got=(USER, ASKED, Message(role="user", text=LONG))) == [
        "messages[1] assistant: not expected, got calls of f",
        f"messages[2] user: not expected, got {repr(LONG)[:69]}...",
    ]


def test_the_nearest_of_equal_roles_are_compared() -> None:
    """Of two user messages, the one that is most alike is held against the expected one."""
    got = (Message(role="user", text="Tell me the weather in Paris"), Message(role="user", text="Thanks a lot!"))

    assert messages(("user", "Thanks a lot."), got=got) == [
        "messages[0] user: not expected, got 'Tell me the weather in Paris'",
        "messages[1] user: text: expected 'Thanks a lot.', got 'Thanks a lot!'",
    ]


def test_some_messages_among_others() -> None:
    """`like([...])` names those that count, in their order."""
    got = (USER, ASKED, RESULT, Message(role="assistant", text="It is warm."))

    assert differences({"messages": like([{"role": "assistant", "calls": ["f"]}, "warm"])}, call(messages=got)) == []
    assert differences({"messages": like(["warm", "Hi"])}, call(messages=got)) == [
        "messages: a message is missing, expected any role: 'Hi'"
    ]
    assert differences({"results": [("tool", "21")]}, call(messages=got[:3])) == []


def test_tool_calls_are_compared_by_name() -> None:
    """Each with its own arguments, by path."""
    got = [ToolCall("f", {"a": {"b": 1}}), ToolCall("g", "{}"), ToolCall("f", {"a": {"b": 2}}, "id2")]

    assert tool_calls("calls", [("f", {"a": {"b": 1}}), "g", ("f", '{"a": {"b": 2}}')], got) == []
    assert tool_calls("calls", [("f", {"a": {"b": 3}}), ("f", {"a": {"b": 1}}), "h"], got) == [
        "calls.f.a.b: expected 3, got 1",
        "calls.f.a.b: expected 1, got 2",
        "calls.h: missing, got f, g, f",
        "calls.g: not expected, got {}",
    ]
    assert tool_calls("calls", ["g", ("f", {"a": {"b": 1}}), "f"], got) == [
        "calls: expected in the order g, f, f, got f, g, f"
    ]
    assert tool_calls("calls", like([("f", {"a": {}})]), got) == []
    assert tool_calls("calls", [], []) == []
    assert tool_calls("calls", ToolCall("f", {"a": {"b": 2}}, "id3"), got[2:]) == [
        "calls.f id: expected 'id3', got 'id2'"
    ]


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ("f", []),
        (["f"], []),
        ({"f"}, []),
        ({"f": SCHEMA}, []),
        ([{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}], []),
        ([{"name": "f", "input_schema": SCHEMA}], []),
        (like(["f"]), []),
        (like({"f": {"properties": {"city": {}}}}), []),
        (["f", "g"], ["tools.g: missing, got f"]),
        ([], ["tools.f: not expected"]),
        (
            {"f": {"type": "object", "properties": {"city": {"type": "number"}}}},
            ["tools.f.properties.city.type: expected 'number', got 'string'"],
        ),
    ],
)
def test_tools(wanted: object, lines: list[str]) -> None:
    """By name, their schemas by path."""
    assert differences({"tools": wanted}, call(tools={"f": SCHEMA})) == lines


def test_what_is_no_tool() -> None:
    """A mistake in the test."""
    for wrong in (3, [3]):
        with pytest.raises(TypeError, match="expected as"):
            differences({"tools": wrong}, call())


def test_never_a_wall() -> None:
    """Twenty lines, none of them long, whatever differs."""
    got = call(messages=tuple(Message(role="user", text=f"{number} {LONG}") for number in range(80)))

    lines = differences({"messages": [("user", f"{LONG} {number}") for number in range(60)]}, got)

    assert len(lines) == 21
    assert lines[-1] == "and 60 more differences"
    assert max(map(len, lines)) < 220
