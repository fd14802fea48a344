"""Each real exchange of OpenAI's family is acceptable to the fake of its vendor, and answered in the vendor's shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. What the
fake has and no recording of the vendor has, and what a recording has and the fake has not, fails unless it is listed
in `odd.py` with a reason.
"""

import pytest

from tests.testing.exchanges import Judge
from tests.testing.openai.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN
from tests.testing.openai.recorded import answered, asked

pytestmark = pytest.mark.recordings

# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {
    "alibaba": {"chat": 3, "chat-stream": 3},
    "anthropic": {"chat": 1},
    "azure": {"chat": 7, "chat-stream": 2, "embeddings": 1, "responses": 2, "responses-stream": 1},
    "bedrock-mantle": {"chat": 1, "responses": 4, "responses-stream": 2},
    "cerebras": {"chat": 4, "models": 1},
    "cloudflare": {"chat": 2, "chat-stream": 2},
    "crusoe": {"chat": 3, "chat-stream": 1},
    "databricks": {"chat": 2, "chat-stream": 3},
    "deepseek": {"chat": 7, "chat-stream": 8, "models": 1, "responses": 4, "responses-stream": 3},
    "gemini": {"chat": 2, "chat-stream": 3},
    "groq": {"chat": 12, "chat-stream": 6},
    "huggingface": {"chat": 4, "chat-stream": 2},
    "mistral": {"chat": 13, "chat-stream": 8, "embeddings": 2, "models": 2},
    "moonshot": {"chat": 3, "chat-stream": 1},
    "ollama": {"chat": 6, "chat-stream": 3, "embeddings": 1},
    "openai": {
        "audio": 2,
        "chat": 30,
        "chat-stream": 20,
        "completions": 3,
        "completions-stream": 1,
        "embeddings": 3,
        "images": 3,
        "models": 2,
        "moderations": 2,
        "responses": 23,
        "responses-stream": 14,
    },
    "openrouter": {"chat": 12, "chat-stream": 6, "models": 2, "responses": 1, "responses-stream": 3},
    "perplexity": {"chat": 4, "chat-stream": 3, "embeddings": 1},
    "snowflake": {"chat": 4, "chat-stream": 2},
    "together": {"chat": 2, "completions": 1},
    "xai": {"chat": 4, "chat-stream": 8, "images": 1, "responses": 6, "responses-stream": 1},
    "zai": {"chat": 4, "chat-stream": 1},
}
SURFACES = {f"{vendor}/{name}": count for vendor, counts in COUNTS.items() for name, count in counts.items()}
ERROR_SURFACES = [
    f"{vendor}/error"
    for vendor in ("azure", "deepseek", "groq", "mistral", "ollama", "openai", "perplexity", "together")
]
JUDGE = Judge(
    asked,
    answered,
    not_served=NOT_SERVED,
    errors=ERRORS,
    lacks=LACKS,
    unknown=UNKNOWN,
    # Trees whose members are the caller's own.
    free=("parameters", "schema", "metadata", "input_schema", "logit_bias", "headers"),
)


@pytest.mark.parametrize("surface", SURFACES)
async def test_accepted_and_answered_in_the_vendors_shape(surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    await JUDGE.agrees(surface)

    assert len(JUDGE.judged(surface)) == SURFACES[surface]


@pytest.mark.parametrize("surface", ERROR_SURFACES)
async def test_refused_as_the_vendor_refuses(surface: str) -> None:
    """The same status, and an envelope of the same shape."""
    await JUDGE.refuses(surface)


async def test_every_exception_is_needed() -> None:
    """A pattern that excuses nothing is stale; each has its reason."""
    await JUDGE.needs_its_exceptions(SURFACES, ERROR_SURFACES)
