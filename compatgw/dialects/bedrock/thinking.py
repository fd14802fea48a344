"""Where a model on Bedrock has its thinking and its effort: in fields of its own vendor's.

What does not live here: how much it is to think (`blocks/thinking.py`), thinking blocks (`blocks/thoughts.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.blocks.thinking import Plan


def fields(planned: Plan, traits: Traits) -> dict[str, Any]:
    """What of the plan goes into `additionalModelRequestFields`."""
    out: dict[str, Any] = {} if planned.thinking is None else {"thinking": planned.thinking}
    if planned.effort is None:
        return out
    path, _, value = traits.switch.partition("=")
    return merged(merged(out, placed(path, value)), placed(traits.effort, planned.effort))


def placed(path: str, value: Any) -> dict[str, Any]:
    """`value` at `path` (names joined by dots) of an object that holds nothing else; {} for no path."""
    found: Any = value
    for name in reversed(path.split(".")) if path else ():
        found = {name: found}
    return found if path else {}


def merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Both objects in one; where both hold something else, the second wins."""
    out = dict(low)
    for name, value in high.items():
        below = out.get(name)
        out[name] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return out
