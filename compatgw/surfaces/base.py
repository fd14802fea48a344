"""What a surface is, and what all of them share: a body that becomes JSON, and what is wrong with it.

A surface is an API that clients speak. It reads a request (`parse`), and makes a face for each call, which tells
the client the answer in its own protocol.

What does not live here: any one surface, HTTP (`web/`), what a call does (`flow/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson
from pydantic import ValidationError

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

    from compatgw.errors import GatewayError
    from compatgw.surfaces.extensions import CallOptions
    from compatgw.wire.multipart import Upload
    from compatgw.wire.native import Native

MAX_DEPTH = 200
_ORJSON_DEPTH = 254
# Keys are the caller's own, and may be as long as its body.
_PATH = 256


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Parsed(NamedTuple):
    """A validated request.

    Attributes:
        request: The hub's, without the gateway's own members.
        options: Those.
        native: The request as it came, for upstreams that speak the client's protocol.
        asked: What its face has to know of the request in the client's own words.
    """

    request: Any
    options: CallOptions
    native: Native | None = None
    asked: Mapping[str, Any] = NOTHING


class View(NamedTuple):
    """What a face may know of the gateway.

    Attributes:
        id: A new word, for the ids that a face makes.
        created: Seconds since 1970.
        echo: `model` of an answer is the id that was asked for, not the upstream's own.
    """

    id: str
    created: int
    echo: bool = False


class Face(Protocol):
    """How one client is told one answer, in its own protocol."""

    @property
    def stream_type(self) -> str:
        """Content type of its streams; "" for the upstream's own."""
        ...

    def whole(self, answer: Any) -> bytes:
        """The body of a whole answer: of an `Answer`, or of a `Result`."""
        ...

    def begin(self) -> bytes:
        """What a stream begins with."""
        ...

    def events(self, pieces: Sequence[Any]) -> bytes:
        """The frames of these pieces, b"" when nothing of them is for the client."""
        ...

    def end(self) -> bytes:
        """What follows when the stream came to its real end."""
        ...

    def failed(self, error: GatewayError) -> bytes:
        """The one last event of a stream that broke; it never looks like the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One endpoint that clients call.

    Attributes:
        name: Of the endpoint, in usage records.
        scope: What a key needs.
        codec: Which codec of a dialect serves it: `chat`, `embeddings`, ...
        parse: Reads a body. Raises `InvalidRequest`.
        face: How the client of a request is told the answer.
        envelope: The body of an error answer.
        parse_form: Reads the fields and files of a form, where one can be sent. Raises `InvalidRequest`.
        headers: Request headers that belong to the protocol, in lower case; `native` has them.
        live: Its answers come bit by bit, whether a request says `stream` or not.
        ids: Answer headers that tell the call's id beside `X-Request-ID`, in lower case.
    """

    name: str
    scope: str
    codec: str
    parse: Callable[[bytes], Parsed]
    face: Callable[[Parsed, View], Face]
    envelope: Callable[[GatewayError], Mapping[str, Any]]
    parse_form: Callable[[Mapping[str, list[str]], Sequence[Upload]], Parsed] | None = None
    headers: tuple[str, ...] = ()
    live: bool = False
    ids: tuple[str, ...] = ()


def envelope(error: GatewayError) -> Mapping[str, Any]:
    """OpenAI's error envelope, which all surfaces have that do not say otherwise."""
    return error.envelope()


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` holds.

    Raises:
        InvalidRequest: It holds none (`invalid_json`, `invalid_type`), or one that nests too deep.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_type")
    # Depth can only be over the limit with that many brackets; only then is it worth measuring.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _too_deep(value):
        raise InvalidRequest(
            f"The body nests more than {MAX_DEPTH} levels of objects and lists. Flatten it.", code="invalid_json"
        )
    return value


def _too_deep(value: Any) -> bool:
    # orjson refuses to write more than 254 levels: 54 levels around the value make that 200.
    for _ in range(_ORJSON_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def pruned(value: dict[str, Any]) -> dict[str, Any]:
    """`value` without its null members: they mean the same as leaving them out."""
    return {key: member for key, member in value.items() if member is not None} if None in value.values() else value


# --- what is wrong with a request ------------------------------------------------------------


def validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    """`value` as the validator lets it pass.

    Raises:
        InvalidRequest: The first thing wrong in it, with its path as `param`.
    """
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise explain(error.errors(include_url=False)[0]) from None


def explain(problem: ErrorDetails) -> InvalidRequest:
    """The first thing that a validator found wrong, as a caller can mend it (to be raised)."""
    kind = problem["type"]
    location = [part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("<"))]
    context = problem.get("ctx", {})
    by = str(context.get("discriminator", ""))
    if kind.startswith("union_tag"):
        if "by_kind" not in by and "by_choice" not in by and isinstance(problem["input"], dict):
            location.append("role" if "by_role" in by else "type")
            if kind == "union_tag_not_found" and location[-1] not in problem["input"]:
                kind = "missing"
        elif kind == "union_tag_not_found":
            kind = "union_type"
    param = _path(location)
    where = f"'{param}'"
    if kind == "missing":
        return InvalidRequest(f"Missing required parameter: {where}.", param=param, code="missing_parameter")
    if kind == "union_tag_invalid":
        allowed = str(context.get("expected_tags", "")).replace("'<", "'").replace(">'", "'")
        got = str(context.get("tag", "")).strip("<>")
        return InvalidRequest(f"Invalid value for {where}: '{got[:64]}'. Supported values are: {allowed}.", param=param)
    if kind.endswith("_type") or kind in ("int_from_float", "union_tag_not_found"):
        got = _kind_of(problem["input"])
        return InvalidRequest(
            f"Invalid type for {where}: got {got}. {_sentence(problem['msg'])}", param=param, code="invalid_type"
        )
    return InvalidRequest(f"Invalid value for {where}. {_sentence(problem['msg'])}", param=param)


def _path(location: list[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path if len(path) <= _PATH else path[: _PATH - 3] + "..."


def _sentence(message: str) -> str:
    if message.startswith("Unable to extract tag"):
        return "A string, a list or an object is expected here."
    return message.replace("Input should", "It should").rstrip(".") + "."


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "a boolean"), (int, "an integer"), (float, "a number"), (str, "a string")):
        if isinstance(value, kind):
            return name
    return "a list" if isinstance(value, list) else "an object"
