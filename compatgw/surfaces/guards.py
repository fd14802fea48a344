"""Which guardrails a request asks for: the member `guardrails` and the header `X-Guardrails`.

    {"guardrails": {"input": ["pii"], "output": [{"name": "schema_validation", "schema": {...}, "repair": 2}]}}
    X-Guardrails: pii,content_moderation        both ways

What does not live here: what they are (`guardrails/`), which ones a call has in the end (`flow/guarding.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

Action = Literal["redact", "block", "restore"]
ACTIONS = ("redact", "block", "restore")
MAX_GUARDS = 16
MAX_REPAIR = 3
_MEMBERS = ("name", "action", "kinds", "schema", "repair", "threshold")
_NAME = 64


@dataclass(frozen=True, slots=True)
class Guard:
    """One guardrail as somebody asks for it.

    Attributes:
        name: `pii`, `content_moderation`, `schema_validation`, or one of the operator's own.
        action: What becomes of what it finds. None: as configured.
        kinds: Of personal data. None: as configured.
        schema: JSON Schema that an answer has to follow. None: the one of `response_format`.
        repair: Rounds in which a model may mend its answer.
        threshold: Score from which a category counts. None: as configured.
        param: Where it was asked for.
    """

    name: str
    action: Action | None = None
    kinds: tuple[str, ...] | None = None
    schema: Any = None
    repair: int = 0
    threshold: float | None = None
    param: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Guards:
    """The guardrails of one way in and out, in no particular order."""

    input: tuple[Guard, ...] = ()
    output: tuple[Guard, ...] = ()

    def __add__(self, more: Guards) -> Guards:
        """These, and of `more` what is not among them by name: what stands first cannot be changed by what follows."""
        return Guards(_joined(self.input, more.input), _joined(self.output, more.output))


NONE = Guards()


def _joined(first: tuple[Guard, ...], more: tuple[Guard, ...]) -> tuple[Guard, ...]:
    names = {guard.name for guard in first}
    return (*first, *[guard for guard in more if guard.name not in names])


def read(value: Any, param: str) -> Guards:
    """What the member says.

    Raises:
        InvalidRequest: It is not an object of lists, or something in it has a wrong type, name or range.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"'{param}' must be an object with 'input' and 'output'.", param=param, code="invalid_type"
        )
    for name in value:
        if name not in ("input", "output"):
            path = f"{param}.{name[:_NAME]}"
            raise InvalidRequest(f"'{path}' is not known. Known are 'input' and 'output'.", param=path)
    return Guards(_list(value.get("input"), f"{param}.input"), _list(value.get("output"), f"{param}.output"))


def from_header(value: str) -> Guards:
    """What `X-Guardrails` says: names, for both ways.

    Raises:
        InvalidRequest: There are too many, or one is no name.
    """
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if len(names) > MAX_GUARDS or any(len(name) > _NAME or not name.isprintable() for name in names):
        raise InvalidRequest(
            f"The header X-Guardrails takes up to {MAX_GUARDS} names with commas between.", param="X-Guardrails"
        )
    both = tuple(Guard(name, param="X-Guardrails") for name in names)
    return Guards(both, both)


def _list(value: Any, param: str) -> tuple[Guard, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidRequest(f"'{param}' must be a list.", param=param, code="invalid_type")
    if len(value) > MAX_GUARDS:
        raise InvalidRequest(f"'{param}' may name {MAX_GUARDS} guardrails at most.", param=param)
    found = tuple(_one(item, f"{param}[{place}]") for place, item in enumerate(value))
    if len({guard.name for guard in found}) < len(found):
        raise InvalidRequest(f"'{param}' names a guardrail twice.", param=param)
    return found


def _one(value: Any, param: str) -> Guard:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{param}' must be a guardrail's name, or an object.", param=param, code="invalid_type")
    for name in value:
        if name not in _MEMBERS:
            path = f"{param}.{name[:_NAME]}"
            raise InvalidRequest(f"'{path}' is not known. Known are {', '.join(_MEMBERS)}.", param=path)
    given = cast("Mapping[str, Any]", {name: one for name, one in value.items() if one is not None})
    name = given.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= _NAME:
        raise InvalidRequest(
            f"'{param}.name' must be a guardrail's name.", param=f"{param}.name", code="missing_parameter"
        )
    return Guard(
        name,
        _action(given.get("action"), f"{param}.action"),
        _kinds(given.get("kinds"), f"{param}.kinds"),
        _schema(given.get("schema"), f"{param}.schema"),
        _repair(given.get("repair", 0), f"{param}.repair"),
        _threshold(given.get("threshold"), f"{param}.threshold"),
        param,
    )


def _action(value: Any, param: str) -> Action | None:
    if value is not None and value not in ACTIONS:
        raise InvalidRequest(f"'{param}' must be one of 'redact', 'block', 'restore'.", param=param)
    return cast("Action | None", value)


def _kinds(value: Any, param: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(kind, str) for kind in value):
        raise InvalidRequest(f"'{param}' must be a list of kinds of data.", param=param, code="invalid_type")
    return tuple(dict.fromkeys(value))


def _schema(value: Any, param: str) -> Any:
    if value is not None and not isinstance(value, dict | bool):
        raise InvalidRequest(f"'{param}' must be a JSON Schema.", param=param, code="invalid_type")
    return value


def _repair(value: Any, param: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_REPAIR:
        raise InvalidRequest(f"'{param}' must be a whole number from 0 to {MAX_REPAIR}.", param=param)
    return value


def _threshold(value: Any, param: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"'{param}' must be a number from 0 to 1.", param=param)
    return float(value)
