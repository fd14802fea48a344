"""Where the fake of Gemini is not like a recording, each with the reason.

Patterns are matched from the beginning of a path (`LACKS`), of a path and a type (`UNKNOWN`), or anywhere in the name
and the address of an exchange (`NOT_SERVED`, `ERRORS`).
"""

from tests.testing.exchanges import Odd

# Exchanges that are no business of this fake.
NOT_SERVED = (
    Odd("chatlas--batch-chat-test-can-submit-google-batch", "a batch: a surface that is not faked"),
    Odd("otel-contrib--test-(?:generate-content-extra-params|function-call-choice)", "enums are asked for as numbers"),
)
# Refusals that a fake cannot give.
ERRORS = (
    Odd("vercel-ai--fixtures-google-429-retry-info", "the vendor's own rate limit"),
    Odd("pydantic-ai--multimodal-tool-returns-.*-url-i", "the vendor could not download the image"),
)
# What recordings have and the fake has not.
LACKS = (
    Odd(
        r"\.candidates\[\]\.content\.parts\[\]\.(?:executableCode|codeExecutionResult|toolCall|toolResponse)",
        "tools that the vendor runs itself are not run",
    ),
    Odd(r"\.candidates\[\]\.(?:groundingMetadata|urlContextMetadata)", "nothing is searched or fetched"),
    Odd(r"\.usageMetadata\.toolUsePrompt", "tools that the vendor runs itself are not run"),
    Odd(r"\.candidates\[\]\.content\.parts\[\]\.inlineData", "no pictures are made", "gemini/generate"),
    Odd(r"\.candidates\[\]\.content\.parts(?:\[\])?$", "no pictures are made", "gemini/generate"),
    Odd(r"\.candidates\[\]\.content\.parts\[\]\.functionCall\.(?:partialArgs|willContinue)", "calls come whole"),
    Odd(r"\.candidates\[\]\.content\.parts\[\]\.thoughtSignature", "where nothing was thought", ".*generate.*"),
    Odd(r"\.candidates\[\]\.safetyRatings", "only of the first models", "gemini/generate"),
    Odd(r"\.candidates\[\]\.avgLogprobs", "only sometimes, on Vertex", "vertex/generate"),
    Odd(r"\.usageMetadata\.cacheTokensDetails", "only of some models"),
    Odd(r"\.usageMetadata\.candidatesTokensDetails", "only of some models", "gemini/.*"),
    Odd(r"\.(?:createTime|usageMetadata\.trafficType)", "recorded on Vertex", "gemini/generate-stream"),
)
# What the fake has and no recording has.
UNKNOWN = (
    Odd(
        r"\.candidates\[\]\.content\.parts\[\]\.functionCall\.args object",
        "the only calls recorded have their arguments in pieces",
        "vertex/generate-stream",
    ),
)
