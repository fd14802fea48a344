"""A form on its way to an upstream: its length is known before, its files are read from disk as they are sent.

It can be sent again, and to several upstreams at once: each sending reads for itself.

What does not live here: how a form is written (`wire/multipart.py`), and where its files come from (`flow/uploads.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from compatgw.upstream.transport import TransportFailed
from compatgw.wire import multipart
from compatgw.wire.multipart import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compatgw.wire.multipart import Form, Source

_PIECE = 256 * 1024


class FormBody:
    """The body of a request that carries a form.

    Args:
        form: What is sent. Its files must stay until the answer's head has come.
        boundary: A word that stands in none of its texts and files.

    Attributes:
        size: Bytes.
        headers: That say its type and its length.
        lost: Why a file could not be read, once that happened: then it is not the upstream that failed.
    """

    __slots__ = ("_pieces", "headers", "lost", "size")

    def __init__(self, form: Form, boundary: str) -> None:
        self._pieces = multipart.pieces(form, boundary)
        self.size = multipart.length(self._pieces)
        self.headers = (("Content-Type", multipart.content_type(boundary)), ("Content-Length", str(self.size)))
        self.lost: OSError | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, from the beginning.

        Raises:
            TransportFailed: A file could not be read.
        """
        for piece in self._pieces:
            if not isinstance(piece, Upload):
                yield piece
            elif piece.data is not None:
                for at in range(0, piece.size, _PIECE):
                    yield piece.data[at : at + _PIECE]
            elif piece.source is not None:
                at = 0
                while at < piece.size:
                    data = await self._read(piece.source, at, min(_PIECE, piece.size - at))
                    at += len(data)
                    yield data

    async def _read(self, source: Source, at: int, most: int) -> bytes:
        try:
            data = await asyncio.to_thread(source.read, at, most)
            if not data:
                raise OSError("a file of the form is shorter than it was")
        except OSError as error:
            self.lost = error
            raise TransportFailed("a file of the form could not be read") from error
        return data
