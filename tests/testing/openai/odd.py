"""Where the fake of OpenAI's family is not like a recording, each with the reason.

Patterns are matched from the beginning of a path (`LACKS`), of a path and a type (`UNKNOWN`), or anywhere in the name
and the address of an exchange (`NOT_SERVED`, `ERRORS`).
"""

from tests.testing.exchanges import Odd


def _odd(pattern: str, reason: str, vendor: str = ".*", surface: str = ".*") -> Odd:
    return Odd(pattern, reason, f"(?:{vendor})/(?:{surface})")


_HOSTED = "(?:code_interpreter|file_search|image_generation|mcp|tool_search|web_search)[a-z_]*"
_EVENT = r"(?:response\.[a-z_]+(?:\.response)?)?"

# Exchanges that are no business of this fake.
NOT_SERVED = (
    _odd("/organization/usage/", "the administration of an account, not the API"),
    _odd("/vector_stores/", "a surface that is not faked"),
    _odd("/api/show|/api/embeddings", "Ollama's native API, not the compatible one"),
    _odd("input-items", "reads a response that was made before the recording began"),
    _odd("image-edit-functionality-with-xai", "edits by JSON, which only xAI has"),
)
# Refusals that a fake cannot give, or says with other members.
ERRORS = (
    _odd("vision-test-vision-2", "the vendor could not download the image"),
    _odd("context-length-exceeded", "the long text is not in the recording"),
    _odd("tool-use-failed", "the model's own output was the fault"),
    _odd("reasoning-model-legacy-parameter", "the request was not recorded"),
)
# What recordings have and the fake has not.
LACKS: tuple[Odd, ...] = (
    # OpenAI, and those who serve its models.
    _odd(rf"{_EVENT}\.(?:output|tools)\[\]<{_HOSTED}>", "tools that the vendor runs itself are not run"),
    _odd(rf"response\.output_item\.[a-z]+\.item<{_HOSTED}>", "tools that the vendor runs itself are not run"),
    _odd(r"response\.(?:web_search|file_search|mcp)[a-z_]*\.", "tools that the vendor runs itself are not run"),
    _odd(r"response\.(?:web_search|file_search|mcp)", "tools that the vendor runs itself are not run"),
    _odd(r".*\.annotations\[\]", "nothing is cited"),
    _odd(r"response\.output_text\.annotation", "nothing is cited"),
    _odd(rf"{_EVENT}\.tools\[\]<namespace>|.*\.namespace$", "the namespace came with an earlier item", "openai"),
    _odd(rf"{_EVENT}\.tools\[\]<function>\.(?:output_schema|defer_loading)", "only some models repeat it", "openai"),
    _odd(rf"{_EVENT}\.moderation\.", "answers are not moderated beside", "openai"),
    _odd(r"\.moderation$", "answers are not moderated beside", "openai", "chat.*"),
    _odd(rf"{_EVENT}\.tool_usage", "only finished responses have it", "openai"),
    _odd(rf"{_EVENT}\.prompt_cache_options", "only with explicit marks"),
    _odd(rf"{_EVENT}\.reasoning\.(?:context|mode)", "only models that think, only lately"),
    _odd(
        rf"(?:{_EVENT}\.output\[\]|response\.output_item\.[a-z]+\.item)<reasoning>\.content$",
        "an empty list, only lately",
        "openai|azure",
    ),
    _odd(rf"{_EVENT}\.usage\.input_tokens_details\.cache_write_tokens", "only if something was written"),
    _odd(r"\.usage\.(?:prompt|completion)_tokens_details\.(?:text|image)_tokens", "only search models", "openai"),
    _odd(r"\.choices\[\]\.message\.function_call", "answers with deprecated functions are calls of tools", "openai"),
    _odd(r"\.data\[\]\.revised_prompt", "once, long ago, with dall-e-2", "openai"),
    _odd(r"\.provider|\.choices\[\]\.native_finish|\.usage\.(?:cost|is_byok)", "recorded through OpenRouter", "openai"),
    _odd(r"\.choices\[\]\.content_filter", "of models that another vendor made", "azure"),
    _odd(rf"{_EVENT}\.content_filters", "where in the text what was looked for", "azure"),
    _odd(r".*(?:\.billing|\.phase|\.obfuscation|\.encrypted_content)", "only some models have it", "bedrock-mantle"),
    # Other vendors.
    _odd(r"\.choices\[\]\.(?:routed_experts|delta|stop_reason|token_ids)", "debugging of the server", "crusoe"),
    _odd(r"\.(?:prompt_text|prompt_token_ids|system_fingerprint)", "only on the first or the last chunk", "crusoe"),
    _odd(r"\.usage\.prompt_tokens_details\.multimodal", "debugging of the server", "crusoe"),
    _odd(r".*encrypted_content", "without being asked for", "deepseek"),
    _odd(r"\.choices\[\]\.message\.(?:extra_content|thought_signature)", "signatures are native only", "gemini"),
    _odd(r"\.choices\[\]\.(?:message|delta)\.executed_tools", "tools that the vendor runs itself are not run", "groq"),
    _odd(r".*usage_breakdown\.models|\.x_groq\.usage_breakdown", "one model answers", "groq"),
    _odd(r"\.usage\.prompt_tokens_details", "once", "groq"),
    _odd(r"\.x_groq\.seed", "only lately", "groq"),
    _odd(r"\.choices\[\]\.delta\.channel", "only of gpt-oss", "groq"),
    _odd(r"\.error|\.usage", "of a call that failed in its stream", "groq", "chat-stream"),
    _odd(
        r"\.(?:system_fingerprint|time_info|sla_metrics|metadata|kv_transfer_params|prompt_logprobs|service_tier)",
        "of one of the hosts behind the router",
        "huggingface",
    ),
    _odd(r"\.choices\[\]\.(?:message\.|seed|stop_reason)", "of one of the hosts behind the router", "huggingface"),
    _odd(r"\.usage\.(?:cached_tokens|completion_tokens_details)", "of one of the hosts", "huggingface"),
    _odd(r"\.choices\[\]\.message\.content\[\]<thinking>\.closed", "once", "mistral"),
    _odd(r"\.choices\[\]\.delta\.(?:tool_calls\[\]<function>|index)", "with a type, only lately", "mistral"),
    _odd(r"\.choices\[\]\.logprobs|\.choices\[\]\.delta\.content\[\]<text>", "only lately", "mistral"),
    _odd(r"\.usage\.num_cached_tokens", "only lately", "mistral"),
    _odd(r"\.data\[\]<base>\.(?:capabilities\.|aliases\[\])", "as many as the vendor likes", "mistral"),
    _odd(r"\.choices\[\]\.delta\.content$", "an empty text beside calls", "ollama"),
    _odd(r"\.choices\[\]\.(?:message|delta)\.(?:reasoning_details|reasoning$|annotations)", "of others", "openrouter"),
    _odd(r"\.usage\.(?:prompt|completion)_tokens_details\.(?:audio|cache_write)", "of some hosts", "openrouter"),
    _odd(r"\.usage\.server_tool_use_details", "tools that the vendor runs itself are not run", "openrouter"),
    _odd(r"\.service_tier|\.error", "of some hosts", "openrouter"),
    _odd(r"\.data\[\]\.|\.total_count|\.links", "what the catalogue tells beyond the id", "openrouter", "models"),
    _odd(r".*(?:\.phase|\.output_text|\.format|\.encrypted_content)$", "of some hosts", "openrouter", "responses.*"),
    _odd(rf"{_EVENT}\.user", "of some hosts", "openrouter", "responses.*"),
    _odd(r"\.choices\[\]\.delta", "an empty delta beside the message", "perplexity"),
    _odd(r"\.usage\.cost", "only of embeddings", "perplexity", "embeddings"),
    _odd(r".*reasoning_details\[\]<reasoning\.text>\.(?:id|signature)", "signatures are native only", "snowflake"),
    _odd(r".*tool_calls\[\]<function>\.custom", "an empty one beside each function", "snowflake"),
    _odd(r"\.prompt", "the prompt repeated", "together", "completions"),
    _odd(
        r"\.choices\[\]\.delta\.tool_calls\[\](?:\.|$)|\.usage",
        "in pieces, through another vendor",
        "xai",
        "chat-stream",
    ),
    _odd(r"\.usage\.server_side_tool_usage", "tools that the vendor runs itself are not run", "xai"),
    _odd(r"\.data\[\]\.mime_type|\.usage", "its own picture models are not faked", "xai", "images"),
)
# What the fake has and no recording of the vendor has.
UNKNOWN: tuple[Odd, ...] = (
    _odd(r".*", "the recorded API version is older", "azure", "responses-stream"),
    _odd(r"response\.incomplete\.", "the only one that is incomplete is older", "openai"),
    _odd(r"response\.queued\.response\.moderation", "the only one that is queued is older", "openai"),
    _odd(
        r"\.results\[\]\.categor",
        "recorded is the older model; the newer is from the documents",
        "openai",
        "moderations",
    ),
    _odd(r"\.usage\.completion_tokens_details", "the plain answers have it", "crusoe", "chat-stream"),
    _odd(r"\.choices\[\]\.finish_reason null|\.id string", "all recorded are one chunk long", "gemini", "chat-stream"),
    _odd(r"\.object|\.usage\.cached_tokens", "the recording is shortened", "moonshot", "chat-stream"),
    _odd(r"\.usage", "the recorded servers are older; it is in the documents", "ollama", "chat-stream"),
    _odd(r"\.choices\[\]\.logprobs\.refusal null", "an empty list there", "openrouter"),
    _odd(r".*\.reasoning\.(?:effort|summary) null", "the recorded models have defaults", "openrouter|bedrock-mantle"),
    _odd(r".*\.tools\[\]<function>\.strict boolean", "null there", "openrouter"),
    _odd(r"response\.output_item\.added\.item<reasoning>\.content array", "once it is done", "openrouter"),
    _odd(r"\.usage\.cost_details\.upstream_inference_cost null", "the streams have null", "openrouter"),
    _odd(r"\.data\[\]\.embedding", "int8 vectors that only it has", "perplexity"),
    _odd(r"\.text\.format<json_schema>\.(?:description|strict|name)", "it repeats the schema only", "xai"),
    _odd(r".*\.reasoning\.(?:effort|summary) string", "null in the one stream", "xai", "responses-stream"),
    _odd(r"\.created", "its own picture models are not faked", "xai", "images"),
)
