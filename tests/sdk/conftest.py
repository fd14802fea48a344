"""The same gateway for every SDK test: four fakes in process, the gateway itself on a real port."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}


class Scene(NamedTuple):
    """One upstream protocol behind a gateway on a port.

    Attributes:
        model: What a client asks for.
        fake: The upstream.
        origin: The gateway's address, without `/v1`.
    """

    model: str
    fake: Any
    origin: str


@pytest.fixture(params=sorted(MODELS))
def scene(request: pytest.FixtureRequest, gateway: Any, serve: Callable[..., str]) -> Scene:
    """Each of the four protocols in turn."""
    return Scene(MODELS[request.param], request.getfixturevalue(f"fake_{request.param}"), serve(gateway))
