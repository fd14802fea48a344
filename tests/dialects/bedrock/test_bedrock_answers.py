"""Answers, whole and streamed: text, reasoning, totals, ends; and refusals, before a stream and within one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.bedrock import content
from compatgw.dialects.blocks import thoughts
from compatgw.errors import Blame, StreamInterrupted, UpstreamFailure

from .bedrock_answers import (
    START,
    STOP,
    TOTALS,
    USAGE,
    answer,
    body,
    closed,
    decoded,
    delta,
    event,
    exception,
    framed,
    opened,
    pieces,
    streamed,
    thought,
    use,
)
from .bedrock_asking import CLAUDE, codec, context, encode, sent, target

ORIGIN = thoughts.origin(target())


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
     ("guardrail_intervened", "content_filter"), ("content_filtered", "content_filter"), ("tool_use", "stop"), ("news", "stop")],
)  # fmt: skip
def test_why_an_answer_ended(stop: str, finish: str) -> None:
    """Whether there are calls decides over a word that says otherwise."""
    assert decoded(body({"text": "a"}, stop=stop))["choices"][0]["finish_reason"] == finish
    assert streamed(delta(0, text="a"), stop=stop)["choices"][0]["finish_reason"] == finish
    calls = decoded(body(use(), stop=stop))["choices"][0]["finish_reason"]
    assert calls == ("tool_calls" if finish == "stop" else finish)


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_model_failed_to_write_is_no_answer(stop: str) -> None:
    """The same question may get a better one."""
    with pytest.raises(UpstreamFailure, match=stop):
        decoded(body({"text": "a"}, stop=stop))
    with pytest.raises(UpstreamFailure, match=stop):
        pieces(delta(0, text="a"), stop=stop)


def test_totals_count_the_cache_in() -> None:
    """The service counts it apart, and says how long what was written lasts."""
    usage = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 118, "cacheReadInputTokens": 70, "cacheWriteInputTokens": 40,
             "cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 30}]}  # fmt: skip
    expected = {
        "prompt_tokens": 113, "completion_tokens": 5, "total_tokens": 118,
        "prompt_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 40},
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30},
    }  # fmt: skip
    whole = codec().decode(orjson.dumps(body({"text": "a"}, usage=usage)), context()).completion["usage"]
    decoder = codec().stream(context())
    found = decoder.feed(START + delta(0, text="a") + STOP + event("metadata", usage=usage)) + decoder.finish()

    assert whole == expected
    assert found[-1].chunk == {**found[-1].chunk, "choices": [], "usage": expected}


def test_reasoning_in_all_its_forms() -> None:
    """Plainly, as details with their signature and origin, and as blocks."""
    sealed = {"reasoningContent": {"redactedContent": "c2VhbGVk"}}
    message = answer(thought("Hm", "c2ln"), sealed, {"text": "Yes"})

    assert (message["reasoning_content"], message["reasoning"], message["content"]) == ("Hm", "Hm", "Yes")
    marks = {"format": thoughts.FORMAT, "id": ORIGIN}
    assert message["reasoning_details"] == [
        {"index": 0, "type": "reasoning.text", "text": "Hm", "signature": "c2ln", **marks},
        {"index": 1, "type": "reasoning.encrypted", "data": "c2VhbGVk", **marks},
    ]
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
    ]


def test_streamed_reasoning_can_be_sent_back() -> None:
    """What an SDK accumulates is what the model takes, unchanged."""
    found = streamed(
        delta(0, reasoningContent={"text": "H"}), delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "c2ln"}), closed(0),
        delta(1, reasoningContent={"redactedContent": "c2Vh"}), delta(1, reasoningContent={"redactedContent": "bGVk"}), closed(1),
        delta(2, text="Yes"), closed(2),
    )  # fmt: skip
    message = found["choices"][0]["message"]
    sent_back = sent(
        messages=[
            {"role": "user", "content": "Hi"},
            {**message, "role": "assistant"},
            {"role": "user", "content": "Go on"},
        ]
    )

    assert message["reasoning_content"] == "Hm"
    assert sent_back["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
        {"text": "Yes"},
    ]


def test_hidden_reasoning_keeps_its_signature() -> None:
    """The text stays away; what has to go back does not."""
    asked = context(encode(reasoning={"effort": "low", "exclude": True}))
    whole = answer(thought(), {"text": "Yes"}, asked=asked)
    live = streamed(
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        closed(0),
        delta(1, text="Yes"),
        asked=asked,
    )

    for message in (whole, live["choices"][0]["message"]):
        assert "Hm" not in str(message)
        assert message["reasoning_details"][0]["signature"] == "c2ln"


def test_the_vendors_own_tools_are_not_the_callers() -> None:
    """Neither their calls nor their results."""
    theirs = {
        "toolUse": {
            "toolUseId": "x",
            "name": "nova_code_interpreter",
            "input": {"snippet": "1"},
            "type": "server_tool_use",
        }
    }
    outcome = {
        "toolResult": {"toolUseId": "x", "content": [{"json": {"stdOut": "1"}}], "type": "nova_code_interpreter_result"}
    }
    message = answer(theirs, outcome, {"text": "One"}, use("t"), stop="tool_use")
    live = streamed(
        opened(0, toolUse={"toolUseId": "x", "name": "nova", "type": "server_tool_use"}), delta(0, toolUse={"input": "{}"}), closed(0),
        opened(1, toolResult={"toolUseId": "x"}), delta(1, toolResult=[{"json": {}}]), closed(1),
        delta(2, text="One"), closed(2), opened(3, toolUse={"toolUseId": "t", "name": "get_weather"}), closed(3), stop="tool_use",
    )["choices"][0]["message"]  # fmt: skip

    for found in (message, live):
        assert found["content"] == "One"
        assert [(call["id"], call["function"]["arguments"]) for call in found["tool_calls"]] == [("t", "{}")]


def test_cited_text_and_pictures() -> None:
    """Text is text; addresses become annotations of it; pictures are images."""
    cited: Any = {
        "citationsContent": {
            "content": [{"text": "It is so."}],
            "citations": [{"title": "T", "location": {"web": {"url": "https://x.test/"}}}, {"title": "no address"}],
        }
    }
    picture = {"image": {"format": "png", "source": {"bytes": "aGk="}}}
    message = answer({"text": "Well. "}, cited, picture)
    live = streamed(
        delta(0, text="Well. "), closed(0), delta(1, text="It is so."), delta(1, citation=cited["citationsContent"]["citations"][0]), closed(1),
        opened(2, image={"format": "png"}), delta(2, image={"source": {"bytes": "aGk="}}), closed(2),
    )["choices"][0]["message"]  # fmt: skip

    assert message["content"] == live["content"] == "Well. It is so."
    mark = {"start_index": 6, "end_index": 15, "title": "T", "url": "https://x.test/"}
    for found in (message, live):
        assert [note["url_citation"] for note in found["annotations"]] == [mark]
        assert found["images"][0]["image_url"]["url"] == "data:image/png;base64,aGk="


def test_a_fence_round_json_is_taken_off() -> None:
    """Where bare JSON was asked for."""
    asked = context(encode(response_format={"type": "json_object"}))

    assert answer({"text": '```json\n{"a": 1}\n```'}, asked=asked)["content"] == '{"a": 1}'
    live = streamed(
        delta(0, text="```js"), delta(0, text='on\n{"a"'), delta(0, text=": 1}\n``"), delta(0, text="`"), asked=asked
    )
    assert live["choices"][0]["message"]["content"] == '{"a": 1}'


def test_the_tier_that_served() -> None:
    """Whole and streamed."""
    assert decoded(body({"text": "a"}, serviceTier={"type": "flex"}))["service_tier"] == "flex"
    decoder = codec().stream(context())
    found = decoder.feed(
        START + delta(0, text="a") + STOP + event("metadata", usage=USAGE, serviceTier={"type": "flex"})
    )
    assert found[-1].chunk["service_tier"] == "flex"


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [[], [START], [START, delta(0, text="a"), closed(0)], [START, delta(0, text="a"), STOP], [START, delta(0, text="a"), STOP, TOTALS[:-1]]],
    ids=["nothing", "begun", "without a stop", "without totals", "cut totals"],
)  # fmt: skip
def test_a_stream_without_its_end_is_interrupted(parts: list[bytes]) -> None:
    """The stop and the totals behind it are both needed."""
    decoder = codec().stream(context())
    for part in parts:
        decoder.feed(part)

    assert not decoder.done
    with pytest.raises(StreamInterrupted):
        decoder.finish()


def test_totals_without_a_stop_are_no_end() -> None:
    """An answer says why it ends."""
    with pytest.raises(StreamInterrupted, match="without saying why"):
        codec().stream(context()).feed(START + delta(0, text="a") + TOTALS)


def test_an_answer_that_begins_anew_is_interrupted() -> None:
    """Two halves are no whole."""
    with pytest.raises(StreamInterrupted, match="another answer"):
        codec().stream(context()).feed(START + delta(0, text="a") + START)


def test_what_comes_behind_the_end_is_not_read() -> None:
    """Whatever it is."""
    decoder = codec().stream(context())
    first = decoder.feed(START + delta(0, text="a") + STOP + TOTALS + exception("throttlingException"))

    assert decoder.done
    assert first[-1].chunk["usage"]
    assert decoder.feed(b"noise") == []
    assert decoder.finish() == []


# --- refusals --------------------------------------------------------------------------------


def refused(status: int, kind: str, message: str, *, header: bool = True, **headers: Any) -> UpstreamFailure:
    """The failure that a refusal is."""
    found = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/"} if header else {}
    value = {"message": message} if header else {"__type": f"com.amazon.coral#{kind}", "Message": message}
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    failure: UpstreamFailure = codec().error(status, found, orjson.dumps(value), target())
    return failure


REFUSALS = [
    (400, "ValidationException", "The provided model identifier is invalid.", 404, "model_not_found", Blame.MODEL),
    (400, "ValidationException", "Invocation of model ID anthropic.x with on-demand throughput isn\u2019t supported. Retry with an inference profile.", 404, "model_not_found", Blame.MODEL),
    (404, "ResourceNotFoundException", "Model not found.", 404, "model_not_found", Blame.MODEL),
    (400, "ValidationException", "Input is too long for requested model.", 400, "context_length_exceeded", Blame.CONTEXT),
    (400, "ValidationException", "The model returned the following errors: prompt is too long: 200001 tokens > 200000 maximum", 400, "context_length_exceeded", Blame.CONTEXT),
    (400, "ValidationException", "The text field in the ContentBlock object at messages.0.content.0 is blank.", 400, "invalid_value", Blame.CALLER),
    (400, "ValidationException", "This model doesn't support tool use.", 400, None, Blame.CALLER),
    (429, "ThrottlingException", "Too many tokens, please wait before trying again.", 429, "upstream_rate_limited", Blame.LIMIT),
    (400, "ServiceQuotaExceededException", "Your request exceeds the service quota.", 429, "upstream_rate_limited", Blame.LIMIT),
    (400, "ThrottlingException", "Rate exceeded", 429, "upstream_rate_limited", Blame.LIMIT),
    (429, "ModelNotReadyException", "The model is not ready.", 503, "upstream_unavailable", Blame.UPSTREAM),
    (408, "ModelTimeoutException", "Model has timed out.", 504, "upstream_timeout", Blame.UPSTREAM),
    (424, "ModelErrorException", "The request failed due to an error.", 502, "upstream_error", Blame.UPSTREAM),
    (500, "InternalServerException", "An unexpected error.", 502, "upstream_error", Blame.UPSTREAM),
    (503, "ServiceUnavailableException", "Not now.", 503, "upstream_unavailable", Blame.UPSTREAM),
    (403, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized", 502, "upstream_error", Blame.CREDENTIAL),
    (403, "UnrecognizedClientException", "The security token included in the request is invalid.", 502, "upstream_error", Blame.CREDENTIAL),
    (403, "InvalidSignatureException", "The request signature we calculated does not match", 502, "upstream_error", Blame.CREDENTIAL),
    (400, "IncompleteSignatureException", "Date must be", 502, "upstream_error", Blame.CREDENTIAL),
    (403, "ExpiredTokenException", "The security token included in the request is expired", 502, "upstream_error", Blame.CREDENTIAL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind", "message", "ours", "code", "blame"),
    REFUSALS,
    ids=[f"{r[1]}-{n}" for n, r in enumerate(REFUSALS)],
)
@pytest.mark.parametrize("header", [True, False], ids=["header", "body"])
def test_a_refusal(
    status: int, kind: str, message: str, ours: int, code: str | None, blame: Blame, header: bool
) -> None:
    """By its class, wherever that stands; nothing of our account is told."""
    failure = refused(status, kind, message, header=header)

    assert (failure.status, failure.blame) == (ours, blame)
    assert code is None or failure.envelope()["error"]["code"] == code
    if blame is Blame.CREDENTIAL:
        assert "arn:" not in failure.message
        assert "token" not in failure.message
    if blame is Blame.CALLER:
        assert failure.message == message


def test_how_long_to_wait() -> None:
    """Where the service says it."""
    assert refused(429, "ThrottlingException", "wait", retry_after="7").retry_after == 7


@pytest.mark.parametrize("raw", [b"", b"<html>no</html>", b"[]", b"3", b'{"message": 3}', b"\xff"])
@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_whatever_the_edge_writes_is_a_failure(raw: bytes, status: int) -> None:
    """With a sentence."""
    failure = codec().error(status, {}, raw, target())

    assert isinstance(failure, UpstreamFailure)
    assert failure.envelope()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "message", "status", "blame"),
    [
        ("throttlingException", "Too many tokens, please wait before trying again.", 429, Blame.LIMIT),
        ("modelStreamErrorException", "The model failed.", 502, Blame.UPSTREAM),
        ("internalServerException", "Oh.", 502, Blame.UPSTREAM),
        ("serviceUnavailableException", "Not now.", 503, Blame.UPSTREAM),
        ("validationException", "The input is wrong.", 400, Blame.CALLER),
        ("newException", "Nobody knows.", 502, Blame.UPSTREAM),
    ],
)
def test_a_failure_within_a_stream(name: str, message: str, status: int, blame: Blame) -> None:
    """Though its status was 200."""
    with pytest.raises(UpstreamFailure) as caught:
        codec().stream(context()).feed(START + delta(0, text="a") + exception(name, message))

    assert (caught.value.status, caught.value.blame) == (status, blame)
    assert message.rstrip(".") in caught.value.message


def test_an_error_of_the_framing() -> None:
    """In headers alone."""
    frame = framed({":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow down"}, b"")
    with pytest.raises(UpstreamFailure, match="slow down") as caught:
        codec().stream(context()).feed(frame)

    assert caught.value.blame is Blame.LIMIT


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"output": 3}', b'{"output": {"message": {"content": "x"}}}', b'{"message": "Internal"}']
)
def test_a_body_that_is_no_answer(raw: bytes) -> None:
    """502, with a word on what it is."""
    with pytest.raises(UpstreamFailure) as caught:
        codec().decode(raw, context())
    assert caught.value.status == 502


# --- the dialect itself ----------------------------------------------------------------------


@pytest.mark.parametrize(("url", "fetched"), [("s3://b/k", True), ("https://x.test/a.png", False), ("gs://b/k", False)])
def test_only_its_own_storage_is_fetched_there(url: str, fetched: bool) -> None:
    """All else is to be sent as bytes."""
    assert content.fetches(url) is fetched


def test_marks_of_origin_tell_accounts_and_models_apart() -> None:
    """But not a model from its other names."""
    same = Target("Vendor", CLAUDE.removesuffix("-v1:0"))
    others = [Target("Vendor", "us.anthropic.claude-opus-4-5-20251101-v1:0"), Target("Else", CLAUDE)]

    assert thoughts.origin(same) == ORIGIN
    assert ORIGIN not in {thoughts.origin(other) for other in others}
    assert isinstance(context(), Context)


def test_an_answer_has_the_callers_id_and_model() -> None:
    """The service gives none."""
    found: Any = decoded(body({"text": "a"}))

    assert (found["id"], found["model"], found["created"]) == ("chatcmpl-ours", CLAUDE, 1_780_000_000)
