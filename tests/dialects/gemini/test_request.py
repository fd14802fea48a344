"""The request around messages, tools and thinking: path, limits, sampling, native members, what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .asking import FLASH, NEW, WEATHER, send, sent

SPEAKING = "gemini-2.5-flash-preview-tts"


def config(model: str = NEW, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = sent(model, **request).get("generationConfig", {})
    return found


def test_the_smallest_request_is_its_contents() -> None:
    """Neither headers nor a key: the signer adds the one that Gemini wants."""
    body, outgoing = send({})

    assert body == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert (outgoing.method, outgoing.path, outgoing.headers) == (
        "POST",
        "/models/gemini-3.7-flash:generateContent",
        (),
    )
    assert (outgoing.dropped, outgoing.clamped, dict(outgoing.memo)) == ((), (), {})


def test_a_stream_has_its_own_method_and_asks_for_events() -> None:
    """Without `alt=sse` the answer is one growing list."""
    outgoing = send({"stream": True, "stream_options": {"include_usage": True}})[1]

    assert outgoing.path == "/models/gemini-3.7-flash:streamGenerateContent?alt=sse"
    assert outgoing.dropped == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temperature": 0.0, "top_p": 1.0}, {"temperature": 0.0, "topP": 1.0}),
        ({"top_k": 40}, {"topK": 40}),
        ({"top_k": 0}, {}),
        ({"top_k": -1}, {}),
        ({"max_tokens": 9}, {"maxOutputTokens": 9}),
        ({"max_completion_tokens": 8, "max_tokens": 9}, {"maxOutputTokens": 8}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"seed": 3}, {"seed": 3}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": True, "top_logprobs": 5}, {"responseLogprobs": True, "logprobs": 5}),
        ({"logprobs": False, "n": 1, "presence_penalty": 0}, {}),
        ({"modalities": ["text"]}, {}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"image_config": {"aspect_ratio": "16:9"}}, {"imageConfig": {"aspectRatio": "16:9"}}),
    ],
)
def test_sampling_and_limits_have_their_native_names(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Values are the caller's."""
    assert config(**given) == expected


@pytest.mark.parametrize(
    ("model", "given", "expected", "clamped"),
    [
        (NEW, {"seed": 2**31}, {"seed": 0}, (("seed", "0"),)),
        (NEW, {"seed": -1}, {"seed": 2**31 - 1}, (("seed", "2147483647"),)),
        (NEW, {"max_tokens": 99}, {"maxOutputTokens": 50}, (("max_tokens", "50"),)),
        ("gemini-2.0-flash", {"presence_penalty": 2}, {"presencePenalty": 1.99}, (("presence_penalty", "1.99"),)),
        ("gemini-2.0-flash", {"frequency_penalty": -2}, {"frequencyPenalty": -2}, ()),
    ],
)
def test_what_is_out_of_range_is_changed_and_reported(
    model: str, given: dict[str, Any], expected: dict[str, Any], clamped: tuple[tuple[str, str], ...]
) -> None:
    """Penalties of 2 are just outside; seeds have 31 bits."""
    body, outgoing = send(given, model, max_output=50)

    assert body["generationConfig"] == expected
    assert outgoing.clamped == clamped


def test_penalties_are_hints_where_they_are_refused() -> None:
    """Gemini 2.5 and later answer 400 to any."""
    body, outgoing = send({"presence_penalty": 0.5, "frequency_penalty": 0.1}, FLASH)

    assert "generationConfig" not in body
    assert outgoing.dropped == ("presence_penalty", "frequency_penalty")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "modalities"),
    ],
)
def test_what_changes_the_answer_is_refused(given: dict[str, Any], param: str) -> None:
    """And left out, with a note, when the caller wants it so."""
    with pytest.raises(UnsupportedParameter) as caught:
        send(given)

    assert caught.value.param == param
    assert param in send(given, unsupported="drop")[1].dropped


def test_logprobs_are_refused_where_configuration_says_that_there_are_none() -> None:
    """They are part of what the caller gets."""
    with pytest.raises(UnsupportedParameter) as caught:
        send({"logprobs": True}, traits={"logprobs": False})

    assert caught.value.param == "logprobs"


@pytest.mark.parametrize(
    "name",
    [
        "user",
        "metadata",
        "store",
        "logit_bias",
        "prediction",
        "verbosity",
        "prompt_cache_key",
        "safety_identifier",
        "whatever",
    ],
)
def test_hints_are_left_out_and_named(name: str) -> None:
    """Under the strictest policy they are refused."""
    value = {
        "metadata": {"a": "b"},
        "logit_bias": {"1": 1},
        "prediction": {"type": "content", "content": "x"},
        "store": True,
    }.get(name, "high")
    body, outgoing = send({name: value})

    assert list(body) == ["contents"]
    assert outgoing.dropped == (name,)
    with pytest.raises(UnsupportedParameter) as caught:
        send({name: value}, unsupported="reject")
    assert caught.value.param == name


