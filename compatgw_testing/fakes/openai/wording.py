"""The words in which OpenAI refuses a request, the same on every surface.

What does not live here: what is refused (the rules of each surface).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.shape import Obj, Violation, check, kind_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape

_WORDS = {
    "type": ("invalid_type", "expected {want}, got {got}"),
    "value": ("invalid_value", "{got} is none of {want}"),
    "low": ("integer_below_min_value", "expected {want} or more, got {got}"),
    "high": ("integer_above_max_value", "expected {want} or less, got {got}"),
    "short": ("string_below_min_length", "expected {want} characters or more"),
    "long": ("string_above_max_length", "expected a maximum length of {want}, got length {length}"),
    "few": ("empty_array", "expected an array of {want} or more, got {got}"),
    "many": ("array_above_max_length", "expected an array of {want} or less, got {got}"),
    "pattern": ("invalid_value", "string does not match pattern. Expected a string that matches '^{want}$'"),
}


def refuse(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> Refused:
    """A refusal as an exception, for raising."""
    return Refused(Problem(status=status, message=message, type="invalid_request_error", param=param, code=code))


def phrased(violation: Violation) -> Refused:
    """A violation of a shape, as OpenAI says it."""
    param = written(violation.path)
    if violation.kind == "missing":
        return refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    if violation.kind == "unknown":
        return refuse(f"Unknown parameter: '{param}'.", param, "unknown_parameter")
    code, words = _WORDS[violation.kind]
    got = violation.got
    if violation.kind in ("low", "high") and isinstance(got, float):
        code = code.replace("integer", "decimal")
    shown = kind_of(got) if violation.kind == "type" else repr(got)
    length = len(got) if isinstance(got, str) else 0
    return refuse(f"Invalid '{param}': {words.format(want=violation.want, got=shown, length=length)}.", param, code)


def members_of(body: Any, fields: Mapping[str, Shape], required: tuple[str, ...], habit: Habit) -> Json:
    """The members of a request that are not null.

    Raises:
        Refused: It is no object, has a member that the vendor does not know, or one of a wrong shape.
    """
    if not isinstance(body, dict):
        raise refuse("The JSON body has to be an object.")
    known = {name: value for name, value in body.items() if value is not None}
    if habit.unknown is not None:
        for name in known:
            if name not in habit.takes and (name not in fields or name in habit.refuses):
                raise refuse(f"Unrecognized request argument supplied: {name}", None, None, habit.unknown)
    shaped(check(Obj(fields, required, open=True), known), habit)
    return known


def count_of(value: Any, most: int, usual: int = 1) -> int:
    """A number from 1 to `most`; `usual` where there is none.

    Raises:
        ValueError: It is none: nobody checked the request.
    """
    count = usual if value is None else int(value)
    if not 0 < count <= most:
        raise ValueError(f"{count} is not from 1 to {most}")
    return count


def shaped(violations: Iterable[Violation], habit: Habit) -> None:
    """Raises Refused at the first violation that the vendor minds."""
    for violation in violations:
        if not any(re.fullmatch(pattern, written(violation.path)) for pattern in habit.lets):
            raise phrased(violation)
