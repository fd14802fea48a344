"""Prompt templates: messages of which parts are filled in by each call.

What does not live here: filling in (`policy/prompts.py`), where templates are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "developer", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant")
PRODUCTION = "production"
"""The label of the version that is used when a call names none."""
LATEST = "latest"
"""Stands for the newest version; no version bears it."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a template."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a template.

    Attributes:
        name: What calls name it by.
        version: Counted from 1.
        labels: Names of this version, such as `production`.
        messages: Of which at least one.
    """

    name: str
    version: int
    labels: frozenset[str] = frozenset()
    messages: tuple[PromptMessage, ...]
