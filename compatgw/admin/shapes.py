"""How requests to the management API are read: bodies, queries, `If-Match`. Strict, and each refusal names its member.

What does not live here: what a value may be (`rules.py`), what is answered (`documents.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Required, TypeVar, cast, get_args

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from compatgw.admin import rules
from compatgw.errors import InvalidRequest
from compatgw.state.base import Grouping, Period
from compatgw.surfaces.base import decode

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic_core import ErrorDetails

Body = TypeVar("Body")

_STRICT = ConfigDict(extra="forbid", strict=True)
_SHOWN = 40
_MOST_ROWS = 1000
_ROWS = 50
_LONGEST_CURSOR = 300
LONGEST_FILTER = 200
"""Characters of a text that rows are filtered by."""
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_VERSION = re.compile(r'"([0-9]{1,9})"')
# A plus that nobody escaped in a query arrives as a space.
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")


def _exact(value: object) -> object:
    if isinstance(value, (bool, float)) or not isinstance(value, (str, int)):
        raise PydanticCustomError("amount_type", "a text such as '12.50', or a whole number")
    return value


def _optional_exact(value: object) -> object:
    return None if value is None else _exact(value)


def _moment(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
        raise PydanticCustomError("moment_type", "a time such as '2026-11-21T13:00:00Z', or seconds since 1970")
    return value


Exact = Annotated[str | int, BeforeValidator(_exact)]
"""An amount; a JSON number with a fraction would have been a float on its way."""
OptionalExact = Annotated[str | int | None, BeforeValidator(_optional_exact)]
Moment = Annotated[str | int | float | None, BeforeValidator(_moment)]


@with_config(_STRICT)
class TeamChanges(TypedDict, total=False):
    """`PATCH teams/{id}`."""

    name: str
    active: bool
    models: list[str]
    plan: str | None
    byok_fallback: bool
    metadata: dict[str, object]


@with_config(_STRICT)
class NewTeam(TypedDict, total=False):
    """`POST teams`; `wallet` opens one."""

    id: str | None
    name: Required[str]
    active: bool
    models: list[str]
    plan: str | None
    byok_fallback: bool
    metadata: dict[str, object]
    wallet: bool


@with_config(_STRICT)
class KeyRights(TypedDict, total=False):
    """What a key may do, and for how long."""

    scopes: list[str]
    models: list[str]
    plan: str | None
    requests: int | None
    tokens: int | None
    concurrency: int | None
    budget: OptionalExact
    period: Period
    expires: Moment
    metadata: dict[str, object]


@with_config(_STRICT)
class KeyChanges(KeyRights, total=False):
    """`PATCH keys/{id}`."""

    name: str


@with_config(_STRICT)
class NewKey(KeyRights, total=False):
    """`POST keys`."""

    team: Required[str]
    name: Required[str]


@with_config(_STRICT)
class Rotation(TypedDict, total=False):
    """`POST keys/{id}/rotate`; a day without `grace_s`."""

    grace_s: int | float


@with_config(_STRICT)
class PlanBody(TypedDict, total=False):
    """`PUT plans/{id}`; what is left out is no limit."""

    requests: int | None
    tokens: int | None
    concurrency: int | None


@with_config(_STRICT)
class Movement(TypedDict, total=False):
    """`POST teams/{id}/wallet/topups` and `/corrections`."""

    amount: Required[Exact]
    note: str


@with_config(_STRICT)
class SecretBody(TypedDict):
    """`PUT teams/{id}/provider-keys/{provider}`."""

    secret: str


@with_config(_STRICT)
class NewPrompt(TypedDict, total=False):
    """`POST prompts`: `text` for a system message alone, or `messages`."""

    name: Required[str]
    text: str
    messages: list[dict[str, object]]
    labels: list[str]


@with_config(_STRICT)
class Labelled(TypedDict):
    """`PUT prompts/{name}/labels/{label}`: the version that it is given to."""

    number: int


@with_config(_STRICT)
class Nothing(TypedDict):
    """The body of an action that takes none: absent, or an empty object."""


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def body(shape: type[Body], data: bytes) -> Body:
    """A body of that shape.

    Raises:
        InvalidRequest: Not JSON, not an object, or a member that is missing, unknown or of another type.
    """
    value = decode(data)
    try:
        found: Body = _adapter(cast("Hashable", shape)).validate_python(value)
    except ValidationError as error:
        raise _explained(shape, error.errors(include_url=False, include_input=False)[0]) from None
    return found


def _explained(shape: type[Any], problem: ErrorDetails) -> InvalidRequest:
    # What follows the member are numbers of items, and then names of branches of unions.
    location = [str(problem["loc"][0])[:_SHOWN], *[f"[{part}]" for part in problem["loc"][1:] if isinstance(part, int)]]
    param, kind = "".join(location), problem["type"]
    if kind == "extra_forbidden":
        return rules.unknown_member(param, list(shape.__annotations__))
    if kind == "missing":
        return InvalidRequest(f"'{param}' is missing.", param=param, code="missing_parameter")
    message = problem["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
    code = "invalid_type" if kind.endswith("_type") else None
    return InvalidRequest(f"'{param}' must be {message}.", param=param, code=code)


def values_of(given: Mapping[str, object]) -> dict[str, Any]:
    """The members of a body with times in seconds, as the office takes them."""
    values = dict(given)
    if "expires" in values:
        values["expires"] = moment(values["expires"], "expires")
    return values


def moment(value: object, member: str) -> float | None:
    """Seconds since 1970 from those, or from a text: ISO 8601 with an offset, a date (UTC), or seconds.

    Raises:
        InvalidRequest: None of these.
    """
    if not isinstance(value, str):
        return rules.instant(value, member)
    if _SECONDS.fullmatch(value):
        return rules.instant(float(value), member)
    try:
        found = datetime.fromisoformat(_LOST_PLUS.sub("+", value))
        if found.tzinfo is None:
            if ":" in value:
                raise ValueError
            found = found.replace(tzinfo=UTC)
        return rules.instant(found.timestamp(), member)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"'{member}' is no time. Give ISO 8601 with an offset, such as '2026-11-21T13:00:00Z', or seconds since "
            "1970.",
            param=member,
        ) from None


# --- queries -----------------------------------------------------------------------------------

Reader = Callable[[str, str], object]


class Listing(NamedTuple):
    """Which rows are wanted, as `Ledger.page` takes it."""

    where: dict[str, object]
    cursor: str | None
    limit: int


def text(value: str, member: str) -> str:
    """An exact text, up to 200 characters; an empty one finds what has none."""
    if len(value) > LONGEST_FILTER or "\0" in value:
        raise InvalidRequest(
            f"'{member}' must be a text of up to {LONGEST_FILTER} characters without NUL.", param=member
        )
    return value


def flag(value: str, member: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise InvalidRequest(f"'{member}' must be true or false.", param=member)
    return value == "true"


def number(value: str, member: str) -> int:
    """A whole number."""
    if not (value.isascii() and value.isdigit() and len(value) <= len("1000000000")):
        raise InvalidRequest(f"'{member}' must be a whole number.", param=member)
    return int(value)


def time(value: str, member: str) -> float:
    """A time, as `moment` takes it."""
    # A text is never None.
    return cast("float", moment(value, member))


SPAN: Mapping[str, Reader] = MappingProxyType({"since": time, "until": time})


def query(given: Mapping[str, str], known: Mapping[str, Reader]) -> dict[str, Any]:
    """The members of a query, each as its reader gives it.

    Raises:
        InvalidRequest: A member that is unknown, or that its reader refuses.
    """
    for member in given:
        if member not in known:
            shown = member[:_SHOWN]
            takes = f"Known: {', '.join(known)}." if known else "There are none."
            raise InvalidRequest(f"There is no query parameter '{shown}' here. {takes}", param=shown)
    return {member: known[member](value, member) for member, value in given.items()}


def listing(given: Mapping[str, str], filters: Mapping[str, Reader]) -> Listing:
    """The query of a list: its filters, `cursor` and `limit` (1 to 1000, 50 without it).

    Raises:
        InvalidRequest: As for `query`.
    """
    where = query(given, {**filters, "cursor": _cursor, "limit": _limit})
    cursor: str | None = where.pop("cursor", None)
    limit: int = where.pop("limit", _ROWS)
    return Listing(where, cursor, limit)


def _limit(value: str, member: str) -> int:
    found = number(value, member)
    if not 1 <= found <= _MOST_ROWS:
        raise InvalidRequest(f"'{member}' must lie between 1 and {_MOST_ROWS}.", param=member)
    return found


def _cursor(value: str, member: str) -> str:
    if len(value) > _LONGEST_CURSOR:
        raise wrong_cursor()
    return value


def wrong_cursor() -> InvalidRequest:
    """The refusal of a cursor that came with no page."""
    return InvalidRequest(
        "'cursor' was not given out with a page of this list. Leave it out to begin anew.", param="cursor"
    )


def groups(value: str, member: str) -> tuple[Grouping, ...]:
    """Words of `Grouping` with commas between them; nothing for one sum of all."""
    words = [word.strip() for word in value.split(",")] if value else []
    known = get_args(Grouping)
    for word in words:
        if word not in known:
            raise InvalidRequest(
                f"'{member}' takes {', '.join(known)}, with commas between them; '{word[:_SHOWN]}' is none of them.",
                param=member,
            )
    if len(set(words)) < len(words):
        raise InvalidRequest(f"'{member}' names one of its words twice. Leave one out.", param=member)
    return tuple(cast("list[Grouping]", words))


# --- versions ----------------------------------------------------------------------------------


def etag(version: int) -> str:
    """The `ETag` of a record of that version."""
    return f'"{version}"'


def if_match(header: str | None) -> int | Literal["*"] | None:
    """The version that `If-Match` asks for, `*` for any, None for no condition.

    Raises:
        InvalidRequest: It is not one of our `ETag`s.
    """
    if header is None or header == "*":
        return "*" if header else None
    found = _VERSION.fullmatch(header.strip())
    if found is None:
        raise InvalidRequest(
            'The header If-Match takes one ETag as it was answered, such as "3" with its quotes, or *.',
            param="If-Match",
        )
    return int(found.group(1))
