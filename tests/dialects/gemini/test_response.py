"""Whole answers, judged by the OpenAI SDK's own types: the tables of parts, endings, totals and sources."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Context, Target
from compatgw.dialects.gemini import DIALECT
from compatgw.errors import Blame, GatewayError, UpstreamFailure, UpstreamRateLimited, UpstreamRejected
from tests.properties.judges import whole

from .answers import PNG, call, candidate, context, response, text, thought


def decoded(
    *responses: Any, memo: dict[str, Any] | None = None, model: str = "gemini-3.7-flash", **traits: Any
) -> dict[str, Any]:
    """The answer, as the OpenAI SDK reads it and as we wrote it."""
    assert DIALECT.chat is not None
    body = orjson.dumps(responses[0] if len(responses) == 1 else list(responses))
    answer = DIALECT.chat.decode(body, context(memo, model, **traits))
    whole(answer)
    assert answer.raw is None
    return dict(answer.completion)


def message(*parts: dict[str, Any], memo: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The message that parts become."""
    found: dict[str, Any] = decoded(response(candidate(*parts, **more)), memo=memo)["choices"][0]["message"]
    return found


# --- identity and choices --------------------------------------------------------------------


def test_an_answer_has_the_upstreams_identity() -> None:
    """Its id, the model that really ran, its time."""
    found = decoded(response(candidate(text("Hi")), createTime="2025-08-19T14:55:25.379701Z"))

    assert found["id"] == "chatcmpl-R1"
    assert found["model"] == "gemini-3.7-flash-001"
    assert found["created"] == 1755615325


@pytest.mark.parametrize("time", [None, 3, "yesterday", "2025-08-19T14:55:25"])
def test_an_answer_without_identity_has_ours(time: Any) -> None:
    """A time without its zone is none."""
    found = decoded({"candidates": [candidate(text("Hi"))], "createTime": time})

    assert (found["id"], found["model"], found["created"]) == ("chatcmpl-ours", "gemini-3.7-flash", 1_780_000_000)
    assert "usage" not in found


def test_several_candidates_are_one_choice_each() -> None:
    """By their index, which is left out when it is 0, and by some hosts always."""
    given_ = [{**candidate(text("a"))}, {**candidate(text("b")), "index": 1}]
    bare = [{k: v for k, v in c.items() if k != "index"} for c in given_]

    for candidates in (given_, bare, given_[::-1]):
        found = decoded({"candidates": candidates})
        assert [(c["index"], c["message"]["content"]) for c in found["choices"]] == [(0, "a"), (1, "b")]


def test_a_list_of_responses_is_one_answer() -> None:
    """The endpoint for streams sends one when it was not asked for events, some hosts a list of one."""
    first, second = response(candidate(text("a"), finish=None)), response(candidate(text("b")))

    assert decoded(first, second)["choices"][0]["message"]["content"] == "ab"
    assert decoded([response(candidate(text("a")))])["choices"][0]["message"]["content"] == "a"


# --- parts -----------------------------------------------------------------------------------


def test_text_is_joined_without_a_separator_and_thoughts_stand_apart() -> None:
    """Under both names that clients read."""
    found = message(thought("Hm"), thought("."), text("a"), text(""), text("b"))

    assert found == {
        "role": "assistant",
        "content": "ab",
        "refusal": None,
        "reasoning_content": "Hm.",
        "reasoning": "Hm.",
    }


@pytest.mark.parametrize("content", [{}, {"role": "model"}, {"parts": []}, None, {"parts": [{}]}])
def test_an_answer_may_have_no_content_at_all(content: Any) -> None:
    """Thinking used up the limit; nobody is at fault."""
    found = decoded({"candidates": [{"content": content, "finishReason": "MAX_TOKENS"}]})

    assert found["choices"][0]["message"]["content"] == ""
    assert found["choices"][0]["finish_reason"] == "length"


