"""The only recordings that are judged differently, each with its reason."""

from __future__ import annotations

# Recording id -> why its answer is not compared.
ANSWERS: dict[str, str] = {
    "openrouter/chat/activeagent--open-router-pdf-0": (
        "annotations of type 'file' are passed on, because this vendor wants them back; the SDK's types lack them"
    ),
}

_OWN_TOOL = "a tool type that only this vendor has: the surface refuses it by name"
_OWN_PART = "a content part that only this vendor has: the surface refuses it by name"
_OWN_VALUE = "a value that only this vendor has: it is passed on to it untouched, and OpenAI's types do not know it"
_RETURNS = "pydantic-ai--multimodal-tool-returns-test-multimodal-tool-return-matrix-tool-return-content"

# Recording id, or id and dialect with `@` between -> why its request is neither accepted nor refused as unsupported.
REQUESTS: dict[str, str] = {
    f"mistral/chat/{_RETURNS}-binary-docu-1": _OWN_PART,
    "openrouter/chat/pydantic-ai--openrouter-test-openrouter-web-search-annotations-0": _OWN_TOOL,
    "openrouter/chat/pydantic-ai--openrouter-test-openrouter-web-search-tool-full-params-0": _OWN_TOOL,
    "openrouter/chat-stream/pydantic-ai--openrouter-test-openrouter-web-search-annotations-stream-0": _OWN_TOOL,
    "openrouter/chat/pydantic-ai--openrouter-test-openrouter-video-url-public-api-0@openai": _OWN_VALUE,
    "groq/chat/pydantic-ai--thinking-wire-contract-test-reasoning-wire-contract-"
    "groq-gpt-oss-thinking-merges-user-extr-0@openai": _OWN_VALUE,
}
