"""How servers that people run themselves, and that speak OpenAI's protocol, differ from OpenAI, one row each.

What does not live here: what the members mean (`habit.py`), vendors (`habits.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.openai.habit import Forbidden, Habit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.openai.habit import Surface

_TEXT: frozenset[Surface] = frozenset({"chat", "completions", "embeddings", "models", "responses"})
_AUDIO: frozenset[Surface] = frozenset({"audio"})

LOCAL: Mapping[str, Habit] = {
    "ollama": Habit(
        surfaces=_TEXT,
        request_header=None,
        id_form="chatcmpl-{digits:3}",
        call_form="call_{lower:8}",
        extra={"system_fingerprint": "fp_ollama"},
        logprobs="none",
        role="every",
        no_content="empty",
        usage_null="never",
        usage_details="none",
        reasoning="reasoning",
        calls="whole",
        call_index=True,
        chunk_index=False,
        fetches=False,
    ),
    "vllm": Habit(
        surfaces=_TEXT | _AUDIO,
        id_form="chatcmpl-{hex:32}",
        call_form="chatcmpl-tool-{hex:16}",
        plain_extra={
            "kv_transfer_params": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "service_tier": None,
            "system_fingerprint": None,
        },
        message_extra={"annotations": None, "audio": None, "function_call": None, "refusal": None},
        choice_extra={"stop_reason": None, "token_ids": None},
        usage_null="never",
        usage_details="cached",
        reasoning="reasoning",
        errors="all_int",
        roles=("system", "developer", "user", "assistant", "tool"),
        model_extra={"max_model_len": 32_768, "parent": None, "root": None},
    ),
    "sglang": Habit(
        surfaces=_TEXT,
        request_header=None,
        id_form="{hex:32}",
        choice_extra={"matched_stop": None},
        usage_null="never",
        usage_details="none",
        reasoning="reasoning_content",
        errors="flat",
        model_extra={"max_model_len": 32_768, "root": None},
    ),
    "llamacpp": Habit(
        surfaces=_TEXT,
        request_header=None,
        logprobs="none",
        usage_null="never",
        usage_details="cached",
        plain_extra={"timings": {"prompt_n": 1, "prompt_ms": 10.0, "predicted_n": 1, "predicted_ms": 20.0}},
        reasoning="reasoning_content",
        errors="int_code",
    ),
    "lmstudio": Habit(
        surfaces=_TEXT,
        request_header=None,
        usage_null="never",
        usage_details="none",
        reasoning="reasoning",
        errors="text",
        forbids=(
            Forbidden(
                "response_format",
                "'response_format.type' must be 'json_schema' or 'text'",
                r'\{.*"type":"json_object".*\}',
            ),
        ),
    ),
}