def test_calls_have_arguments_as_text_and_signatures_in_two_places() -> None:
    """Arguments may be absent; letters stay letters."""
    found = message(thought("Hm"), {**call("weather", {"city": "Tromsø"}), "thoughtSignature": "c2ln"}, call("time"))

    assert found["content"] is None
    assert [c["function"] for c in found["tool_calls"]] == [
        {"name": "weather", "arguments": '{"city":"Tromsø"}'},
        {"name": "time", "arguments": "{}"},
    ]
    first, second = found["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert "extra_content" not in second
    assert found["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "c2ln", "id": first["id"], "format": "google-gemini-v1", "index": 0}
    ]


def test_a_signature_of_the_text_is_the_messages() -> None:
    """Also when the part that carries it is empty."""
    for parts in ([{**text("a"), "thoughtSignature": "c2ln"}], [text("a"), {**text(""), "thoughtSignature": "c2ln"}]):
        found = message(*parts)
        assert found["content"] == "a"
        assert found["extra_content"] == {"google": {"thought_signature": "c2ln"}}
        assert found["reasoning_details"] == [
            {"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1", "index": 0}
        ]


def test_made_up_ids_are_the_same_for_the_same_answer() -> None:
    """Of the response's id, the candidate and the ordinal; two calls of one function differ."""
    parts = [call("time"), call("time")]
    once, again = message(*parts), message(*parts)
    ids = [c["id"] for c in once["tool_calls"]]

    assert ids == [c["id"] for c in again["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(len(id) == 29 and id.startswith("call_") for id in ids)


def test_ids_of_the_upstream_are_kept() -> None:
    """Newer models give them."""
    assert message({"functionCall": {"id": "g98os1Jf", "name": "time"}})["tool_calls"][0]["id"] == "g98os1Jf"


def test_without_a_response_id_ids_are_made_of_the_call() -> None:
    """And of the attempt, so that another answer has others."""
    body = {"candidates": [candidate(call("time"), call("time"))]}
    ids = [c["id"] for c in decoded(body)["choices"][0]["message"]["tool_calls"]]

    assert len(set(ids)) == 2


def test_images_stand_beside_the_text() -> None:
    """Their signature with them."""
    part = {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "c2ln"}
    draft = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
    found = message(text("There."), draft, part)

    assert found["content"] == "There."
    assert found["images"] == [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{PNG}"},
            "index": 0,
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        }
    ]


def test_spoken_answers_are_files_or_samples() -> None:
    """Samples get the header that makes them a WAV file, unless samples were asked for."""
    part = {
        "inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(b"\x01\x02" * 4).decode()}
    }
    wav = base64.b64decode(message(part)["audio"]["data"])

    assert (wav[:4], wav[8:16], wav[44:]) == (b"RIFF", b"WAVEfmt ", b"\x01\x02" * 4)
    assert int.from_bytes(wav[24:28], "little") == 24000
    assert base64.b64decode(message(part, part, memo={"audio": "pcm16"})["audio"]["data"]) == b"\x01\x02" * 8
    mp3 = {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}}
    assert message(mp3)["audio"]["data"] == "SUQz"


def test_code_that_was_run_is_shown_unless_configuration_hides_it() -> None:
    """As fenced blocks, in their place."""
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)\n"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        text("One."),
    ]

    assert message(*parts)["content"] == "```python\nprint(1)\n```\n\n```\n1\n```\nOne."
    hidden = decoded(response(candidate(*parts)), code_text=False)
    assert hidden["choices"][0]["message"]["content"] == "One."


def test_a_sound_that_is_none_is_a_failure() -> None:
    """It cannot become a file."""
    with pytest.raises(UpstreamFailure):
        message({"inlineData": {"mimeType": "audio/L16", "data": "A"}})


