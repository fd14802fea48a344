"""The file of a cassette: JSON lines, one for each thing that crossed the wire, in the order in which it did.

    {"cassette": 1, "provenance": "recorded", "server": "api.openai.com", "model": "gpt-5", ...}
    {"request": {"method": "POST", "service": "openai", "path": "/v1/chat/completions", "json": {...}}}
    {"head": {"status": 200, "headers": [["content-type", "text/event-stream"]], "t_ms": 310.2}}
    {"t_ms": 311.0, "text": "data: {...}\\n\\n"}
    {"t_ms": 340.7, "b64": "8J+Y"}
    {"end": {"kind": "eof", "t_ms": 512.9}}

One chunk is what one read of the transport gave: a character or an event may be cut anywhere. Times are
milliseconds since the request was sent. What does not live here: what may be written (`scrub.py`), what answers
what (`match.py`), which service stands where (`services.py`).
"""

from __future__ import annotations

import json
import os
import tempfile
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = 1
ENCODING: Final = "utf-8"

Source = Literal["recorded", "from documents"]
Boundaries = Literal["as received", "inferred"]
EndKind = Literal["eof", "cut", "reset", "timeout", "refused", "client_closed"]
Pairs = tuple[tuple[str, str], ...]


class MalformedCassette(ValueError):
    """A file that is no cassette; the text names the file and the line."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a cassette comes from.

    Attributes:
        source: "recorded" if a server really answered; "from documents" if the answers were made from what a vendor
            writes about itself.
        server: What answered: a host, or a program and its version.
        model: The model that was asked, as it was named.
        recorded_at: When, as in "2026-11-21T10:00:00Z"; interactions that were added later carry their own.
        note: Anything worth knowing, in a sentence.
        test: The test that recorded it.
        chunks: "inferred" if the boundaries of chunks are not those of the wire.
    """

    source: Source = "recorded"
    server: str = ""
    model: str = ""
    recorded_at: str = ""
    note: str = ""
    test: str = ""
    chunks: Boundaries = "as received"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it was sent, scrubbed.

    Attributes:
        method: In capitals.
        service: A name of `services.py`, such as "openai" or "groq"; for a server that is not among them, its address,
            such as "https://llm.example:8443".
        path: On that server: "/v1/chat/completions"; characters that a URL escapes are escaped.
        query: Names and values, decoded, in order.
        headers: Names in lower case, in order.
        body: Its bytes. JSON is kept as JSON if its bytes are those of `compact`.
    """

    method: str
    service: str
    path: str
    query: Pairs = ()
    headers: Pairs = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; header names in lower case, `t_ms` since the request was sent."""

    status: int
    headers: Pairs = ()
    t_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read of the transport gave; `t_ms` since the request was sent."""

    t_ms: float
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended.

    Attributes:
        kind: "eof" cleanly; "cut" in the middle; "reset" by the server; "timeout" if nothing came in time; "refused" if
            there was no connection; "client_closed" if the client left first.
        error: What the transport said of it.
        t_ms: When, since the request was sent.
    """

    kind: EndKind = "eof"
    error: str | None = None
    t_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and what came back; without a head if nothing came back.

    Attributes:
        recorded_at: When, if not with the rest of the cassette; "" if with it.
    """

    request: RecordedRequest
    head: Head | None
    chunks: tuple[Chunk, ...] = ()
    end: End = field(default_factory=End)
    recorded_at: str = ""

    @property
    def body(self) -> bytes:
        """The body of the answer, joined."""
        return b"".join(chunk.data for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Cassette:
    """What one file holds."""

    provenance: Provenance
    interactions: tuple[Interaction, ...] = ()


def compact(value: object) -> bytes:
    """JSON in the spelling in which bodies are kept: no spaces, no escapes but needed ones, keys in their order.

    Raises:
        ValueError: It has a number that JSON has not, or half a character.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(ENCODING)


def dumps(cassette: Cassette) -> bytes:
    """A cassette as the bytes of its file."""
    return b"".join(line + b"\n" for line in _lines(cassette))


