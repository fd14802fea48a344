"""What reasoning models refuse, told by the model's id: a table of patterns, not of providers.

The id is read behind its last slash, so `openai/gpt-5` at a router follows the same rule.
Configuration overrides any member of a row (`traits` of a model), which is also the way for
Azure deployments, whose names say nothing.

What does not live here: what a provider's whole API refuses (`Quirks`, `providers/table.py`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from compatgw.dialects.base import EMPTY

SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias")
LOGPROBS = ("logprobs", "top_logprobs")


@dataclass(frozen=True, slots=True)
class Traits:
    """How one family of models differs.

    Attributes:
        max_tokens: The only member that limits the answer, "" when either is taken.
        sampling: When temperature and its kin are taken: `always`, `never`, `unless_reasoning`
            (not while `reasoning_effort` asks for any), or `at_none` (only with effort `none`).
        efforts: `reasoning_effort` values that are taken, each with itself; empty: all.
        drop: Hints that are refused.
        reject: Members that change the answer and are refused.
    """

    max_tokens: Literal["", "max_tokens", "max_completion_tokens"] = ""
    sampling: Literal["always", "never", "unless_reasoning", "at_none"] = "always"
    efforts: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    drop: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()

    def samples(self, effort: str | None) -> bool:
        """True when sampling members are taken beside `reasoning_effort` of `effort`."""
        if self.sampling == "unless_reasoning":
            return effort in (None, "none")
        if self.sampling == "at_none":
            return effort == "none"
        return self.sampling == "always"


PLAIN = Traits()
_NEW: Literal["max_completion_tokens"] = "max_completion_tokens"
_STOP = frozenset({"stop"})
_PARALLEL = frozenset({"parallel_tool_calls"})
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})


def _words(*words: str) -> Mapping[str, str]:
    return MappingProxyType({word: word for word in words})


_GRADES = _words("low", "medium", "high")

# The first pattern that matches decides. From 5.1 to 5.4 the default effort is `none`, from 5.5 `medium`.
_TABLE: tuple[tuple[re.Pattern[str], Traits], ...] = (
    (re.compile(r"gpt-5[\d.]*-chat"), Traits(_NEW)),
    (re.compile(r"gpt-5\.1(?!\d)"), Traits(_NEW, "unless_reasoning", _words("none", *_GRADES), reject=_STOP)),
    (re.compile(r"gpt-5\.[2-4](?!\d)"), Traits(_NEW, "unless_reasoning", reject=_STOP)),
    (re.compile(r"gpt-5\.\d"), Traits(_NEW, "at_none", reject=_STOP)),
    (re.compile(r"gpt-5"), Traits(_NEW, "never", _words("minimal", *_GRADES), reject=_STOP)),
    (re.compile(r"gpt-[6-9](?!\d)"), Traits(_NEW, "at_none", reject=_STOP)),
    (re.compile(r"gpt-[34]"), Traits(drop=frozenset({"reasoning_effort", "verbosity"}))),
    (re.compile(r"(o1|o3-mini)(?![a-z0-9])"), Traits(_NEW, "never", _GRADES, _PARALLEL)),
    (re.compile(r"o[1-9](?![a-z0-9])"), Traits(_NEW, "never", _GRADES, _PARALLEL, _STOP)),
    # Kimi's thinking models have one temperature each and refuse any other.
    (re.compile(r"kimi-k[3-9](?!\d)"), Traits(_NEW, "never")),
    (re.compile(r"kimi-k2\.[5-9]|kimi.*thinking"), Traits("max_tokens", "never")),
    (re.compile(r"kimi|moonshot"), Traits("max_tokens")),
    (re.compile(r"grok-3-mini"), Traits(drop=_PENALTIES, reject=_STOP)),
    (
        re.compile(r"grok-4(\.20)?(?![.\d])(?!.*non-reasoning)"),
        Traits(drop=_PENALTIES | {"reasoning_effort"}, reject=_STOP),
    ),
)


@lru_cache(maxsize=1024)
def known(model: str) -> Traits:
    """The table's row for `model`, `PLAIN` when it has none."""
    name = model.rpartition("/")[2].lower()
    for pattern, traits in _TABLE:
        if pattern.match(name):
            return traits
    return PLAIN


def traits_of(model: str, overrides: Mapping[str, Any]) -> Traits:
    """The table's row for `model`, with what the configuration says of it.

    Args:
        model: The upstream's id.
        overrides: Members of `Traits`; others are ignored, they are another dialect's.
    """
    traits = known(model)
    changed: dict[str, Any] = {name: overrides[name] for name in Traits.__dataclass_fields__ if name in overrides}
    for name in ("drop", "reject"):
        if name in changed:
            changed[name] = frozenset(changed[name])
    if isinstance(changed.get("efforts"), (list, tuple)):
        changed["efforts"] = _words(*changed["efforts"])
    return dataclasses.replace(traits, **changed) if changed else traits
