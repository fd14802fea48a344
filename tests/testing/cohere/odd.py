"""Where the fake of Cohere is not like a recording, each with the reason.

Patterns are matched from the beginning of a path (`LACKS`), of a path and a type (`UNKNOWN`), or anywhere in the name
and the address of an exchange (`NOT_SERVED`, `ERRORS`).
"""

from tests.testing.exchanges import Odd

# Exchanges that are no business of this fake.
NOT_SERVED = (Odd("langchain-cohere--test-langchain-cohere-aembedding-documents-int8", "version 1 is not faked"),)
# Refusals that a fake cannot give.
ERRORS = (
    Odd("ruby_llm--chat-real-error-scenarios-.*-context-length-exceeded", "the long text is not in the recording"),
    Odd("openllmetry--agents-test-agent-with-multiple-tools-5", "version 1 is not faked"),
)
# What recordings have and the fake has not.
LACKS = (
    Odd(r"\.message\.citations|citation-(?:start|end)", "nothing is cited"),
    Odd(r"message-end\.delta\.error", "the model's own output was the fault", "cohere/chat-v2-stream"),
    Odd(r"tool-plan-delta", "a plan, and then a fault in place of the call", "cohere/chat-v2-stream"),
    Odd(r"\.config", "how the vendor runs the model", "cohere/models"),
    Odd(r"\.default_endpoints\[\]", "of one model only", "cohere/models"),
    Odd(r"(?:message-end\.delta|)\.usage\.tokens\.image_tokens", "pictures are not counted"),
)
# What the fake has and no recording has.
UNKNOWN = (Odd(r"\.is_deprecated boolean", "newer than the recordings; the SDK knows it", "cohere/models"),)
