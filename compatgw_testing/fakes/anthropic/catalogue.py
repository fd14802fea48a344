"""What Anthropic tells of a model.

What does not live here: which model takes what (`models.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.anthropic.models import limits_of

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json

_EDITS = ("clear_tool_uses_20250919", "clear_thinking_20251015", "compact_20260112")


def entry_of(name: str) -> Json:
    """The model as the list and its own address show it; of a model that nothing is known of, the least."""
    limits = limits_of(name)
    entry: Json = {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
    }
    if limits.max_output is None:
        return entry
    return {
        **entry,
        "lifecycle": "active",
        "max_input_tokens": limits.max_input,
        "max_tokens": limits.max_output,
        "capabilities": {
            "batch": _is(True),
            "citations": _is(True),
            "code_execution": _is(limits.max_input > 200_000),
            "context_management": {**_is(True), **{edit: _is(True) for edit in _EDITS}},
            "effort": {
                **_is(bool(limits.efforts)),
                **{level: _is(level in limits.efforts) for level in ("low", "medium", "high", "xhigh", "max")},
            },
            "image_input": _is(True),
            "pdf_input": _is(True),
            "structured_outputs": _is(limits.structured),
            "thinking": {
                **_is(limits.thinking != ("disabled",)),
                "types": {
                    kind: _is(kind in limits.thinking) for kind in ("enabled", "adaptive", "disabled", "between_tools")
                },
            },
        },
    }


def _is(supported: bool) -> Json:
    return {"supported": supported}
