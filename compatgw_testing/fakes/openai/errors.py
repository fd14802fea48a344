"""Envelopes of errors, in the form of each vendor.

What does not live here: which errors there are (`vendor.py`), which vendor has which form (`habits.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compatgw_testing.fakes.answer import Json, Problem
    from compatgw_testing.fakes.openai.habit import ErrorForm
    from compatgw_testing.sample import Ids


def written(form: ErrorForm, problem: Problem, ids: Ids) -> Json | list[Json]:
    """The body of an error answer."""
    return _FORMS[form](problem, ids)


def _own(problem: Problem, ids: Ids) -> Json:
    error = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": error}


def _no_param(problem: Problem, ids: Ids) -> Json:
    error = {"message": problem.message, "type": problem.type}
    return {"error": error if problem.code is None else {**error, "code": problem.code}}


def _int_code(problem: Problem, ids: Ids) -> Json:
    return {"error": {"message": problem.message, "code": problem.status, "type": problem.code or problem.type}}


def _all_int(problem: Problem, ids: Ids) -> Json:
    error = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.status}
    return {"error": error}


def _str_code(problem: Problem, ids: Ids) -> Json:
    if problem.status == 401:
        return {"error": {"code": "401", "message": problem.message}}
    if problem.code == "DeploymentNotFound":
        return {"error": {"type": problem.type, "code": problem.code, "message": problem.message}}
    return _own(problem, ids)


# What Z.ai calls them.
_NUMBERS = {401: "1000", 402: "1113", 400: "1214", 404: "1211", 429: "1302", 500: "1234", 503: "1305"}


def _numbered(problem: Problem, ids: Ids) -> Json:
    return {"error": {"code": _NUMBERS.get(problem.status, "1234"), "message": problem.message}}


def _with_id(problem: Problem, ids: Ids) -> Json:
    return {"id": f"{ids.alnum('error', 7)}-{ids.alnum('errors', 6)}-{ids.hex('error', 16)}", **_own(problem, ids)}


def _request_id(problem: Problem, ids: Ids) -> Json:
    return {**_own(problem, ids), "request_id": ids.uuid("request")}


def _code_text(problem: Problem, ids: Ids) -> Json:
    return {"code": problem.code or problem.type, "error": problem.message}


def _flat(problem: Problem, ids: Ids) -> Json:
    return {"object": "error", **_all_int(problem, ids)["error"]}


def _flat_error(problem: Problem, ids: Ids) -> Json:
    error = {"object": "error", "type": problem.type, "code": problem.code, "message": problem.message}
    return {"error": error}


def _detail(problem: Problem, ids: Ids) -> Json:
    if problem.status == 401:
        return {"detail": "Unauthorized"}
    message: object = problem.message
    if problem.status == 422:
        where = ["body", problem.message.rpartition(" ")[2]]
        message = {"detail": [{"type": "extra_forbidden", "loc": where, "msg": problem.message}]}
    return {
        "object": "error",
        "message": message,
        "type": problem.type,
        "param": problem.param,
        "code": problem.code,
        "raw_status_code": problem.status,
    }


def _reason(problem: Problem, ids: Ids) -> Json:
    reason = (problem.code or problem.type or "").upper()
    return {"code": problem.status, "reason": reason, "message": problem.message, "metadata": {}}


def _title(problem: Problem, ids: Ids) -> Json:
    return {"type": "about:blank", "title": problem.type, "status": problem.status, "detail": problem.message}


_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _listed(problem: Problem, ids: Ids) -> list[Json]:
    status = _STATUSES.get(problem.status, "INTERNAL")
    return [{"error": {"code": problem.status, "message": problem.message, "status": status}}]


def _aws(problem: Problem, ids: Ids) -> Json:
    # What stands before the service writes the word with a capital.
    return {"Message" if problem.status in (401, 403) else "message": problem.message}


def _errors(problem: Problem, ids: Ids) -> Json:
    code = {401: 10000, 404: 7003, 429: 3040}.get(problem.status, 5000)
    error = {"code": code, "message": problem.message}
    return {"success": False, "errors": [error], "messages": [], "result": None}


_FORMS: Mapping[ErrorForm, Callable[[Problem, Ids], Json | list[Json]]] = {
    "openai": _own,
    "no_param": _no_param,
    "int_code": _int_code,
    "all_int": _all_int,
    "str_code": _str_code,
    "numbered": _numbered,
    "with_id": _with_id,
    "request_id": _request_id,
    "text": lambda problem, ids: {"error": problem.message},
    "code_text": _code_text,
    "flat": _flat,
    "flat_error": _flat_error,
    "detail": _detail,
    "detail_error": lambda problem, ids: {"detail": {"error": problem.message}},
    "reason": _reason,
    "detail_text": lambda problem, ids: {"detail": problem.message},
    "aws": _aws,
    "title": _title,
    "listed": _listed,
    "errors": _errors,
    "error_code": lambda problem, ids: {"error_code": (problem.code or "").upper(), "message": problem.message},
}
