"""The shapes of a request for a response: members, items of the input, parts of messages, tools.

What does not live here: rules that no shape can tell (`rules.py`).
"""

from __future__ import annotations

from compatgw_testing.fakes.shape import Arr, Bool, Either, Free, Map, Num, Obj, Shape, Str, Tagged

_FLAG = Bool()
_NAME = Str(pattern="[a-zA-Z0-9_-]+", high=128)
_CALL_ID = Str(low=1, high=64)
_SCHEMA = Either({"object": Map(Free()), "null": Free()})
_EFFORT = Str(("none", "minimal", "low", "medium", "high", "xhigh", "max"))
_SUMMARY = Str(("auto", "concise", "detailed"))
_INCLUDE = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)
_FORMAT = Tagged(
    "type",
    {
        "text": Obj({"type": Str()}),
        "json_object": Obj({"type": Str()}),
        "json_schema": Obj(
            {
                "type": Str(),
                "name": Str(pattern="[a-zA-Z0-9_-]+", high=64),
                "schema": Map(Free()),
                "description": Str(),
                "strict": _FLAG,
            },
            ("name", "schema"),
        ),
    },
)
_TOOL_CHOICE = Either(
    {
        "string": Str(("none", "auto", "required")),
        "object": Tagged(
            "type",
            {
                "function": Obj({"type": Str(), "name": Str()}, ("name",)),
                "custom": Obj({"type": Str(), "name": Str()}, ("name",)),
                "allowed_tools": Obj(
                    {"type": Str(), "mode": Str(("auto", "required")), "tools": Arr(Map(Free()), low=1)},
                    ("mode", "tools"),
                ),
                "mcp": Obj({"type": Str(), "server_label": Str(), "name": Str()}, ("server_label",)),
            },
            open=True,
        ),
    }
)
FIELDS: dict[str, Shape] = {
    "model": Str(),
    "input": Either({"string": Str(), "array": Arr(Free())}),
    "background": _FLAG,
    # No document has it; Codex sends it with every request, and is served.
    "client_metadata": Map(Str()),
    "context_management": Arr(Free()),
    "conversation": Either({"string": Str(), "object": Obj({"id": Str()}, ("id",))}),
    "include": Arr(Str(_INCLUDE)),
    "instructions": Str(),
    "max_output_tokens": Num(16, whole=True),
    "max_tool_calls": Num(1, whole=True),
    "metadata": Map(Str(high=512), high=16),
    "moderation": Obj({"model": Str(), "policy": Free()}, ("model",)),
    "parallel_tool_calls": _FLAG,
    "previous_response_id": Str(),
    "prompt": Obj({"id": Str(), "version": Str(), "variables": Map(Free())}, ("id",)),
    "prompt_cache_key": Str(),
    "prompt_cache_options": Obj({"mode": Str(("implicit", "explicit")), "ttl": Str()}),
    "prompt_cache_retention": Str(("in_memory", "24h")),
    "reasoning": Obj(
        {"effort": _EFFORT, "summary": _SUMMARY, "generate_summary": _SUMMARY, "context": Str(), "mode": Str()}
    ),
    "safety_identifier": Str(high=128),
    "service_tier": Str(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")),
    "store": _FLAG,
    "stream": _FLAG,
    "stream_options": Obj({"include_obfuscation": _FLAG}),
    "temperature": Num(0, 2),
    "text": Obj({"format": _FORMAT, "verbosity": Str(("low", "medium", "high"))}),
    "tool_choice": _TOOL_CHOICE,
    "tools": Arr(Obj({"type": Str()}, ("type",), open=True), high=128),
    "top_logprobs": Num(0, 20, whole=True),
    "top_p": Num(0, 1),
    "truncation": Str(("auto", "disabled")),
    "user": Str(),
}
_BREAKPOINT = Obj({"mode": Str(("explicit",)), "ttl": Str()}, ("mode",))


def _part(required: tuple[str, ...], **members: Shape) -> Obj:
    return Obj({"type": Str(), "prompt_cache_breakpoint": _BREAKPOINT, **members}, required)


PARTS: dict[str, dict[str, Shape]] = {
    "user": {
        "input_text": _part(("text",), text=Str()),
        "input_image": _part((), image_url=Str(), file_id=Str(), detail=Str(("auto", "low", "high", "original"))),
        "input_file": _part((), file_data=Str(), file_id=Str(), file_url=Str(), filename=Str(), detail=Str()),
        "input_audio": _part(
            ("input_audio",),
            input_audio=Obj({"data": Str(), "format": Str(("wav", "mp3"))}, ("data", "format")),
        ),
    },
    "assistant": {
        "output_text": _part(("text",), text=Str(), annotations=Arr(Free()), logprobs=Arr(Free())),
        "refusal": _part(("refusal",), refusal=Str()),
    },
}


def _object(required: tuple[str, ...], **members: Shape) -> Obj:
    status = Str(("in_progress", "completed", "incomplete"))
    return Obj({"type": Str(), "id": Str(), "status": status, **members}, required)


_OUTPUT = Either({"string": Str(), "array": Arr(Free(), low=1)})
_HOSTED = Obj({"type": Str()}, open=True)
ITEMS: dict[str, Shape] = {
    "message": _object(
        ("role", "content"),
        role=Str(("user", "assistant", "system", "developer")),
        content=Either({"string": Str(), "array": Arr(Free())}),
        phase=Str(("commentary", "final_answer")),
    ),
    "function_call": _object(
        ("call_id", "name", "arguments"), call_id=_CALL_ID, name=_NAME, arguments=Str(), namespace=Str(), caller=Free()
    ),
    "function_call_output": _object(("call_id", "output"), call_id=_CALL_ID, output=_OUTPUT, caller=Free()),
    "custom_tool_call": _object(
        ("call_id", "name", "input"), call_id=_CALL_ID, name=_NAME, input=Str(), namespace=Str()
    ),
    "custom_tool_call_output": _object(("call_id", "output"), call_id=_CALL_ID, output=_OUTPUT),
    "reasoning": _object(
        ("summary",),
        summary=Arr(Obj({"type": Str(("summary_text",)), "text": Str()}, ("type", "text"))),
        content=Arr(Obj({"type": Str(("reasoning_text",)), "text": Str()}, ("type", "text"))),
        encrypted_content=Str(),
    ),
    "item_reference": Obj({"type": Str(), "id": Str()}, ("id",)),
    **dict.fromkeys(
        (
            "additional_tools",
            "apply_patch_call",
            "apply_patch_call_output",
            "code_interpreter_call",
            "compaction",
            "computer_call",
            "computer_call_output",
            "file_search_call",
            "image_generation_call",
            "local_shell_call",
            "local_shell_call_output",
            "mcp_approval_request",
            "mcp_approval_response",
            "mcp_call",
            "mcp_list_tools",
            "shell_call",
            "shell_call_output",
            "tool_search_call",
            "tool_search_output",
            "web_search_call",
        ),
        _HOSTED,
    ),
}
_FUNCTION = Obj(
    {
        "type": Str(),
        "name": _NAME,
        "description": Str(),
        "parameters": _SCHEMA,
        "output_schema": _SCHEMA,
        "strict": _FLAG,
        "defer_loading": _FLAG,
        "allowed_callers": Free(),
    },
    ("name",),
)
_CUSTOM = Obj({"type": Str(), "name": _NAME, "description": Str(), "format": Free(), "defer_loading": _FLAG}, ("name",))
TOOLS: dict[str, Shape] = {
    "function": _FUNCTION,
    "custom": _CUSTOM,
    "namespace": Obj(
        {
            "type": Str(),
            "name": _NAME,
            "description": Str(),
            "tools": Arr(Tagged("type", {"function": _FUNCTION, "custom": _CUSTOM}), low=1),
        },
        ("name", "tools"),
    ),
    "file_search": Obj({"type": Str(), "vector_store_ids": Arr(Str(), low=1)}, ("vector_store_ids",), open=True),
    "mcp": Obj({"type": Str(), "server_label": Str()}, ("server_label",), open=True),
    "code_interpreter": Obj({"type": Str(), "container": Free()}, ("container",), open=True),
    **dict.fromkeys(
        (
            "apply_patch",
            "computer",
            "computer_use_preview",
            "image_generation",
            "local_shell",
            "shell",
            "tool_search",
            "web_search",
            "web_search_2025_08_26",
            "web_search_preview",
            "web_search_preview_2025_03_11",
        ),
        _HOSTED,
    ),
}
