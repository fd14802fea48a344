"""Where the fake of Anthropic is not like a recording, each with the reason.

Patterns are matched from the beginning of a path (`LACKS`), of a path and a type (`UNKNOWN`), or anywhere in the name
and the address of an exchange (`NOT_SERVED`, `ERRORS`).
"""

from tests.testing.exchanges import Odd

_OWN = "(?:server_tool_use|[a-z_]*_tool_result|mcp_tool_use|compaction|fallback)"
_MESSAGE = r"(?:message|message_start\.message<message>)"
_END = r"(?:message|message_delta)"

# Exchanges that are no business of this fake.
NOT_SERVED: tuple[Odd, ...] = ()
# Refusals that a fake cannot give.
ERRORS = (Odd("ellmer--anthropic-upload-file-4", "the content of a file: a surface that is not faked"),)
# What recordings have and the fake has not.
LACKS = (
    Odd(rf"message\.content\[\]<{_OWN}>", "tools that the vendor runs itself are not run"),
    Odd(rf"content_block_start\.content_block<{_OWN}>", "tools that the vendor runs itself are not run"),
    Odd(
        r"content_block_st(?:art|op)(?:\.index|\.type)?$",
        "nothing but tools of the vendor's own",
        "anthropic/messages-stream",
    ),
    Odd(
        r"content_block_delta\.delta<input_json_delta>",
        "the input of the vendor's own tools",
        "anthropic/messages-stream",
    ),
    Odd(rf"{_MESSAGE}\.content\[\]<tool_use>\.caller", "a program of the vendor's calls the tool"),
    Odd(r"content_block_start\.content_block<tool_use>\.caller", "a program of the vendor's calls the tool"),
    Odd(rf"(?:{_MESSAGE}|message_delta\.delta)\.container", "programs of the vendor's are not run"),
    Odd(r"message_start\.message<message>\.content\[\]", "goes on with a message that a program interrupted"),
    Odd(rf"{_END}\.usage\.iterations", "there is one iteration: nothing is run, compacted or tried elsewhere"),
    Odd(r".*\.usage\.server_tool_use", "tools that the vendor runs itself are not run"),
    Odd(rf"{_END}\.context_management", "nothing is edited out of the context"),
    Odd(r".*\.citations|content_block_delta\.delta<citations_delta>", "nothing is cited"),
    Odd(r"content_block_delta\.delta<compaction_delta>", "nothing is compacted"),
    Odd(r"(?:message|message_start\.message<message>|message_delta\.delta)\.stop_details", "null, only lately"),
    Odd(rf"{_MESSAGE}\.usage\.inference_geo", "only of some accounts"),
    Odd(rf"{_END}\.usage\.output_tokens_details", "0, only lately; the fake tells it when there was thought"),
)
# What the fake has and no recording has.
UNKNOWN = (
    Odd(r"\.data\[\]<model>\.capabilities\.thinking\.types\.(?:between_tools|disabled)", "newer", "anthropic/models"),
    Odd(r"\.data\[\]<model>\.lifecycle", "newer than the recordings; the SDK knows it", "anthropic/models"),
)
