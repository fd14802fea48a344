"""The errors that callers meet, as a table: from the classes that raise them, and the codes that some of them share.

What does not live here: how to mend them, which is said in `messages/*/errors.json` under each code.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from compatgw import errors
from compatgw.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Failure(NamedTuple):
    """A row: what an answer has, of which `code` names the text."""

    status: int
    type: str
    code: str


FURTHER: Mapping[type[GatewayError], tuple[str, ...]] = MappingProxyType(
    {
        errors.InvalidRequest: (
            "missing_parameter", "invalid_type", "invalid_json", "invalid_form", "context_length_exceeded",
            "content_blocked",
        ),
        errors.Unauthenticated: ("missing_api_key", "expired_api_key"),
        errors.Forbidden: ("insufficient_scope", "team_inactive", "model_not_priced", "provider_key_rejected"),
        errors.NotFound: ("unknown_endpoint", "not_found", "prompt_not_found", "previous_response_not_found"),
        errors.UpstreamUnavailable: ("circuit_open",),
    }
)  # fmt: skip
"""Codes that a class has beside its own."""

# Only the management API has them, or another row says the same.
_NOT_FOR_CALLERS = (errors.PreconditionFailed, errors.UpstreamRejected, errors.UpstreamModelMissing)


@cache
def failures() -> tuple[Failure, ...]:
    """Every row, by status."""
    found: dict[str, Failure] = {}
    for kind in vars(errors).values():
        if not isinstance(kind, type) or not issubclass(kind, GatewayError) or kind in _NOT_FOR_CALLERS:
            continue
        for code in (kind.default_code, *FURTHER.get(kind, ())):
            found.setdefault(code, Failure(kind.status, kind.type, code))
    return tuple(sorted(found.values(), key=lambda row: row.status))