def test_arguments_that_nest_too_deep_are_a_failure() -> None:
    """They could not be written again."""
    deep: dict[str, Any] = {}
    for _ in range(230):
        deep = {"a": deep}
    body = orjson.dumps(response(candidate(call("a", deep)))).replace(b"{}", b"[" * 60 + b"]" * 60)
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamFailure, match="too deep"):
        DIALECT.chat.decode(body, context())


def test_pieces_of_no_call_are_skipped() -> None:
    """An end of a call that never began."""
    assert message({"functionCall": {}}, text("a"))["content"] == "a"


def test_parts_that_nobody_knows_are_skipped() -> None:
    """Server tools, and whatever comes tomorrow."""
    assert message({"toolCall": {"id": "a"}}, {"toolResponse": {}}, {"new": 1}, text("a"), 3)["content"] == "a"  # type: ignore[arg-type]


# --- the memo --------------------------------------------------------------------------------


def test_sent_names_become_the_callers_again() -> None:
    """The stand-in is never seen."""
    assert message(call("_2fa"), memo={"names": {"_2fa": "2fa"}})["tool_calls"][0]["function"]["name"] == "2fa"


def test_custom_tools_get_their_plain_input() -> None:
    """Or all arguments, should the model have invented others."""
    memo = {"custom": ("sql",)}

    assert message(call("sql", {"input": "select 1"}), memo=memo)["tool_calls"][0]["custom"] == {
        "name": "sql",
        "input": "select 1",
    }
    assert message(call("sql", {"q": 1}), memo=memo)["tool_calls"][0]["custom"] == {"name": "sql", "input": '{"q":1}'}


def test_the_oldest_form_is_answered_in_kind() -> None:
    """One call, without an id."""
    found = decoded(response(candidate(call("time"), call("time"))), memo={"legacy": True, "single_call": True})

    assert found["choices"][0]["message"]["function_call"] == {"name": "time", "arguments": "{}"}
    assert "tool_calls" not in found["choices"][0]["message"]
    assert found["choices"][0]["finish_reason"] == "function_call"


def test_only_the_first_call_is_kept_where_parallel_ones_were_switched_off() -> None:
    """It is the one with the signature."""
    found = message({**call("a"), "thoughtSignature": "c2ln"}, call("b"), memo={"single_call": True})

    assert [c["function"]["name"] for c in found["tool_calls"]] == ["a"]


def test_arguments_of_the_answering_function_are_the_answer() -> None:
    """No call is seen, and the answer just stops."""
    found = decoded(response(candidate(call("json_response", {"city": "Oslo"}))), memo={"json_tool": "json_response"})

    assert found["choices"][0]["message"]["content"] == '{"city":"Oslo"}'
    assert "tool_calls" not in found["choices"][0]["message"]
    assert found["choices"][0]["finish_reason"] == "stop"


# --- how it ended ----------------------------------------------------------------------------

BLOCKED = [
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION",
]  # fmt: skip
UNSURE = [
    "LANGUAGE",
    "OTHER",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "PUP_LIMITED_DISABLED",
    "FINISH_REASON_UNSPECIFIED",
    "TOMORROW",
    17,
    None,
]
BROKEN = [
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("STOP", "stop"), (1, "stop"), ("MAX_TOKENS", "length"), (2, "length"), ("CONTINUATION", "length"),
        *((word, "content_filter") for word in BLOCKED), *((word, "stop") for word in UNSURE),
    ],
)  # fmt: skip
def test_every_ending_has_its_reason(word: Any, expected: str) -> None:
    """What was said until then is kept."""
    found = decoded(response(candidate(text("a"), finish=word)))["choices"][0]

    assert (found["finish_reason"], found["message"]["content"]) == (expected, "a")


