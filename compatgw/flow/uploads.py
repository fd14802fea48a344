"""Forms that clients upload: read as they come, files kept on disk, memory flat whatever their size.

    async with received(headers, chunks, most=settings.max_upload) as form:
        ...  # the form's files can be read here as often as wanted, and are gone afterwards

A file of some size goes to a temporary file that has no name, so nothing is left even of a process that was killed.
Disks are waited for in threads; TMPDIR says which disk.

What does not live here: what a form means (`surfaces/`), how it is sent on (`upstream/body.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

from compatgw.errors import InvalidRequest, Overloaded, RequestTooLarge, UnsupportedMediaType
from compatgw.wire.multipart import Begun, Data, Form, FormError, FormReader, Upload, boundary_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

    from compatgw.errors import GatewayError
    from compatgw.wire.multipart import Event

MIB = 1024 * 1024
MOST = 100 * MIB
# Seconds until a full disk may have room again.
_LATER = 30.0
# Digits of a Content-Length that are looked at: more say nothing but that it is too much.
_DIGITS = 19
_PIECE = 64 * 1024
_WRITE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one form is read.

    Attributes:
        parts: Fields and files together.
        fields: Bytes of all fields' names and texts together.
        memory: Bytes of files that are kept in memory; what is more goes to disk.
    """

    parts: int = 256
    fields: int = 2 * MIB
    memory: int = 256 * 1024


BOUNDS = Bounds()


