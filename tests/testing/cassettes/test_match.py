"""Which recorded answer a request gets, and what is said when it gets none."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw_testing.cassettes.format import Interaction, compact
from compatgw_testing.cassettes.match import Matcher, key_of, told
from compatgw_testing.cassettes.secrets import hidden
from tests.testing.cassettes.upstreams import HI, answered, asked


def say(text: str) -> dict[str, object]:
    """A chat request."""
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}


@given(st.permutations(["model", "messages", "tools", "temperature"]))
def test_the_order_of_members_does_not_count(order: list[str]) -> None:
    """Nor do spaces, nor whether a number is written with a point."""
    body = {**say("Hi"), "tools": [{"type": "function", "function": {"name": "a"}}], "temperature": 1}
    other = {name: body[name] for name in order} | {"temperature": 1.0}

    assert key_of(asked(json.dumps(other, indent=1).encode())) == key_of(asked(body))


@pytest.mark.parametrize(
    "other",
    [
        asked(say("Ho")),
        asked({**HI, "stream": True}),
        asked({**HI, "temperature": True}),
        asked(HI, path="/v1/responses"),
        asked(HI, service="groq"),
        asked(HI, query=(("alt", "sse"),)),
        asked({**HI, "messages": [*say("Hi")["messages"], {"role": "user", "content": "Hi"}]}),  # type: ignore[misc]
    ],
)
def test_what_is_asked_counts(other: object) -> None:
    """Text, parameters, path, service and query tell requests apart."""
    assert key_of(other) != key_of(asked({**HI, "temperature": 1}))  # type: ignore[arg-type]
    assert key_of(other) != key_of(asked(HI))  # type: ignore[arg-type]


def test_who_asks_does_not_count() -> None:
    """Names of users, keys in the query, and what else one says is volatile."""
    named = asked({**HI, "user": "a", "metadata": {"b": "c"}}, query=(("key", "secret"),))

    assert key_of(named) == key_of(asked(HI))
    assert Matcher([answered(asked({**HI, "trace": 1}), b"x")], volatile=["trace"]).take(asked(HI)) is not None
    assert Matcher([answered(asked({**HI, "trace": 1}), b"x")]).take(asked(HI)) is None


def test_an_escaped_path_is_the_path() -> None:
    """Clients differ in what they escape."""
    assert key_of(asked(HI, path="/v1/models/a%3Ab")) == key_of(asked(HI, path="/v1/models/a:b"))


def test_forms_are_compared_without_their_boundary() -> None:
    """It is chosen anew for each request."""

    def form(boundary: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        body = f'--{boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--{boundary}--\r\n'.encode()
        return body, (("content-type", f"multipart/form-data; boundary={boundary}"),)

    one, other = (asked(body, headers=headers) for body, headers in (form("abc"), form("xyz-1")))

    assert key_of(one) == key_of(other)


def test_secrets_of_any_length_are_the_same() -> None:
    """The key in a prompt when it was recorded is another one than in replay."""
    keys = ["sk-" + "a1" * 12, "sk-" + "b2" * 20]

    one, other = (asked(hidden(compact(say(f"my key is {key}, thanks")))) for key in keys)

    assert one != other
    assert key_of(one) == key_of(other)


@given(st.permutations(range(6)))
def test_different_requests_come_in_any_order(order: list[int]) -> None:
    """Each gets its own answer."""
    matcher = Matcher([answered(asked(say(str(number))), str(number).encode()) for number in range(6)])

    for number in order:
        taken = matcher.take(asked(say(str(number))))
        assert taken is not None
        assert taken.body == str(number).encode()
    assert matcher.unused == ()


def test_equal_requests_get_their_answers_in_order_whoever_asks() -> None:
    """From several threads at once: each answer once, none twice, and then no more."""
    matcher = Matcher([answered(asked(), str(number).encode()) for number in range(200)])
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(mine: list[int]) -> None:
        while (one := matcher.take(asked())) is not None:
            mine.append(int(one.body))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(number for mine in taken for number in mine) == list(range(200))
    assert all(mine == sorted(mine) for mine in taken)


def test_repeats_give_the_last_answer_again() -> None:
    """Where that is asked for; to no request that was never recorded."""
    matcher = Matcher([answered(asked(), b"1"), answered(asked(), b"2")], repeats=True)

    assert [one.body for one in (matcher.take(asked()) for _ in range(4)) if one] == [b"1", b"2", b"2", b"2"]
    assert matcher.take(asked(say("Ho"))) is None


def test_a_miss_names_the_three_nearest_and_how_they_differ() -> None:
    """Nearest first; in words, and by the place in the body."""
    matcher = Matcher(
        [
            answered(asked({"input": "x"}, path="/v1/embeddings"), b""),
            answered(asked({**say("Hello there"), "temperature": 0.5, "seed": 1}), b""),
            answered(asked(say("Hello there")), b""),
            answered(asked(say("Hello"), service="groq"), b""),
        ]
    )
    matcher.take(asked(say("Hello there")))

    lines = matcher.miss(asked(say("Hello you"))).splitlines()

    assert lines[0] == "nothing recorded answers POST openai /v1/chat/completions, model gpt-4o-mini, 'Hello you'"
    assert lines[1] == "  3. POST openai /v1/chat/completions, model gpt-4o-mini, 'Hello there', given already"
    assert lines[2] == "       body.messages[0].content: recorded 'Hello there', got 'Hello you'"
    assert lines[3].startswith("  2. ")
    assert [line for line in lines if line.startswith("  ") and line[2].isdigit()][2].startswith("  1. ")
    assert any("path: recorded /v1/embeddings" in line for line in lines)


def test_a_miss_of_a_request_that_was_answered_says_so() -> None:
    """One more time than it was recorded."""
    matcher = Matcher([answered(asked(), b"")])
    matcher.take(asked())

    assert "the same request, but its answer was given already" in matcher.miss(asked())
    assert matcher.miss(asked()).count("\n") == 1
    assert Matcher([]).miss(asked()).endswith("the cassette is empty")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, "'Hi'"),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
            "model m, 'Hi'",
        ),
        ({"model": "m", "stream": True, "messages": []}, "model m, streamed"),
        (b"\xff", ""),
    ],
)
def test_a_request_is_told_in_one_line(body: object, words: str) -> None:
    """The model, and the last text that was said, in every dialect."""
    assert told(asked(body)) == ", ".join(filter(None, ["POST openai /v1/chat/completions", words]))


def test_interactions_keep_their_order() -> None:
    """Those that nobody asked for, whatever the order of the others."""
    made: list[Interaction] = [answered(asked(say(str(number))), b"") for number in range(4)]
    matcher = Matcher(made)
    matcher.take(made[3].request)
    matcher.take(made[1].request)

    assert matcher.unused == (made[0], made[2])