def test_calls_decide_the_reason_unless_the_answer_was_cut() -> None:
    """Gemini has no word for calls."""
    for word, expected in (
        ("STOP", "tool_calls"),
        ("OTHER", "tool_calls"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
    ):
        assert decoded(response(candidate(call("time"), finish=word)))["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize("word", BLOCKED)
def test_a_blocked_answer_may_be_empty(word: str) -> None:
    """That is an answer, not a failure."""
    found = decoded({"candidates": [{"content": {}, "finishReason": word}]})["choices"][0]

    assert (found["finish_reason"], found["message"]["content"]) == ("content_filter", "")


@pytest.mark.parametrize("word", [*UNSURE, *BROKEN])
def test_an_ending_without_anything_to_use_is_a_failure(word: Any) -> None:
    """Of the upstream, worth another try, with what it says about it."""
    given_ = {"candidates": [{"finishReason": word, "finishMessage": "Bad luck."}]}
    with pytest.raises(UpstreamFailure, match=r"Bad luck\.") as caught:
        decoded(given_)

    assert (caught.value.status, caught.value.code, caught.value.blame) == (502, "upstream_error", Blame.UPSTREAM)
    assert caught.value.should_retry is None


@pytest.mark.parametrize("word", BROKEN)
def test_a_broken_call_is_a_failure_whatever_was_said_before(word: str) -> None:
    """The answer would be something else than the model wanted."""
    with pytest.raises(UpstreamFailure, match=word):
        decoded(response(candidate(text("a"), finish=word)))


def test_an_answer_that_may_go_on_says_how() -> None:
    """In the message's `extra_content`."""
    found = decoded(response(candidate(text("a"), finish="CONTINUATION", continuationToken="dG9r")))["choices"][0]

    assert found["message"]["extra_content"] == {"google": {"continuation_token": "dG9r"}}


@pytest.mark.parametrize(
    "reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"]
)
def test_a_blocked_prompt_is_the_callers(reason: str) -> None:
    """There are no candidates then, which is no reason to fail ourselves."""
    with pytest.raises(UpstreamRejected, match=reason) as caught:
        decoded(
            {
                "promptFeedback": {"blockReason": reason, "blockReasonMessage": "Why."},
                "usageMetadata": {"promptTokenCount": 4},
            }
        )

    assert (caught.value.status, caught.value.code, caught.value.blame) == (400, "content_blocked", Blame.CALLER)
    assert caught.value.envelope()["error"]["type"] == "invalid_request_error"


# --- totals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}, (5, 3, 8, 0, 0)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 12}, (5, 7, 12, 0, 7)),
        ({"promptTokenCount": 258, "candidatesTokenCount": 44, "toolUsePromptTokenCount": 1479, "thoughtsTokenCount": 250, "totalTokenCount": 2031}, (1737, 294, 2031, 0, 250)),
        ({"promptTokenCount": 341, "cachedContentTokenCount": 92, "candidatesTokenCount": 1}, (341, 1, 342, 92, 0)),
        ({"promptTokenCount": -4, "candidatesTokenCount": "x"}, (0, 0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_totals_are_openais(given: dict[str, Any], expected: tuple[int, ...]) -> None:
    """Thinking is completion, what tools read is prompt, cached tokens are part of the prompt."""
    found = decoded(response(candidate(text("a")), usageMetadata=given))["usage"]

    assert expected == (
        found["prompt_tokens"],
        found["completion_tokens"],
        found["total_tokens"],
        found["prompt_tokens_details"]["cached_tokens"],
        found["completion_tokens_details"]["reasoning_tokens"],
    )


def test_tokens_of_sounds_and_images_are_told_apart() -> None:
    """Hosts write modalities as words or as numbers."""
    usage = {
        "promptTokenCount": 30,
        "candidatesTokenCount": 20,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 25}],
        "candidatesTokensDetails": [{"modality": 2, "tokenCount": 20}, {"modality": "IMAGE"}],
    }
    found = decoded(response(candidate(text("a")), usageMetadata=usage))["usage"]

    assert found["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 25}
    assert found["completion_tokens_details"] == {"reasoning_tokens": 0, "image_tokens": 20}


def test_the_tier_that_served_is_told_in_openais_word() -> None:
    """Their standard is OpenAI's default."""
    for tier, expected in (("standard", "default"), ("flex", "flex"), ("priority", "priority")):
        usage = {"promptTokenCount": 1, "serviceTier": tier}
        assert decoded(response(candidate(text("a")), usageMetadata=usage))["service_tier"] == expected


# --- sources and probabilities ---------------------------------------------------------------


def support(start: int, end: int, words: str | None, *chunks: int, part: int | None = None) -> dict[str, Any]:
    segment = {"startIndex": start, "endIndex": end, "text": words, "partIndex": part}
    return {"segment": {k: v for k, v in segment.items() if v}, "groundingChunkIndices": list(chunks)}


CHUNKS = [
    {"web": {"uri": "https://a.example", "title": "A"}},
    {"retrievedContext": {"fileSearchStore": "stores/b"}},
    {"maps": {"uri": "https://m.example"}},
]


def sources(parts: list[dict[str, Any]], *supports: dict[str, Any]) -> list[tuple[str, str]]:
    found = message(*parts, groundingMetadata={"groundingChunks": CHUNKS, "groundingSupports": list(supports)})
    marks = [mark["url_citation"] for mark in found.get("annotations", ())]
    return [(found["content"][mark["start_index"] : mark["end_index"]], mark["url"]) for mark in marks]


@pytest.mark.parametrize(
    ("parts", "given", "expected"),
    [
        ([text("Søk på nett")], support(5, 8, "på", 0), [("på", "https://a.example")]),
        ([text("Sun. Rain.")], support(5, 10, "Rain.", 0, 1, 2), [("Rain.", "https://a.example"), ("Rain.", "stores/b"), ("Rain.", "https://m.example")]),
        ([text("Å. "), text("Rain.")], support(0, 5, "Rain.", 0, part=1), [("Rain.", "https://a.example")]),
        ([text("Å. "), text("Rain.")], support(4, 9, "Rain.", 0), [("Rain.", "https://a.example")]),
        ([text("Å. "), text("Rain.")], support(4, 9, "Rain.", 0, part=1), [("Rain.", "https://a.example")]),
        ([text("Å. Ra"), text("in.")], support(4, 9, "Rain.", 0), [("Rain.", "https://a.example")]),
        ([text("Rain.")], support(90, 95, "Rain.", 0), [("Rain.", "https://a.example")]),
        ([text("Rain.")], support(0, 4, None, 0), [("Rain", "https://a.example")]),
        ([text("Rain.")], support(0, 5, "Snow.", 0), []),
        ([text("Rain.")], support(0, 5, "Rain.", 7), []),
        ([{"executableCode": {"language": "PYTHON", "code": "1"}}, text("Å rain.")], support(3, 8, "rain.", 0), [("rain.", "https://a.example")]),
        ([thought("Hm"), text("Rain.")], support(0, 5, "Rain.", 0, part=1), [("Rain.", "https://a.example")]),
    ],
)  # fmt: skip
def test_sources_point_to_the_words_that_they_support(parts: Any, given: dict[str, Any], expected: list[Any]) -> None:
    """Bytes become code points, whether they count from the part or from the beginning of all."""
    assert sources(parts, given) == expected


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=5),
    st.data(),
)
def test_any_segment_is_found_again(texts: list[str], data: st.DataObject) -> None:
    """Wherever it begins and ends, in any script."""
    everything = "".join(texts)
    start = data.draw(st.integers(0, len(everything) - 1))
    end = data.draw(st.integers(start + 1, len(everything)))
    words = everything[start:end]
    first = len(everything[:start].encode())

    assert sources([text(t) for t in texts], support(first, first + len(words.encode()), words, 0)) == [
        (words, "https://a.example")
    ]