class Spool:
    """A temporary file: written once, read at any place by several threads. Implements `wire.multipart.Source`.

    Args:
        folder: Where it is made; None: where temporary files are.
    """

    __slots__ = ("_file", "_folder", "_gone", "_lock")

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._gone = False
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Appends `data`; nothing happens once it is closed."""
        with self._lock:
            if self._gone:
                return
            if self._file is None:
                # Without a buffer of its own: what is written is there for every reader.
                self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115 - `close` does
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def read(self, at: int, most: int) -> bytes:
        """At most `most` bytes from the offset `at` on."""
        with self._lock:
            if self._file is None or self._gone:
                raise OSError("the upload is gone: its request has ended")
            self._file.seek(at)
            return self._file.read(most)

    def close(self) -> None:
        """Gives the disk back. Idempotent; waits for who reads or writes at the moment."""
        with self._lock:
            self._gone = True
            if self._file is not None:
                self._file.close()


class _Part:
    """A part that is being received."""

    __slots__ = ("begun", "buffer", "digest", "size", "spool")

    def __init__(self, begun: Begun) -> None:
        self.begun = begun
        self.buffer = bytearray()
        self.digest = hashlib.sha256()
        self.size = 0
        self.spool: Spool | None = None

    def flush(self) -> None:
        """Writes what waits in memory; to be called in a thread."""
        if self.spool is not None:
            data = bytes(self.buffer)
            self.digest.update(data)
            self.spool.write(data)

    def upload(self) -> Upload:
        """The file, once it is whole."""
        begun, data = self.begun, None
        if self.spool is None:
            data = bytes(self.buffer)
            self.digest.update(data)
        return Upload(
            begun.name, begun.filename or "", begun.type, self.size, data, self.spool, self.digest.hexdigest()
        )


class _Desk:
    """Collects one form.

    Args:
        bounds: How much of it is read.
        folder: Where temporary files are made.
    """

    def __init__(self, bounds: Bounds, folder: str | None) -> None:
        self._bounds = bounds
        self._folder = folder
        self._part: _Part | None = None
        self._fields: list[tuple[str, str]] = []
        self._files: list[Upload] = []
        self._texts = 0
        self._held = 0
        self._spools: list[Spool] = []

    @property
    def form(self) -> Form:
        """What has come."""
        return Form(tuple(self._fields), tuple(self._files))

    async def take(self, event: Event) -> None:
        """The next thing in the body."""
        part = self._part
        if isinstance(event, Begun):
            self._part = _Part(event)
            if event.filename is None:
                self._count(event.name, len(event.name))
        elif part is None:
            return
        elif isinstance(event, Data):
            part.size += len(event.data)
            part.buffer += event.data
            if part.begun.filename is None:
                self._count(part.begun.name, len(event.data))
            else:
                await self._keep(part, len(event.data))
        else:
            self._part = None
            if part.begun.filename is None:
                self._fields.append((part.begun.name, _text(part)))
                return
            if part.spool is not None:
                await self._write(part)
            self._files.append(part.upload())

    def _count(self, name: str, size: int) -> None:
        self._texts += size
        if self._texts > self._bounds.fields:
            raise RequestTooLarge(
                f"The fields of the form are over the limit of {self._bounds.fields} bytes together. Send large "
                "content as a file: with a file name.",
                param=name,
            )

    async def _keep(self, part: _Part, size: int) -> None:
        if part.spool is None:
            self._held += size
            if self._held <= self._bounds.memory:
                return
            # All of this one goes to disk; what it held is free for others.
            self._held -= part.size
            part.spool = Spool(self._folder)
            self._spools.append(part.spool)
        if len(part.buffer) >= _WRITE:
            await self._write(part)

    async def _write(self, part: _Part) -> None:
        try:
            await asyncio.to_thread(part.flush)
        except OSError as error:
            raise Overloaded(
                f"This gateway has no room for the upload at the moment ({error.strerror or type(error).__name__}). "
                "Try again later, or send a smaller file.",
                retry_after=_LATER,
            ) from error
        part.buffer.clear()

    async def aclose(self) -> None:
        """Deletes the files, also when whoever waits for it is cancelled."""
        if self._spools:
            await asyncio.shield(asyncio.to_thread(_close, self._spools))


def _close(spools: list[Spool]) -> None:
    for spool in spools:
        spool.close()


def _text(part: _Part) -> str:
    try:
        return part.buffer.decode()
    except UnicodeDecodeError:
        name = part.begun.name
        raise InvalidRequest(
            f"The field '{name}' is not UTF-8 text. Send bytes as a file: with a file name.", param=name
        ) from None


@asynccontextmanager
async def received(
    headers: Mapping[str, str],
    chunks: AsyncIterable[bytes],
    *,
    most: int = MOST,
    bounds: Bounds = BOUNDS,
    folder: str | None = None,
) -> AsyncIterator[Form]:
    """The form that a request uploads; its files live as long as the context.

    Args:
        headers: Of the request, names in lower case: `content-type` and `content-length` are read.
        chunks: The body as it comes.
        most: Bytes that the body may have.
        bounds: Further limits.
        folder: Where temporary files are made. Default: TMPDIR, or what the system has for it.

    Raises:
        UnsupportedMediaType: It is no form by its Content-Type.
        RequestTooLarge: It is over a limit: by its Content-Length, before anything is read, or as soon as it has grown.
        InvalidRequest: It is broken.
        Overloaded: The disk is full.
    """
    reader = _reader(headers, most, bounds)
    desk = _Desk(bounds, folder)
    try:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            for at in range(0, len(chunk), _PIECE):
                for event in _fed(reader, chunk if len(chunk) <= _PIECE else chunk[at : at + _PIECE]):
                    await desk.take(event)
        try:
            reader.finish()
        except FormError as error:
            raise _wrong(error) from None
        yield desk.form
    finally:
        await desk.aclose()


def _reader(headers: Mapping[str, str], most: int, bounds: Bounds) -> FormReader:
    try:
        boundary = boundary_of(headers.get("content-type", ""))
    except FormError as error:
        raise _wrong(error) from None
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:_DIGITS]) > most:
        raise _too_large(most)
    return FormReader(boundary, parts=bounds.parts)


def _fed(reader: FormReader, data: bytes) -> list[Event]:
    try:
        return reader.feed(data)
    except FormError as error:
        raise _wrong(error) from None


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"The upload is over the limit of {most} bytes. Send a smaller file, or in several calls.")


def _wrong(error: FormError) -> GatewayError:
    if error.kind == "type":
        return UnsupportedMediaType(str(error))
    return RequestTooLarge(str(error)) if error.kind == "bound" else InvalidRequest(str(error), code="invalid_form")


async def loaded(form: Form, most: int) -> Form:
    """`form` with the bytes of its files in memory, for a protocol that carries them inside of JSON.

    Raises:
        RequestTooLarge: They are more than `most` bytes together.
    """
    total = sum(file.size for file in form.files)
    if total > most:
        raise RequestTooLarge(
            f"The files of the form have {total} bytes; the chosen model's provider takes {most} in one request. "
            "Send smaller files, or choose another model."
        )
    files = [file if file.data is not None else replace(file, data=await _whole(file)) for file in form.files]
    return form._replace(files=tuple(files))


async def _whole(file: Upload) -> bytes:
    if file.source is None:
        raise RuntimeError("an upload without bytes")
    parts: list[bytes] = []
    at = 0
    while at < file.size:
        data = await asyncio.to_thread(file.source.read, at, file.size - at)
        if not data:
            raise OSError("an upload is shorter than it was")
        parts.append(data)
        at += len(data)
    return b"".join(parts)
