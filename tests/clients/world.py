"""What other people's clients are set upon: a gateway over four fakes that answer by what they are asked.

What does not live here: the clients (`programs/`), who starts them (`running.py`).
"""

from compatgw import Gateway
from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, contains, reply, tool_call
from compatgw_testing.harness import gateway_over
from compatgw_testing.request import Request

BONJOUR = "Bonjour le monde, comment allez-vous?"
RAIN = "It rains in Paris."
UPSTREAMS: dict[str, dict[str, str]] = {
    "openai": {"model": "openai/gpt-4o-mini", "embedding": "openai/text-embedding-3-small"},
    "anthropic": {"model": "anthropic/claude-sonnet-4-5"},
    "gemini": {"model": "gemini/gemini-2.5-flash", "embedding": "gemini/gemini-embedding-001"},
    "cohere": {
        "model": "cohere/command-a-03-2025",
        "embedding": "cohere/embed-v4.0",
        "rerank": "cohere/rerank-v3.5",
    },
}


def in_words(request: Request) -> bool:
    """Whether the shape of the answer is neither a schema nor a tool's."""
    return request.schema is None and request.force is None


def world() -> Gateway:
    """The gateway. `bonjour` gets a greeting, `weather` a call of a tool and then a sentence, all else what fits."""
    fakes = {
        "openai": FakeOpenAI(unscripted="answer"),
        "anthropic": FakeAnthropic(unscripted="answer"),
        "gemini": FakeGemini(unscripted="answer"),
        "cohere": FakeCohere(unscripted="answer"),
    }
    for fake in fakes.values():
        fake.on(user=contains("bonjour")).always(reply(BONJOUR, usage=(7, 3)))
        fake.on(user=contains("weather"), tools="get_weather", results=0).always(tool_call("get_weather", city="Paris"))
        fake.on(user=contains("weather"), tools="get_weather", results=1).always(reply(RAIN))
        # Who only asks for JSON in words gets it; who gives a schema gets what was made up from it.
        fake.on(user=contains("person"), where=in_words).always(reply('{"name": "Ann", "age": 41}'))
    return gateway_over(fakes)
