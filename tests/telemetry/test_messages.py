"""Prompts and answers in traces: OpenTelemetry's message format, and never more than a trace can bear."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from compatgw.telemetry.messages import inputs, outputs

PNG = "data:image/png;base64," + "A" * 4000


def test_all_that_a_conversation_can_hold_is_told() -> None:
    """Text, thoughts, tools and their results; files by kind and size alone."""
    told = orjson.loads(
        inputs(
            [
                {"role": "developer", "content": "Be kind."},
                {
                    "role": "user",
                    "name": "ann",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": PNG}},
                        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
                        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{broken"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "A cat."}]},
            ]
        )
    )

    assert told == [
        {"role": "developer", "parts": [{"type": "text", "content": "Be kind."}]},
        {
            "role": "user",
            "name": "ann",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "blob", "modality": "image", "content": "", "length": len(PNG), "mime_type": "image/png"},
                {"type": "uri", "modality": "image", "uri": "https://x/y.png"},
                {"type": "blob", "modality": "audio", "content": "", "length": 4},
                {"type": "file", "modality": "document", "file_id": "file-1"},
                {"type": "blob", "modality": "document", "content": "", "length": 32, "mime_type": "application/pdf"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}},
                {"type": "tool_call", "id": "c2", "name": "look", "arguments": "{broken"},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "A cat."}]},
    ]


def test_an_answer_says_why_it_ended() -> None:
    """Each choice, with what it says or refuses."""
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"},
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "refusal": "No."},
            "finish_reason": "content_filter",
        },
    ]

    assert orjson.loads(outputs(choices)) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Yes."}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "refusal", "content": "No."}], "finish_reason": "content_filter"},
    ]


def test_long_texts_are_cut_and_the_newest_come_first() -> None:
    """Whoever reads a trace wants the question, not the beginning of the conversation."""
    long = [{"role": "user", "content": f"{number}" + "x" * 20_000} for number in range(30)]
    text = inputs(long)
    told = orjson.loads(text)

    assert len(text) < 80_000
    assert told[-1]["parts"][0]["content"].startswith("29xxx")
    assert told[-1]["parts"][0]["content"].endswith("more characters)")
    assert told[0]["parts"][0]["content"].startswith("... (")


# Half characters, and what has to be escaped.
TEXTS = st.text(st.sampled_from('aé€😀\ud800\udfff\\"\n\x00'), max_size=20)


@given(text=TEXTS, extra=st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=3))
def test_any_text_is_told_as_json(text: str, extra: dict[str, Any]) -> None:
    """Also one that holds half a character."""
    part = {**extra, "type": "text", "text": text}

    (told,) = orjson.loads(inputs([{"role": "user", "content": [part]}]))
    assert told["parts"] == [{"type": "text", "content": text.encode("utf-8", "replace").decode()}]
