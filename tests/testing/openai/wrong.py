"""For each member of a request to OpenAI, a value that its shape refuses.

What does not live here: rules that tie members together (`cases.py`), running these (`test_shapes.py`).
"""

from typing import Any

from tests.testing.driver import question
from tests.testing.openai.cases import embed, hear, paint, respond
from tests.testing.openai.forms import File

_SAMPLING: dict[str, Any] = {
    "temperature": 2.1,
    "top_p": 1.5,
    "metadata": {"a": 5},
    "stream": "yes",
    "user": 5,
}
_CACHE: dict[str, Any] = {
    "prompt_cache_key": 5,
    "prompt_cache_options": {"mode": "always"},
    "prompt_cache_retention": "forever",
    "safety_identifier": "a" * 129,
}
CHAT: dict[str, Any] = {
    **_SAMPLING,
    **_CACHE,
    "messages": "Hi",
    "model": 5,
    "audio": {"voice": "alloy"},
    "frequency_penalty": -2.5,
    "function_call": "maybe",
    "functions": [],
    "logit_bias": {"5": 200},
    "logprobs": 1,
    "max_completion_tokens": 0,
    "max_tokens": 0.5,
    "modalities": ["video"],
    "moderation": {},
    "n": 129,
    "parallel_tool_calls": "no",
    "prediction": {"type": "text", "content": "a"},
    "presence_penalty": 2.5,
    "reasoning_effort": "huge",
    "response_format": {"type": "xml"},
    "seed": 0.5,
    "service_tier": "gold",
    "stop": ["a"] * 5,
    "store": "yes",
    "stream_options": {"usage": True},
    "tool_choice": "maybe",
    "tools": {},
    "top_logprobs": 21,
    "verbosity": "loud",
    "web_search_options": {"search_context_size": "huge"},
}
RESPONSES: dict[str, Any] = {
    **_SAMPLING,
    **_CACHE,
    "model": 5,
    "input": 5,
    "background": "yes",
    "client_metadata": {"x-codex-installation-id": 5},
    "context_management": {},
    "conversation": 5,
    "include": ["usage"],
    "instructions": ["Be terse."],
    "max_output_tokens": 15,
    "max_tool_calls": 0,
    "moderation": {},
    "parallel_tool_calls": "no",
    "previous_response_id": 5,
    "prompt": {},
    "reasoning": {"effort": "huge"},
    "service_tier": "gold",
    "store": "yes",
    "stream_options": {"usage": True},
    "text": {"verbosity": "loud"},
    "tool_choice": "maybe",
    "tools": [{"name": "f"}],
    "top_logprobs": 21,
    "truncation": "middle",
}
EMBEDDINGS: dict[str, Any] = {"input": {}, "model": 5, "dimensions": 0.5, "encoding_format": "int8"}
MODERATIONS: dict[str, Any] = {"input": 5, "model": 5}
IMAGES: dict[str, Any] = {
    "prompt": 5,
    "model": 5,
    "background": "blue",
    "moderation": "high",
    "n": 11,
    "output_compression": 101,
    "output_format": "gif",
    "partial_images": 4,
    "quality": "best",
    "response_format": "png",
    "safety_identifier": 5,
    "size": 1024,
    "stream": "yes",
    "style": "cubist",
    "user": 5,
}
SPEECH: dict[str, Any] = {
    "input": 5,
    "model": 5,
    "voice": "ada",
    "instructions": 5,
    "response_format": "ogg",
    "speed": 5,
    "stream_format": "ws",
}
TRANSCRIPTION: dict[str, Any] = {
    "model": ["a"],
    "prompt": ["a"],
    "response_format": "xml",
    "temperature": "2",
    "include": ["usage"],
    "keywords": File("a.txt"),
    "known_speaker_names": ["a"] * 5,
    "known_speaker_references": ["a"] * 5,
    "language": ["de"],
    "languages": File("a.txt"),
    "stream": "maybe",
    "timestamp_granularities": ["syllable"],
}
COMPLETIONS: dict[str, Any] = {
    **{name: value for name, value in _SAMPLING.items() if name != "metadata"},
    "model": 5,
    "prompt": [],
    "best_of": 21,
    "echo": "yes",
    "frequency_penalty": -2.5,
    "logit_bias": {"5": 200},
    "logprobs": 6,
    "max_tokens": -1,
    "n": 129,
    "presence_penalty": 2.5,
    "seed": 0.5,
    "stop": ["a"] * 5,
    "stream_options": {"usage": True},
    "suffix": 5,
}
# Surface: path, a request that is taken, whether it is a form, wrong values.
WRONG: dict[str, tuple[str, dict[str, Any], bool, dict[str, Any]]] = {
    "chat": ("/chat/completions", question("openai", logprobs=True), False, CHAT),
    "responses": ("/responses", respond(), False, RESPONSES),
    "embeddings": ("/embeddings", embed("a"), False, EMBEDDINGS),
    "moderations": ("/moderations", {"input": "a"}, False, MODERATIONS),
    "images": ("/images/generations", paint(), False, IMAGES),
    "speech": ("/audio/speech", {"model": "tts-1", "input": "a", "voice": "alloy"}, False, SPEECH),
    "transcription": ("/audio/transcriptions", hear(), True, TRANSCRIPTION),
    "completions": ("/completions", {"model": "davinci-002", "prompt": "a"}, False, COMPLETIONS),
}
