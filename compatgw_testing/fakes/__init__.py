"""One fake server per dialect, each written from its vendor's documents and from nothing of the gateway.

`base` drives a fake (script, journal), `answer` is what passes between it and a dialect, `delivery`
sends and goes wrong, `shape` checks JSON against a description;
each dialect has a package with its rules, its answers and its streams. They never import
another dialect's package.
"""

from compatgw_testing.fakes.anthropic import FakeAnthropic
from compatgw_testing.fakes.base import Fake
from compatgw_testing.fakes.bedrock import FakeBedrock
from compatgw_testing.fakes.cohere import FakeCohere
from compatgw_testing.fakes.gemini import FakeGemini
from compatgw_testing.fakes.openai import FakeOpenAI
from compatgw_testing.faults import ConnectionCut

__all__ = ["ConnectionCut", "Fake", "FakeAnthropic", "FakeBedrock", "FakeCohere", "FakeGemini", "FakeOpenAI"]