def test_metadata_is_given_to_who_asks_for_it() -> None:
    """It is large, and rarely read."""
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    more: dict[str, Any] = {"safetyRatings": ratings, "groundingMetadata": {"webSearchQueries": ["q"]}}

    assert "extra_content" not in message(text("a"), **more)
    found = message(text("a"), memo={"include": ("safety_ratings", "grounding_metadata")}, **more)
    assert found["extra_content"]["google"] == {
        "safety_ratings": ratings,
        "grounding_metadata": {"webSearchQueries": ["q"]},
    }


def test_log_probabilities_are_openais() -> None:
    """A probability of 1 is a logarithm of 0, which is a default and therefore missing."""
    result = {
        "chosenCandidates": [{"token": "Hø", "tokenId": 1, "logProbability": -0.5}, {"token": "!"}],
        "topCandidates": [
            {"candidates": [{"token": "Hø", "logProbability": -0.5}, {"token": "x", "logProbability": -2}]},
            {},
        ],
    }
    found = decoded(response(candidate(text("Hø!"), logprobsResult=result)))["choices"][0]["logprobs"]["content"]

    assert found[0] == {
        "token": "Hø",
        "bytes": [72, 195, 184],
        "logprob": -0.5,
        "top_logprobs": [
            {"token": "Hø", "bytes": [72, 195, 184], "logprob": -0.5},
            {"token": "x", "bytes": [120], "logprob": -2.0},
        ],
    }
    assert (found[1]["logprob"], found[1]["top_logprobs"]) == (0.0, [])


