"""The failures that gateways in front of this vendor are known for, one test each."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.gemini import DIALECT
from compatgw.errors import UpstreamFailure, UpstreamRateLimited, UpstreamRejected
from compatgw.surfaces.chat import parse
from tests.properties.judges import assembled, drive

from .answers import call, candidate, context, response, sse, text
from .asking import HI, NEW, SIGNATURE, calling, contents, result, send, sent, user
from .asking import call as hub_call


def streamed(*responses: dict[str, Any]) -> dict[str, Any]:
    assert DIALECT.chat is not None
    return assembled(drive(DIALECT.chat.stream(context()), [sse(*responses)]))


def decoded(value: Any) -> dict[str, Any]:
    assert DIALECT.chat is not None
    return dict(DIALECT.chat.decode(orjson.dumps(value), context()).completion)


def test_an_answer_with_calls_does_not_just_stop() -> None:
    """Agents would stop without running the tools: Gemini's word for both is STOP."""
    assert decoded(response(candidate(call("a"))))["choices"][0]["finish_reason"] == "tool_calls"


def test_calls_are_remembered_until_the_last_chunk() -> None:
    """The end comes later, with an empty text, and knows nothing of calls."""
    found = streamed(response(candidate(call("a"), finish=None)), response(candidate(text(""))))

    assert found["choices"][0]["finish_reason"] == "tool_calls"


def test_totals_are_not_added_up_over_chunks() -> None:
    """They are cumulative: added up, callers would pay many times."""
    counts = [
        {"promptTokenCount": p, "candidatesTokenCount": c, "totalTokenCount": p + c}
        for p, c in ((55, 1), (55, 5), (257, 9))
    ]
    responses = [{**response(candidate(text("a"), finish=None)), "usageMetadata": usage} for usage in counts]

    found = streamed(*responses, {**response(candidate()), "usageMetadata": {}})["usage"]
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (257, 9, 266)


def test_thinking_counts_as_completion() -> None:
    """Otherwise it is free, and the parts do not make the total."""
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 20, "totalTokenCount": 35}
    found = decoded({**response(candidate(text("a"))), "usageMetadata": usage})["usage"]

    assert found["prompt_tokens"] + found["completion_tokens"] == found["total_tokens"] == 35
    assert found["completion_tokens_details"]["reasoning_tokens"] == 20


@pytest.mark.parametrize("content", ["sunny", "4", "null", "[1]", '"x"'])
def test_a_result_is_never_a_text(content: str) -> None:
    """It is a 400 on every loop of tools."""
    found = contents(user("a"), calling(hub_call("c1")), result("c1", content))

    assert isinstance(found[2]["parts"][0]["functionResponse"]["response"], dict)


def test_signatures_survive_the_way_through_the_front_door() -> None:
    """A request model that drops unknown members works for 2.5 and fails at the second turn of Gemini 3."""
    made = hub_call("c1", extra_content={"google": {"thought_signature": SIGNATURE}})
    body = {"model": "google/x", "messages": [*HI, calling(made), result("c1")]}
    parsed = parse(orjson.dumps(body)).request

    found = send(dict(parsed), NEW)[0]["contents"]
    assert found[1]["parts"][0]["thoughtSignature"] == SIGNATURE


def test_a_signature_goes_back_to_the_call_that_it_came_with() -> None:
    """On any other parallel call it is a 400."""
    assert DIALECT.chat is not None
    answer = decoded(response(candidate({**call("a"), "thoughtSignature": SIGNATURE}, call("b"))))
    message = answer["choices"][0]["message"]
    shuffled = {**message, "tool_calls": message["tool_calls"][::-1]}
    results = [result(c["id"]) for c in message["tool_calls"]]

    for history, expected in ((message, [SIGNATURE, None]), (shuffled, [None, SIGNATURE])):
        parts = contents(user("x"), history, *results, model="gemini-2.5-flash")[1]["parts"]
        assert [part.get("thoughtSignature") for part in parts] == expected


def test_an_empty_text_is_kept_for_its_signature() -> None:
    """Without it answers get worse, and nobody sees why."""
    answer = streamed(
        response(candidate(text("a"), finish=None)), response(candidate({**text(""), "thoughtSignature": SIGNATURE}))
    )
    message = {"role": "assistant", "content": "a", "extra_content": answer["choices"][0]["message"]["extra_content"]}

    assert contents(user("x"), message, user("y"))[1]["parts"] == [{"text": "a", "thoughtSignature": SIGNATURE}]


def test_an_error_in_a_list_is_the_error_in_it() -> None:
    """Else a limit becomes a fault of ours."""
    body = [{"error": {"code": 429, "message": "Busy.", "status": "RESOURCE_EXHAUSTED"}}]
    assert DIALECT.chat is not None

    assert isinstance(DIALECT.chat.error(429, {}, orjson.dumps(body), context().target), UpstreamRateLimited)
    with pytest.raises(UpstreamRateLimited):
        decoded(body)


def test_our_bad_key_is_not_the_callers_bad_request() -> None:
    """Gemini answers 400 to it, not 401."""
    body = {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"reason": "API_KEY_INVALID"}],
        }
    }
    assert DIALECT.chat is not None
    found = DIALECT.chat.error(400, {}, orjson.dumps(body), context().target)

    assert found.status == 502
    assert "valid API key" not in found.message


def test_a_blocked_prompt_has_no_candidates() -> None:
    """That is the caller's 400, not a fault of ours."""
    with pytest.raises(UpstreamRejected):
        decoded({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}})


def test_a_candidate_without_an_index_is_the_first() -> None:
    """Zero is a default, and left out."""
    bare = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}

    assert decoded(bare)["choices"][0]["index"] == 0
    assert streamed(bare)["choices"][0]["index"] == 0


def test_additional_properties_never_reach_the_older_schema() -> None:
    """`Unknown name` is a 400."""
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "object", "additionalProperties": False}},
                "additionalProperties": False,
            },
        },
    }
    declaration = sent("gemini-1.5-pro", tools=[tool])["tools"][0]["functionDeclarations"][0]

    assert b"additionalProperties" not in orjson.dumps(declaration)


def test_a_stream_asks_for_events() -> None:
    """Else there is no chunk until the end; and what comes then is read all the same."""
    assert send({"stream": True})[1].path.endswith(":streamGenerateContent?alt=sse")
    assert DIALECT.chat is not None
    body = orjson.dumps([response(candidate(text("a"), finish=None)), response(candidate(text("b")))])
    assert assembled(drive(DIALECT.chat.stream(context()), [body]))["choices"][0]["message"]["content"] == "ab"


def test_a_broken_call_is_worth_another_try() -> None:
    """It is frequent, and usually cured by one."""
    with pytest.raises(UpstreamFailure) as caught:
        decoded({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "print(x"}]})

    assert (caught.value.status, caught.value.should_retry) == (502, None)
