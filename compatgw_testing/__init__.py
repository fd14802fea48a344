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
    from compatgw_testing.fakes import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
    from compatgw_testing.faults import FAULTS, ConnectionCut, Fault
    from compatgw_testing.journal import Call, Journal
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
        refuse,
        reply,
        tool_call,
        tool_calls,
    )
    from compatgw_testing.server import FakeServer

_HOMES = {
    "fakes": ("Fake", "FakeAnthropic", "FakeCohere", "FakeGemini", "FakeOpenAI"),
    "faults": ("FAULTS", "ConnectionCut", "Fault"),
    "journal": ("Call", "Journal"),
    "script": (
        *("Failure", "Raw", "Script", "ScriptError", "ToolCall", "Turn", "Usage"),
        *("fail", "fault", "refuse", "reply", "tool_call", "tool_calls"),
    ),
    "server": ("FakeServer",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FAULTS",
    "Call",
    "ConnectionCut",
    "Failure",
    "Fake",
    "FakeAnthropic",
    "FakeCohere",
    "FakeGemini",
    "FakeOpenAI",
    "FakeServer",
    "Fault",
    "Journal",
    "Raw",
    "Script",
    "ScriptError",
    "ToolCall",
    "Turn",
    "Usage",
    "fail",
    "fault",
    "refuse",
    "reply",
    "tool_call",
    "tool_calls",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'compatgw_testing' has no attribute {name!r}")
    value: object = getattr(import_module(f"compatgw_testing.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
