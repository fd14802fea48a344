"""One operation of the API: what is asked for, what is answered, and what can go wrong.

What does not live here: which there are (`calls.py`, `own.py`, `management.py`), the document (`document.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Security = Literal["none", "key", "optional", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered with one status.

    Attributes:
        text: For people.
        json: The shape of its JSON. events: The shape of the events of its stream.
        other: Further content types, of bytes or text.
        headers: Further headers, with what they tell.
    """

    text: str
    json: Any = None
    events: Any = None
    other: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A member of the path or the query."""

    name: str
    text: str
    where: Literal["path", "query", "header"] = "query"
    required: bool = False
    kind: Literal["string", "integer", "boolean"] = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path.

    Attributes:
        id: Of the operation, in generated clients.
        tag: Of its group.
        body: The shape of its JSON body. form: The shape of the fields of a form, without its files.
        files: Names of the files of the form; the first one must be there.
        body_required: It cannot do without one.
        members: Its body may have the gateway's own members.
        errors: Statuses that it may fail with, beside those that everything may.
        error: The shape of its errors; None: OpenAI's envelope.
    """

    method: Literal["get", "post", "put", "patch", "delete"]
    path: str
    id: str
    tag: str
    text: str
    answers: Mapping[int, Answer]
    body: Any = None
    form: Any = None
    files: tuple[str, ...] = ()
    body_required: bool = True
    members: bool = False
    parameters: tuple[Parameter, ...] = ()
    security: Security = "key"
    errors: tuple[int, ...] = ()
    error: Any = None
