"""The gateway's own request members and headers, taken out of a request as one `CallOptions`.

A member may stand at the top level of the body or inside one object `gateway` (also accepted
under the name `cailos`); none of them ever reaches an upstream. A member that this version
does not serve is refused: accepting a guardrail or a fallback without enforcing it would be
worse than an error.

What does not live here: what the options do (`flow/`, `policy/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from compatgw.errors import InvalidRequest, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Policy

OBJECTS = ("gateway", "cailos")
SERVED = frozenset({"timeout"})
UNSERVED = frozenset(
    {
        "fallback", "retries", "load_balance", "guardrails", "prompt_id", "prompt_version", "prompt_variables",
        "optimise", "optimize", "trust_level", "require_tools", "require_vision", "require_streaming", "speed",
        "model_hints",
    }
)  # fmt: skip
# These two words are also members of upstreams' own requests: only the object claims them.
OBJECT_ONLY = frozenset({"speed"})
TOP_LEVEL = (SERVED | UNSERVED) - OBJECT_ONLY
MAX_TIMEOUT_MS = 300_000


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller asked of the gateway itself.

    Attributes:
        timeout: Seconds: the whole request, or for a stream the wait for the first byte and
            then between chunks. None: as configured.
        unsupported: Overrides the configured policy for members that cannot be carried.
        exclude_reasoning: Reasoning text is left out of the answer.
    """

    timeout: float | None = None
    unsupported: Policy | None = None
    exclude_reasoning: bool = False


DEFAULT = CallOptions()


def claim(body: dict[str, Any]) -> tuple[dict[str, Any], CallOptions]:
    """`body` without the gateway's members, and what those say.

    Raises:
        InvalidRequest: A member has a wrong type or range, or is not one of ours.
        UnsupportedParameter: A member that this version does not serve.
    """
    if TOP_LEVEL.isdisjoint(body) and OBJECTS[0] not in body and OBJECTS[1] not in body:
        return body, DEFAULT
    found: dict[str, tuple[str, Any]] = {name: (name, body[name]) for name in TOP_LEVEL & body.keys()}
    rest = {name: value for name, value in body.items() if name not in TOP_LEVEL and name not in OBJECTS}
    for holder in OBJECTS:
        if (inner := body.get(holder)) is None:
            continue
        if not isinstance(inner, dict):
            raise InvalidRequest(f"'{holder}' must be an object.", param=holder, code="invalid_type")
        for name, value in inner.items():
            found[name] = (f"{holder}.{name}", value)
    timeout: float | None = None
    exclude = False
    for name, (param, value) in found.items():
        if value is None:
            continue
        if name == "timeout":
            timeout = _timeout(value, param)
        elif name == "reasoning" and isinstance(value, dict):
            exclude = _boolean(value.get("exclude", False), f"{param}.exclude")
        elif name in UNSERVED:
            raise UnsupportedParameter(
                f"'{param}' is not served by this version of the gateway. Leave it out.", param=param
            )
        else:
            raise InvalidRequest(f"'{param}' is not a member that the gateway knows. Leave it out.", param=param)
    return rest, CallOptions(timeout=timeout, exclude_reasoning=exclude)


def from_headers(options: CallOptions, headers: Mapping[str, str]) -> CallOptions:
    """`options` with what the request headers add: `X-On-Unsupported: drop|reject`.

    Raises:
        InvalidRequest: The header has another value.
    """
    value = headers.get("x-on-unsupported")
    if value is None:
        return options
    if value not in ("drop", "reject", "hints"):
        raise InvalidRequest("The header X-On-Unsupported takes 'drop' or 'reject'.", param="X-On-Unsupported")
    return CallOptions(
        timeout=options.timeout,
        unsupported=cast("Literal['drop', 'reject', 'hints']", value),
        exclude_reasoning=options.exclude_reasoning,
    )


def _timeout(value: Any, param: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"'{param}' must be a whole number of milliseconds.", param=param, code="invalid_type")
    if not 1 <= value <= MAX_TIMEOUT_MS:
        raise InvalidRequest(f"'{param}' must lie between 1 and {MAX_TIMEOUT_MS} milliseconds.", param=param)
    return value / 1000


def _boolean(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"'{param}' must be true or false.", param=param, code="invalid_type")
    return value