def test_neutral_values_are_left_out_in_silence() -> None:
    """Even under the strictest policy."""
    neutral = {
        "n": 1,
        "store": False,
        "metadata": {},
        "logit_bias": {},
        "verbosity": "medium",
        "service_tier": "auto",
        "frequency_penalty": 0,
    }

    assert send(neutral, unsupported="reject")[1].dropped == ()


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("default", "standard"),
        ("flex", "flex"),
        ("priority", "priority"),
        ("fast", "priority"),
        ("auto", None),
        ("scale", None),
    ],
)
def test_service_tiers_have_their_own_words(tier: str, expected: str | None) -> None:
    """One that does not exist there is a hint."""
    body, outgoing = send({"service_tier": tier})

    assert body.get("serviceTier") == expected
    assert outgoing.dropped == (("service_tier",) if tier == "scale" else ())


# --- spoken answers --------------------------------------------------------------------------


def test_models_that_speak_are_asked_for_audio() -> None:
    """With the voice that OpenAI's member names."""
    body, outgoing = send({"modalities": ["audio"], "audio": {"voice": "Kore", "format": "wav"}}, SPEAKING)

    assert body["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert (outgoing.dropped, outgoing.memo) == ((), {"audio": "wav"})


@pytest.mark.parametrize(("form", "stream"), [("mp3", False), ("wav", True)])
def test_a_sound_that_would_have_to_be_converted_is_refused(form: str, stream: bool) -> None:
    """There are samples, and a header for a file whose length is known."""
    with pytest.raises(UnsupportedParameter) as caught:
        send({"audio": {"voice": "Kore", "format": form}, "stream": stream}, SPEAKING)

    assert caught.value.param == "audio.format"


# --- native members --------------------------------------------------------------------------

SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]


@pytest.mark.parametrize("holder", ["extra_body", "extra_content", None])
def test_native_members_are_passed_on_from_every_place(holder: str | None) -> None:
    """In either case style."""
    google = {"safety_settings": SAFETY, "imageConfig": {"aspect_ratio": "1:1"}, "labels": {"a_b": "c"}}
    body = sent(**({holder: {"google": google}} if holder else {"google": google}))

    assert body["safetySettings"] == SAFETY
    assert body["generationConfig"] == {"imageConfig": {"aspectRatio": "1:1"}}
    assert body["labels"] == {"a_b": "c"}


def test_metadata_is_asked_for_by_name() -> None:
    """It is for the decoder; nothing of it is sent."""
    body, outgoing = send({"google": {"include": ["safety_ratings", "nonsense", 3], "labels": None}})

    assert list(body) == ["contents"]
    assert outgoing.memo == {"include": ("safety_ratings",)}


def test_unknown_native_members_are_hints() -> None:
    """A name that Gemini does not know is an error there."""
    body, outgoing = send({"google": {"new_thing": 1}, "extra_body": {"other": 2, "google": {}}})

    assert list(body) == ["contents"]
    assert sorted(outgoing.dropped) == ["extra_body.other", "google.new_thing"]


def test_safety_settings_come_from_configuration_unless_the_caller_has_some() -> None:
    """None are ever made up."""
    ours = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]

    assert send({}, traits={"safety_settings": ours})[0]["safetySettings"] == ours
    assert (
        send({"google": {"safety_settings": SAFETY}}, traits={"safety_settings": ours})[0]["safetySettings"] == SAFETY
    )


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}]}, "messages"),
        ({"tools": [WEATHER]}, "tools"),
    ],
)
def test_a_cache_excludes_what_it_holds_itself(more: dict[str, Any], param: str) -> None:
    """Instruction and tools beside it are an error there."""
    cached: dict[str, Any] = {"google": {"cached_content": "cachedContents/1"}}
    assert sent(**cached)["cachedContent"] == "cachedContents/1"
    with pytest.raises(UnsupportedParameter) as caught:
        send({**cached, **more})
    assert caught.value.param == param
    body, outgoing = send({**cached, **more}, unsupported="drop")
    assert sorted(body) == ["cachedContent", "contents"]
    assert outgoing.dropped == (param,)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"top_k": "many"}, "top_k"),
        ({"google": 1}, "google"),
        ({"extra_body": {"google": {"safety_settings": {}}}}, "extra_body.google.safety_settings"),
        ({"image_config": 1}, "image_config"),
    ],
)
def test_members_that_nobody_checked_before_are_checked_here(given: dict[str, Any], param: str) -> None:
    """With their path."""
    with pytest.raises(InvalidRequest) as caught:
        send(given)

    assert (caught.value.param, caught.value.code) == (param, "invalid_type")