def loads(content: str | bytes, name: str = "cassette") -> Cassette:
    """The cassette that `content` holds.

    Args:
        content: A whole file.
        name: What to call it in errors.

    Raises:
        MalformedCassette: It is no cassette; the text names `name` and the line.
    """
    # Half a character is no text of any file; the line that has it is then no JSON.
    raw = content.encode(ENCODING, "surrogatepass") if isinstance(content, str) else content
    return _Reader(name).cassette(raw)


def read(path: str | os.PathLike[str]) -> Cassette:
    """The cassette in a file.

    Raises:
        MalformedCassette: It is no cassette.
        OSError: It cannot be read.
    """
    return loads(Path(path).read_bytes(), os.fspath(path))


def write(path: str | os.PathLike[str], cassette: Cassette) -> None:
    """Writes a file, whole or not at all; folders are made.

    What is written is not looked at: `scrub.cleaned` and `scrub.refuse_live_keys` do that before.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = dumps(cassette)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp lets nobody else read; a cassette is for everybody who has the project.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _lines(cassette: Cassette) -> Iterator[bytes]:
    one = cassette.provenance
    head: dict[str, Any] = {"cassette": VERSION, "provenance": one.source}
    for key in ("server", "model", "recorded_at", "test", "note"):
        if value := getattr(one, key):
            head[key] = value
    if one.chunks != "as received":
        head["chunks"] = one.chunks
    yield _line(head)
    for interaction in cassette.interactions:
        yield _line({"request": _request(interaction.request) | _at(interaction.recorded_at)})
        if interaction.head is not None:
            yield _line({"head": _head(interaction.head)})
        yield from (_line({"t_ms": chunk.t_ms} | _data(chunk.data)) for chunk in interaction.chunks)
        yield _line({"end": _end(interaction.end)})


def _line(value: dict[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(ENCODING)
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False).encode(ENCODING)


def _at(recorded_at: str) -> dict[str, Any]:
    return {"recorded_at": recorded_at} if recorded_at else {}


def _request(request: RecordedRequest) -> dict[str, Any]:
    written: dict[str, Any] = {"method": request.method, "service": request.service, "path": request.path}
    if request.query:
        written["query"] = request.query
    if request.headers:
        written["headers"] = request.headers
    if not request.body:
        return written
    try:
        # Text first: `json` would also take the bytes of UTF-16.
        value = json.loads(request.body.decode(ENCODING), parse_constant=_no_number)
        if compact(value) == request.body:
            return written | {"json": value}
    except (ValueError, RecursionError):
        pass
    return written | _data(request.body)


def _head(head: Head) -> dict[str, Any]:
    return {"status": head.status, "headers": head.headers, "t_ms": head.t_ms}


def _end(end: End) -> dict[str, Any]:
    written: dict[str, Any] = {"kind": end.kind, "t_ms": end.t_ms}
    return written if end.error is None else written | {"error": end.error}


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _data(data: bytes) -> dict[str, Any]:
    try:
        return {"text": data.decode(ENCODING)}
    except UnicodeDecodeError:
        return {"b64": b64encode(data).decode("ascii")}


class _Reader:
    """Reads one file, and knows at which line it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0

    def cassette(self, raw: bytes) -> Cassette:
        provenance: Provenance | None = None
        interactions: list[Interaction] = []
        open_request: tuple[RecordedRequest, str] | None = None
        head: Head | None = None
        chunks: list[Chunk] = []
        for self._number, line in enumerate(raw.removesuffix(b"\n").split(b"\n"), 1):
            value = self._object(line)
            if provenance is None:
                provenance = self._provenance(value)
            elif "request" in value:
                if open_request is not None:
                    raise self._wrong("a request before the end of the one before it")
                fields = self._inner(value, "request")
                open_request = (self._request(fields), self._text(fields, "recorded_at", ""))
            elif open_request is None:
                raise self._wrong("a line that belongs to no request")
            elif "head" in value:
                if head is not None or chunks:
                    raise self._wrong("a second head for one request")
                head = self._head(self._inner(value, "head"))
            elif "end" in value:
                end = self._end(self._inner(value, "end"))
                request, at = open_request
                interactions.append(Interaction(request, head, tuple(chunks), end, at))
                open_request, head, chunks = None, None, []
            elif head is None:
                raise self._wrong("a chunk before the head of its answer")
            else:
                chunks.append(Chunk(self._number_of(value, "t_ms"), self._data(value)))
        if provenance is None or open_request is not None:
            raise self._wrong("the file stops before the end of an answer; record it again")
        return Cassette(provenance, tuple(interactions))

    def _wrong(self, what: str) -> MalformedCassette:
        return MalformedCassette(f"{self._name}, line {self._number}: {what}")

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line.decode(ENCODING), parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise self._wrong("this is no JSON; a cassette has one JSON object on each line") from None
        if not isinstance(value, dict):
            raise self._wrong("this is no JSON object")
        return value

    def _inner(self, value: dict[str, Any], key: str) -> dict[str, Any]:
        if not isinstance(inner := value[key], dict):
            raise self._wrong(f"'{key}' is no JSON object")
        return inner

    def _provenance(self, value: dict[str, Any]) -> Provenance:
        if "cassette" not in value:
            raise self._wrong('the first line must say {"cassette": 1, ...}; this is no cassette')
        if value["cassette"] != VERSION:
            known = f"only {VERSION} is; a newer compatgw may know it"
            raise self._wrong(f"version {value['cassette']!r} of the format is not known, {known}")
        source = self._one_of(value, "provenance", get_args(Source), None)
        chunks = self._one_of(value, "chunks", get_args(Boundaries), "as received")
        texts = {key: self._text(value, key, "") for key in ("server", "model", "recorded_at", "note", "test")}
        return Provenance(source=cast("Source", source), chunks=cast("Boundaries", chunks), **texts)

    def _request(self, value: dict[str, Any]) -> RecordedRequest:
        if "json" in value:
            try:
                body = compact(value["json"])
            except (ValueError, RecursionError):
                raise self._wrong("'json' has a value that JSON has not") from None
        else:
            body = self._data(value) if "text" in value or "b64" in value else b""
        return RecordedRequest(
            method=self._text(value, "method"),
            service=self._text(value, "service"),
            path=self._text(value, "path"),
            query=self._pairs(value, "query"),
            headers=self._pairs(value, "headers"),
            body=body,
        )

    def _head(self, value: dict[str, Any]) -> Head:
        status = value.get("status")
        if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
            raise self._wrong("'status' is no HTTP status")
        return Head(status, self._pairs(value, "headers"), self._number_of(value, "t_ms"))

    def _end(self, value: dict[str, Any]) -> End:
        kind = self._one_of(value, "kind", get_args(EndKind), None)
        error = value.get("error")
        if error is not None and not isinstance(error, str):
            raise self._wrong("'error' is no text")
        return End(cast("EndKind", kind), error, self._number_of(value, "t_ms"))

    def _data(self, value: dict[str, Any]) -> bytes:
        if ("text" in value) == ("b64" in value):
            raise self._wrong("a chunk has either 'text' or 'b64'")
        try:
            if "text" in value:
                return self._text(value, "text").encode(ENCODING)
            return b64decode(self._text(value, "b64"), validate=True)
        except MalformedCassette:
            raise
        except ValueError:
            raise self._wrong("the chunk's 'text' or 'b64' cannot be read") from None

    def _text(self, value: dict[str, Any], key: str, default: str | None = None) -> str:
        found = value.get(key, default)
        if not isinstance(found, str):
            raise self._wrong(f"'{key}' is missing, or is no text")
        return found

    def _number_of(self, value: dict[str, Any], key: str) -> float:
        found = value.get(key)
        if not isinstance(found, (int, float)) or isinstance(found, bool):
            raise self._wrong(f"'{key}' is missing, or is no number")
        return float(found)

    def _one_of(self, value: dict[str, Any], key: str, allowed: tuple[str, ...], default: str | None) -> str:
        found = value.get(key, default)
        if found not in allowed:
            raise self._wrong(f"'{key}' must be one of {', '.join(map(repr, allowed))}")
        return cast("str", found)

    def _pairs(self, value: dict[str, Any], key: str) -> Pairs:
        found = value.get(key, [])
        if not isinstance(found, list):
            raise self._wrong(f"'{key}' is no list")
        pairs: list[tuple[str, str]] = []
        for pair in found:
            match pair:
                case [str(left), str(right)]:
                    pairs.append((left, right))
                case _:
                    raise self._wrong(f"'{key}' has something that is no pair of texts")
        return tuple(pairs)
