"""Where the fake of OpenAI's family is not like a recording, each with the reason.

Patterns are matched from the beginning of a path (`LACKS`), of a path and a type (`UNKNOWN`), or anywhere in the name
and the address of an exchange (`NOT_SERVED`, `ERRORS`).
"""

from typing import NamedTuple


class Odd(NamedTuple):
    """An exception: what, why, whose and where."""

    pattern: str
    reason: str
    vendor: str = ".*"
    surface: str = ".*"


_HOSTED = "(?:code_interpreter|file_search|image_generation|mcp|tool_search|web_search)[a-z_]*"
_EVENT = r"(?:response\.[a-z_]+(?:\.response)?)?"

# Exchanges that are no business of this fake.
NOT_SERVED = (
    Odd("/organization/usage/", "the administration of an account, not the API"),
    Odd("/vector_stores/", "a surface that is not faked"),
    Odd(r"huggingface\.co|/api/models/", "the model hub, not the router"),
    Odd("/api/show|/api/embeddings", "Ollama's native API, not the compatible one"),
    Odd("input-items", "reads a response that was made before the recording began"),
    Odd("image-edit-functionality-with-xai", "edits by JSON, which only xAI has"),
)
# Refusals that a fake cannot give, or says with other members.
ERRORS = (
    Odd("vision-test-vision-2", "the vendor could not download the image"),
    Odd("context-length-exceeded", "the long text is not in the recording"),
    Odd("tool-use-failed", "the model's own output was the fault"),
    Odd("reasoning-model-legacy-parameter", "the request was not recorded"),
)
# What recordings have and the fake has not.
LACKS: tuple[Odd, ...] = (
    # OpenAI, and those who serve its models.
    Odd(rf"{_EVENT}\.(?:output|tools)\[\]<{_HOSTED}>", "tools that the vendor runs itself are not run"),
    Odd(
        r"response\.output_item\.(?:added|done)\.item\.(?:action|queries|results|server_label|execution|tools|status)",
        "tools that the vendor runs itself are not run",
    ),
    Odd(r"response\.output_item\.done\.item\.arguments\.paths", "tools that the vendor runs itself are not run"),
    Odd(r"response\.(?:web_search|file_search|mcp)[a-z_]*\.", "tools that the vendor runs itself are not run"),
    Odd(r"response\.(?:web_search|file_search|mcp)", "tools that the vendor runs itself are not run"),
    Odd(r".*\.annotations\[\]", "nothing is cited"),
    Odd(r"response\.output_text\.annotation", "nothing is cited"),
    Odd(rf"{_EVENT}\.tools\[\]<namespace>|.*\.namespace$", "the namespace came with an earlier item", "openai"),
    Odd(rf"{_EVENT}\.tools\[\]<function>\.(?:output_schema|defer_loading)", "only some models repeat it", "openai"),
    Odd(rf"{_EVENT}\.moderation\.", "answers are not moderated beside", "openai"),
    Odd(r"\.moderation$", "answers are not moderated beside", "openai", "chat.*"),
    Odd(rf"{_EVENT}\.tool_usage", "only finished responses have it", "openai"),
    Odd(rf"{_EVENT}\.prompt_cache_options", "only with explicit marks"),
    Odd(rf"{_EVENT}\.reasoning\.(?:context|mode)", "only models that think, only lately"),
    Odd(rf"{_EVENT}\.output\[\]<reasoning>\.content$", "an empty list, only lately", "openai|azure"),
    Odd(rf"{_EVENT}\.usage\.input_tokens_details\.cache_write_tokens", "only if something was written"),
    Odd(r"\.usage\.(?:prompt|completion)_tokens_details\.(?:text|image)_tokens", "only search models", "openai"),
    Odd(r"\.choices\[\]\.message\.function_call", "answers with deprecated functions are calls of tools", "openai"),
    Odd(r"\.data\[\]\.revised_prompt", "once, long ago, with dall-e-2", "openai"),
    Odd(r"\.provider|\.choices\[\]\.native_finish|\.usage\.(?:cost|is_byok)", "recorded through OpenRouter", "openai"),
    Odd(r"\.choices\[\]\.content_filter", "of models that another vendor made", "azure"),
    Odd(rf"{_EVENT}\.content_filters", "where in the text what was looked for", "azure"),
    Odd(r".*(?:\.billing|\.phase|\.obfuscation|\.encrypted_content)", "only some models have it", "bedrock-mantle"),
    # Other vendors.
    Odd(r"\.choices\[\]\.(?:routed_experts|delta|stop_reason|token_ids)", "debugging of the server", "crusoe"),
    Odd(r"\.(?:prompt_text|prompt_token_ids|system_fingerprint)", "only on the first or the last chunk", "crusoe"),
    Odd(r"\.usage\.prompt_tokens_details\.multimodal", "debugging of the server", "crusoe"),
    Odd(r".*encrypted_content", "without being asked for", "deepseek"),
    Odd(r"\.choices\[\]\.message\.(?:extra_content|thought_signature)", "signatures are native only", "gemini"),
    Odd(r"\.choices\[\]\.(?:message|delta)\.executed_tools", "tools that the vendor runs itself are not run", "groq"),
    Odd(r".*usage_breakdown\.models|\.x_groq\.usage_breakdown", "one model answers", "groq"),
    Odd(r"\.usage\.prompt_tokens_details", "once", "groq"),
    Odd(r"\.x_groq\.seed", "only lately", "groq"),
    Odd(r"\.choices\[\]\.delta\.channel", "only of gpt-oss", "groq"),
    Odd(r"\.error|\.usage", "of a call that failed in its stream", "groq", "chat-stream"),
    Odd(
        r"\.(?:system_fingerprint|time_info|sla_metrics|metadata|kv_transfer_params|prompt_logprobs|service_tier)",
        "of one of the hosts behind the router",
        "huggingface",
    ),
    Odd(r"\.choices\[\]\.(?:message\.|seed|stop_reason)", "of one of the hosts behind the router", "huggingface"),
    Odd(r"\.usage\.(?:cached_tokens|completion_tokens_details)", "of one of the hosts", "huggingface"),
    Odd(r"\.choices\[\]\.message\.content\[\]<thinking>\.closed", "once", "mistral"),
    Odd(r"\.choices\[\]\.delta\.(?:tool_calls\[\]<function>|index)", "with a type, only lately", "mistral"),
    Odd(r"\.choices\[\]\.logprobs|\.choices\[\]\.delta\.content\[\]<text>", "only lately", "mistral"),
    Odd(r"\.usage\.num_cached_tokens", "only lately", "mistral"),
    Odd(r"\.data\[\]<base>\.(?:capabilities\.|aliases\[\])", "as many as the vendor likes", "mistral"),
    Odd(r"\.choices\[\]\.delta\.content$", "an empty text beside calls", "ollama"),
    Odd(r"\.choices\[\]\.(?:message|delta)\.(?:reasoning_details|reasoning$|annotations)", "of others", "openrouter"),
    Odd(r"\.usage\.(?:prompt|completion)_tokens_details\.(?:audio|cache_write)", "of some hosts", "openrouter"),
    Odd(r"\.usage\.server_tool_use_details", "tools that the vendor runs itself are not run", "openrouter"),
    Odd(r"\.service_tier|\.error", "of some hosts", "openrouter"),
    Odd(r"\.data\[\]\.|\.total_count|\.links", "what the catalogue tells beyond the id", "openrouter", "models"),
    Odd(r".*(?:\.phase|\.output_text|\.format|\.encrypted_content)$", "of some hosts", "openrouter", "responses.*"),
    Odd(rf"{_EVENT}\.user", "of some hosts", "openrouter", "responses.*"),
    Odd(r"\.choices\[\]\.delta", "an empty delta beside the message", "perplexity"),
    Odd(r"\.usage\.cost", "only of embeddings", "perplexity", "embeddings"),
    Odd(r".*reasoning_details\[\]<reasoning\.text>\.(?:id|signature)", "signatures are native only", "snowflake"),
    Odd(r".*tool_calls\[\]<function>\.custom", "an empty one beside each function", "snowflake"),
    Odd(r"\.prompt", "the prompt repeated", "together", "completions"),
    Odd(r"\.choices\[\]\.delta\.tool_calls\[\]\.|\.usage", "in pieces, through another vendor", "xai", "chat-stream"),
    Odd(r"\.usage\.server_side_tool_usage", "tools that the vendor runs itself are not run", "xai"),
    Odd(r"\.data\[\]\.mime_type|\.usage", "its own picture models are not faked", "xai", "images"),
)
# What the fake has and no recording of the vendor has.
UNKNOWN: tuple[Odd, ...] = (
    Odd(r".*", "the recorded API version is older", "azure", "responses-stream"),
    Odd(r"response\.incomplete\.", "the only one that is incomplete is older", "openai"),
    Odd(r"response\.queued\.response\.moderation", "the only one that is queued is older", "openai"),
    Odd(
        r"\.results\[\]\.categor",
        "recorded is the older model; the newer is from the documents",
        "openai",
        "moderations",
    ),
    Odd(r"\.usage\.completion_tokens_details", "the plain answers have it", "crusoe", "chat-stream"),
    Odd(r"\.choices\[\]\.finish_reason null|\.id string", "all recorded are one chunk long", "gemini", "chat-stream"),
    Odd(r"\.object|\.usage\.cached_tokens", "the recording is shortened", "moonshot", "chat-stream"),
    Odd(r"\.usage", "the recorded servers are older; it is in the documents", "ollama", "chat-stream"),
    Odd(r"\.choices\[\]\.logprobs\.refusal null", "an empty list there", "openrouter"),
    Odd(r".*\.reasoning\.(?:effort|summary) null", "the recorded models have defaults", "openrouter|bedrock-mantle"),
    Odd(r".*\.tools\[\]<function>\.strict boolean", "null there", "openrouter"),
    Odd(r"\.usage\.cost_details\.upstream_inference_cost null", "the streams have null", "openrouter"),
    Odd(r"\.data\[\]\.embedding", "int8 vectors that only it has", "perplexity"),
    Odd(r"\.text\.format\.(?:description|strict|name)", "it repeats the schema only", "xai"),
    Odd(r".*\.reasoning\.(?:effort|summary) string", "null in the one stream", "xai", "responses-stream"),
    Odd(r"\.created", "its own picture models are not faked", "xai", "images"),
)
