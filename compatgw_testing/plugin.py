"""The pytest plugin: fixtures that hand out fakes and a gateway over them.

pytest loads this file into every test run of whoever installed the package, so it imports
pytest and nothing else; the fakes, the gateway and what they need are imported when a
fixture first asks. It is the only file of the package that imports pytest.

Each fixture has a prefixed name (`compatgw_fake_openai`) that cannot clash, and a short
one (`fake_openai`) that is the very same object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from compatgw import Gateway
    from compatgw_testing.fakes.anthropic import FakeAnthropic
    from compatgw_testing.fakes.cohere import FakeCohere
    from compatgw_testing.fakes.gemini import FakeGemini
    from compatgw_testing.fakes.openai import FakeOpenAI


@pytest.fixture
def compatgw_fake_openai(request: pytest.FixtureRequest) -> FakeOpenAI:
    """A fresh fake of OpenAI's API; its ids and texts follow from the test's name."""
    from compatgw_testing.fakes.openai import FakeOpenAI

    return FakeOpenAI(seed=request.node.nodeid)


@pytest.fixture
def compatgw_fake_anthropic(request: pytest.FixtureRequest) -> FakeAnthropic:
    """A fresh fake of Anthropic's API; its ids and texts follow from the test's name."""
    from compatgw_testing.fakes.anthropic import FakeAnthropic

    return FakeAnthropic(seed=request.node.nodeid)


@pytest.fixture
def compatgw_fake_gemini(request: pytest.FixtureRequest) -> FakeGemini:
    """A fresh fake of the Gemini API; its ids and texts follow from the test's name."""
    from compatgw_testing.fakes.gemini import FakeGemini

    return FakeGemini(seed=request.node.nodeid)


@pytest.fixture
def compatgw_fake_cohere(request: pytest.FixtureRequest) -> FakeCohere:
    """A fresh fake of Cohere's API; its ids and texts follow from the test's name."""
    from compatgw_testing.fakes.cohere import FakeCohere

    return FakeCohere(seed=request.node.nodeid)


@pytest.fixture
def compatgw_gateway(
    request: pytest.FixtureRequest,
    compatgw_fake_openai: FakeOpenAI,
    compatgw_fake_anthropic: FakeAnthropic,
    compatgw_fake_gemini: FakeGemini,
    compatgw_fake_cohere: FakeCohere,
) -> Gateway:
    """A real gateway whose upstreams are the four fakes of this test, all in process, with the key `test-key`."""
    from compatgw_testing.harness import gateway_over

    return gateway_over(
        seed=request.node.nodeid,
        openai=compatgw_fake_openai,
        anthropic=compatgw_fake_anthropic,
        gemini=compatgw_fake_gemini,
        cohere=compatgw_fake_cohere,
    )


@pytest.fixture
def fake_openai(compatgw_fake_openai: FakeOpenAI) -> FakeOpenAI:
    """The same object as `compatgw_fake_openai`."""
    return compatgw_fake_openai


@pytest.fixture
def fake_anthropic(compatgw_fake_anthropic: FakeAnthropic) -> FakeAnthropic:
    """The same object as `compatgw_fake_anthropic`."""
    return compatgw_fake_anthropic


@pytest.fixture
def fake_gemini(compatgw_fake_gemini: FakeGemini) -> FakeGemini:
    """The same object as `compatgw_fake_gemini`."""
    return compatgw_fake_gemini


@pytest.fixture
def fake_cohere(compatgw_fake_cohere: FakeCohere) -> FakeCohere:
    """The same object as `compatgw_fake_cohere`."""
    return compatgw_fake_cohere


@pytest.fixture
def gateway(compatgw_gateway: Gateway) -> Gateway:
    """The same object as `compatgw_gateway`."""
    return compatgw_gateway