# --- what is no answer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'"x"',
        b"[1]",
        b'{"candidates":[]}',
        b'{"candidates":3}',
        b'{"usageMetadata":{"promptTokenCount":3}}',
    ],
)
def test_json_that_is_no_answer_is_a_failure(body: bytes) -> None:
    """And not one of ours."""
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamFailure) as caught:
        DIALECT.chat.decode(body, context())

    assert (caught.value.status, caught.value.code) == (502, "upstream_error")


def test_an_error_with_a_good_status_is_judged_as_what_it_is() -> None:
    """Also in a list."""
    failed = {
        "error": {
            "code": 429,
            "message": "Slow down.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"retryDelay": "3s"}],
        }
    }
    for body in (failed, [failed]):
        with pytest.raises(UpstreamRateLimited) as caught:
            decoded(body)
        assert caught.value.retry_after == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.sampled_from(["", "a", "STOP", "OTHER", "$.a[0]", "image/png", "3s"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["candidates", "content", "parts", "text", "functionCall", "name", "args", "partialArgs", "jsonPath", "stringValue",
             "willContinue", "inlineData", "mimeType", "data", "finishReason", "index", "usageMetadata", "promptTokenCount",
             "groundingMetadata", "groundingChunks", "groundingSupports", "segment", "endIndex", "groundingChunkIndices",
             "logprobsResult", "chosenCandidates", "topCandidates", "promptFeedback", "blockReason", "error", "code", "message",
             "details", "retryDelay", "violations", "responseId", "createTime", "executableCode"]
        ),
        children,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    json_values,
    st.sampled_from(
        [
            {},
            {"legacy": True},
            {"single_call": True},
            {"json_tool": "a"},
            {"custom": ("a",)},
            {"include": ("grounding_metadata",)},
        ]
    ),
)
def test_any_json_is_an_answer_or_a_failure(value: Any, memo: dict[str, Any]) -> None:
    """Nothing that an upstream sends raises anything else, and every answer can be written."""
    assert DIALECT.chat is not None
    where = Context(Target("Google", "gemini-3.7-flash"), "chatcmpl-ours", 1, memo)
    for wrapped in (
        value,
        {"candidates": [value]},
        {"candidates": [{"content": {"parts": [value]}, "finishReason": "STOP"}]},
    ):
        try:
            orjson.dumps(DIALECT.chat.decode(orjson.dumps(wrapped), where).completion)
        except GatewayError as error:
            assert error.envelope()["error"]["message"]
        DIALECT.chat.error(400, {}, orjson.dumps(wrapped), where.target)
