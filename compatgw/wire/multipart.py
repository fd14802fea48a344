"""`multipart/form-data`: forms, read as their bytes come and written as pieces whose length is known before; sans-IO.

Reading is python-multipart's; here are its bounds, what the headers of a part say, and sentences about what is wrong.
Of a file's name only the last segment is kept: it is for telling the format by, and never a path.

What does not live here: where the bytes of files are kept (`flow/uploads.py`), sending (`upstream/`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FORM = "multipart/form-data"
# As RFC 2046 allows it, and a little more: some clients' boundaries are longer than its 70.
_BOUNDARY = re.compile(r"[ -~]{1,200}")
_EXTENDED = re.compile(r"filename\*\s*=\s*(?:utf-8|iso-8859-1)?'[^']*'([^;\s]+)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_TYPE = re.compile(r"[!-~]+/[ -~]+")
_AS_IT_IS = frozenset({"", "binary", "8bit", "7bit"})
_FILENAME = 200


class Source(Protocol):
    """Bytes that can be read as often as wanted, by several at once, from any thread."""

    def read(self, at: int, most: int) -> bytes:
        """At most `most` bytes from the offset `at` on. It may wait for a disk.

        Raises:
            OSError: They are gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form.

    Attributes:
        name: Of its field.
        filename: As the client named it, without folders.
        type: Its content type, as the client said.
        size: Bytes.
        data: All of them, where they are in memory.
        source: Where they are read from, where they are not.
        digest: SHA-256 of the bytes, in hexadecimal digits; "" where nobody counted.
    """

    name: str
    filename: str
    type: str
    size: int
    data: bytes | None = field(default=None, repr=False)
    source: Source | None = field(default=None, repr=False, compare=False)
    digest: str = ""


class Form(NamedTuple):
    """A form.

    Attributes:
        fields: Names and texts, in their order; a name may come again.
        files: Likewise.
    """

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[Upload, ...] = ()


# --- reading ---------------------------------------------------------------------------------


class FormError(ValueError):
    """A body that is no form, or one over a bound.

    Attributes:
        kind: What is at fault: its `type`, its `form`, or a `bound`.
    """

    def __init__(self, message: str, kind: Literal["type", "form", "bound"] = "form") -> None:
        super().__init__(message)
        self.kind = kind


class Begun(NamedTuple):
    """A part begins. Without a file name it is a field."""

    name: str
    filename: str | None
    type: str


class Data(NamedTuple):
    """Bytes of the part that has begun."""

    data: bytes


class Ended(NamedTuple):
    """The part is whole."""


Event = Begun | Data | Ended


def boundary_of(content_type: str) -> str:
    """The boundary that a request's Content-Type names.

    Raises:
        FormError: It is no form's, or names none.
    """
    kind, options = parse_options_header(content_type)
    if kind.strip().lower().decode("latin-1") != FORM:
        raise FormError(f"The body must be a form: send Content-Type: {FORM}.", "type")
    boundary = options.get(b"boundary", b"").decode("latin-1")
    if not _BOUNDARY.fullmatch(boundary):
        raise FormError(
            f"Content-Type: {FORM} has no valid boundary. Let the HTTP client set that header, not your own code."
        )
    return boundary


class FormReader:
    """Takes bytes, gives parts.

    Args:
        boundary: Between the parts.
        parts: Most parts.
        headers: Most headers of one part. header: Most bytes of one.
    """

    __slots__ = ("_ended", "_events", "_field", "_headers", "_parser", "_parts", "_value")

    def __init__(self, boundary: str, *, parts: int = 256, headers: int = 16, header: int = 8192) -> None:
        self._events: list[Event] = []
        self._headers: dict[str, str] = {}
        self._field = b""
        self._value = b""
        self._parts = parts
        self._ended = False
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_end,
                "on_end": self._on_last,
            },
            max_header_count=headers,
            max_header_size=header,
        )

    def feed(self, data: bytes) -> list[Event]:
        """What `data` completes, in order. What follows the closing boundary is not looked at.

        Raises:
            FormError: It is no form.
        """
        if self._ended:
            return []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FormError(
                f"The multipart body is broken: {error}. Check how its boundary, headers and line ends are written."
            ) from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            FormError: The closing boundary did not come.
        """
        if not self._ended:
            raise FormError("The multipart body ends before its closing boundary. Send all of it.")

    def _begin(self) -> None:
        self._parts -= 1
        if self._parts < 0:
            raise FormError("The form has too many parts. Send fewer fields and files.", "bound")
        self._headers = {}

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("utf-8", "replace").strip()
        self._field = self._value = b""

    def _on_headers(self) -> None:
        self._events.append(_begun(self._headers))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(Data(data[start:end]))

    def _on_end(self) -> None:
        self._events.append(Ended())

    def _on_last(self) -> None:
        self._ended = True


def _begun(headers: dict[str, str]) -> Begun:
    disposition = headers.get("content-disposition", "")
    # The parser speaks latin-1, and what is in it may be any text.
    kind, options = parse_options_header(disposition.encode().decode("latin-1"))
    name = options.get(b"name")
    if kind != b"form-data" or name is None:
        raise FormError(
            'A part of the form has no name. Each part needs the header Content-Disposition: form-data; name="...".'
        )
    if headers.get("content-transfer-encoding", "").lower() not in _AS_IT_IS:
        raise FormError("A part of the form has a Content-Transfer-Encoding. Send its bytes as they are.")
    given = options.get(b"filename")
    filename = None if given is None else given.decode()
    if filename is None and (found := _EXTENDED.search(disposition)):
        filename = unquote(found[1])
    if filename is not None:
        filename = _UNPRINTABLE.sub("", re.split(r"[/\\]", filename)[-1])[-_FILENAME:]
    type = headers.get("content-type", "")
    return Begun(name.decode(), filename, type if _TYPE.fullmatch(type) else "application/octet-stream")


# --- writing ---------------------------------------------------------------------------------


def pieces(form: Form, boundary: str) -> tuple[bytes | Upload, ...]:
    """The body of `form`: bytes, and files whose bytes stand in their place. Fields come before files."""
    out: list[bytes | Upload] = []
    head = b""
    for name, text in form.fields:
        head += _head(boundary, name) + b"\r\n\r\n" + _utf8(text) + b"\r\n"
    for file in form.files:
        head += _head(boundary, file.name)
        head += b'; filename="' + _quoted(file.filename) + b'"\r\nContent-Type: ' + _utf8(file.type) + b"\r\n\r\n"
        out += [head, file]
        head = b"\r\n"
    out.append(head + b"--" + boundary.encode("latin-1") + b"--\r\n")
    return tuple(out)


def length(body: Sequence[bytes | Upload]) -> int:
    """Bytes of a body."""
    return sum(piece.size if isinstance(piece, Upload) else len(piece) for piece in body)


def content_type(boundary: str) -> str:
    """The header's value for a body with this boundary."""
    return f"{FORM}; boundary={boundary}"


def _head(boundary: str, name: str) -> bytes:
    return b"--" + boundary.encode("latin-1") + b'\r\nContent-Disposition: form-data; name="' + _quoted(name) + b'"'


def _quoted(text: str) -> bytes:
    # As browsers write it: what would end the word, or the line, is percent-encoded, all else is UTF-8.
    return _utf8(text).replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
