"""An offline test double for applications that talk to language models.

    from compatgw_testing import FakeAnthropic, FakeServer

    fake = FakeAnthropic().reply("Bonjour", usage=(12, 3))
    with FakeServer(fake) as server:
        ...                                    # any client against server.origin
    assert fake.calls.last.body["max_tokens"] == 64

Names are imported when first used, so that pytest can load the plugin at no cost.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compatgw_testing.clock import VirtualClock, WallClock
    from compatgw_testing.difference import like
    from compatgw_testing.fakes import Fake, FakeAnthropic, FakeBedrock, FakeCohere, FakeGemini, FakeOpenAI
    from compatgw_testing.faults import FAULTS, ConnectionCut, ConnectionReset, ConnectRefused, Fault, ReadTimedOut
    from compatgw_testing.journal import Call, Journal
    from compatgw_testing.llm import FakeLLM
    from compatgw_testing.request import Message, Request
    from compatgw_testing.rules import Rule, RuleError, contains, glob, regex, when
    from compatgw_testing.script import (
        Failure,
        Raw,
        Script,
        ScriptError,
        ToolCall,
        Turn,
        Usage,
        fail,
        fault,
        improvise,
        refuse,
        reply,
        tool_call,
        tool_calls,
    )
    from compatgw_testing.server import FakeServer
    from compatgw_testing.stable import stable
    from compatgw_testing.verdict import Finding, Grade, Seen, grade, graded

_HOMES = {
    "clock": (
        "VirtualClock",
        "WallClock",
    ),
    "difference": ("like",),
    "fakes": (
        "Fake",
        "FakeAnthropic",
        "FakeBedrock",
        "FakeCohere",
        "FakeGemini",
        "FakeOpenAI",
    ),
    "faults": (
        "FAULTS",
        "ConnectRefused",
        "ConnectionCut",
        "ConnectionReset",
        "Fault",
        "ReadTimedOut",
    ),
    "journal": (
        "Call",
        "Journal",
    ),
    "llm": ("FakeLLM",),
    "request": (
        "Message",
        "Request",
    ),
    "rules": (
        "Rule",
        "RuleError",
        "contains",
        "glob",
        "regex",
        "when",
    ),
    "script": (
        "Failure",
        "Raw",
        "Script",
        "ScriptError",
        "ToolCall",
        "Turn",
        "Usage",
        "fail",
        "fault",
        "improvise",
        "refuse",
        "reply",
        "tool_call",
        "tool_calls",
    ),
    "server": ("FakeServer",),
    "stable": ("stable",),
    "verdict": (
        "Finding",
        "Grade",
        "Seen",
        "grade",
        "graded",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FAULTS",
    "Call",
    "ConnectRefused",
    "ConnectionCut",
    "ConnectionReset",
    "Failure",
    "Fake",
    "FakeAnthropic",
    "FakeBedrock",
    "FakeCohere",
    "FakeGemini",
    "FakeLLM",
    "FakeOpenAI",
    "FakeServer",
    "Fault",
    "Finding",
    "Grade",
    "Journal",
    "Message",
    "Raw",
    "ReadTimedOut",
    "Request",
    "Rule",
    "RuleError",
    "Script",
    "ScriptError",
    "Seen",
    "ToolCall",
    "Turn",
    "Usage",
    "VirtualClock",
    "WallClock",
    "contains",
    "fail",
    "fault",
    "glob",
    "grade",
    "graded",
    "improvise",
    "like",
    "refuse",
    "regex",
    "reply",
    "stable",
    "tool_call",
    "tool_calls",
    "when",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'compatgw_testing' has no attribute {name!r}")
    value: object = getattr(import_module(f"compatgw_testing.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
