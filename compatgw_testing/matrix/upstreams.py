"""The upstream dialects of the matrix: five vendors' own, and those who speak OpenAI's with habits of theirs.

What does not live here: the fakes (`fakes/`), what is played on them (`scenarios/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compatgw_testing.fakes.anthropic import FakeAnthropic
from compatgw_testing.fakes.base import Fake
from compatgw_testing.fakes.bedrock import FakeBedrock
from compatgw_testing.fakes.cohere import FakeCohere
from compatgw_testing.fakes.gemini import FakeGemini
from compatgw_testing.fakes.openai import FakeOpenAI

_FAKES: Mapping[str, type[Fake]] = {
    "anthropic": FakeAnthropic,
    "bedrock": FakeBedrock,
    "cohere": FakeCohere,
    "gemini": FakeGemini,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One upstream.

    Attributes:
        name: By which cases and gateways call it.
        dialect: What it speaks.
        model: The model that is asked.
        thinker: Its model that thinks; None where thought is never shown.
        shown: Its model that shows its thought to one client surface alone, by the surface's name.
        gives: What it can do beside text: `tools`, `parallel` calls, `schema`, `json`, `image`, `document`, `cached`
            and `cache_write` counts, `reasoning` counts, `refusal`, a `required` call, `choice` of a tool,
            `error_event` in a stream, `fragments` of tool calls, `sealed` thought.
        also: Client surfaces whose own protocol it speaks beside that of its dialect.
    """

    name: str
    dialect: str
    model: str
    thinker: str | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    gives: frozenset[str]
    also: frozenset[str] = frozenset()

    def thinks(self, client: str) -> str | None:
        """Its model whose thought a client surface sees; None for none."""
        return self.shown.get(client, self.thinker)

    def fake(self, seed: int | str) -> Fake:
        """A fresh fake of it."""
        if (make := _FAKES.get(self.dialect)) is not None:
            return make(seed=seed)
        return FakeOpenAI(habit=self.name, seed=seed)


_TOOLS = frozenset({"tools", "parallel", "required", "choice", "fragments"})
_SIMPLE = _TOOLS - {"fragments"} | {"error_event"}
_ALL = _TOOLS | {"schema", "json", "image", "cached", "error_event"}
_RESPONSES = frozenset({"responses"})
_ROWS = (
    Upstream(
        name="openai",
        dialect="openai",
        model="gpt-4o",
        shown={"responses": "gpt-5"},
        gives=_ALL | {"document", "reasoning", "refusal"},
        also=_RESPONSES,
    ),
    Upstream(
        name="anthropic",
        dialect="anthropic",
        model="claude-sonnet-4-5",
        thinker="claude-sonnet-4-5",
        gives=_ALL - {"json"} | {"document", "cache_write", "refusal", "sealed"},
    ),
    Upstream(
        name="gemini",
        dialect="gemini",
        model="gemini-2.5-flash",
        thinker="gemini-3-pro-preview",
        gives=_ALL | {"document", "reasoning"},
    ),
    Upstream(
        name="cohere",
        dialect="cohere",
        model="command-a-03-2025",
        thinker="command-a-reasoning-08-2025",
        gives=_TOOLS - {"choice"} | {"schema", "json", "cached", "error_event"},
    ),
    Upstream(
        name="bedrock",
        dialect="bedrock",
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        thinker="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        gives=_ALL - {"json"} | {"document", "cache_write", "sealed"},
    ),
    Upstream(
        name="azure",
        dialect="openai",
        model="gpt-4o",
        gives=_ALL | {"document", "reasoning", "refusal"},
        also=_RESPONSES,
    ),
    Upstream(
        name="groq",
        dialect="openai",
        model="llama-3.3-70b-versatile",
        thinker="openai/gpt-oss-20b",
        gives=_ALL - {"cached", "fragments"},
        also=_RESPONSES,
    ),
    Upstream(
        name="mistral",
        dialect="openai",
        model="mistral-small-latest",
        thinker="magistral-small-latest",
        gives=_ALL - {"error_event", "fragments"},
    ),
    Upstream(
        name="deepseek",
        dialect="openai",
        model="deepseek-chat",
        thinker="deepseek-reasoner",
        gives=_TOOLS | {"json", "cached", "error_event"},
        also=_RESPONSES,
    ),
    Upstream(
        name="openrouter",
        dialect="openai",
        model="openai/gpt-4o-mini",
        thinker="openai/gpt-oss-20b",
        gives=_ALL,
        also=_RESPONSES,
    ),
    Upstream(name="perplexity", dialect="openai", model="sonar", gives=frozenset({"schema", "image"})),
)
# Others who speak OpenAI's protocol: of these only text, tools and failures are played.
_OTHERS = (
    *("xai", "cerebras", "moonshot", "together", "fireworks", "huggingface", "nvidia", "github", "cloudflare"),
    *("sambanova", "vllm", "sglang", "llamacpp", "lmstudio"),
)
_NO_DEMANDS = ("zai", "ollama")
_BOTH = frozenset({"xai", "fireworks", "cloudflare", "vllm", "sglang", "llamacpp", "lmstudio", "ollama", "huggingface"})


def _other(name: str, gives: frozenset[str]) -> Upstream:
    also = _RESPONSES if name in _BOTH else frozenset[str]()
    return Upstream(name=name, dialect="openai", model="some-model", gives=gives, also=also)


UPSTREAMS: Mapping[str, Upstream] = {
    row.name: row
    for row in (
        *_ROWS,
        *(_other(name, _SIMPLE) for name in _OTHERS),
        *(_other(name, _SIMPLE - {"required", "choice"}) for name in _NO_DEMANDS),
    )
}
