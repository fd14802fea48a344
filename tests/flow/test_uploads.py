"""Uploads: a form is received as it comes, its files wait on disk, and nothing is left of them."""

import asyncio
import hashlib
import itertools
import os
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.errors import GatewayError, InvalidRequest, Overloaded, RequestTooLarge, UnsupportedMediaType
from compatgw.flow.uploads import Bounds, Spool, loaded, received
from compatgw.wire import multipart
from compatgw.wire.multipart import Form, Upload
from tests.flow.spooled import folder, open_files

__all__ = ["folder"]

BOUNDARY = "bound-ary"
HEADERS = {"content-type": multipart.content_type(BOUNDARY)}
SMALL = Bounds(memory=1000)


def body_of(*files: tuple[str, bytes], fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """A form's body."""
    form = Form(tuple(fields), tuple(Upload(name, f"{name}.wav", "audio/wav", len(data), data) for name, data in files))
    return b"".join(x if isinstance(x, bytes) else x.data or b"" for x in multipart.pieces(form, BOUNDARY))


async def coming(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body, piece by piece."""
    for chunk in chunks:
        yield chunk


def bytes_of(upload: Upload) -> bytes:
    """All of a file, wherever it is."""
    if upload.data is not None:
        return upload.data
    assert upload.source is not None
    return upload.source.read(0, upload.size + 1)


@given(
    st.lists(st.tuples(st.sampled_from(["file", "image[]"]), st.binary(max_size=3000)), max_size=4),
    st.lists(st.integers(0, 10_000), max_size=10),
)
@settings(deadline=None)
def test_any_files_survive_in_any_chunks(files: list[tuple[str, bytes]], cuts: list[int]) -> None:
    """In memory or on disk, every byte is there, counted and digested."""
    body = body_of(*files, fields=[("model", "m")])
    edges = [0, *sorted(cut for cut in cuts if cut <= len(body)), len(body)]

    async def run() -> None:
        chunks = coming(*(body[a:b] for a, b in itertools.pairwise(edges)))
        async with received(HEADERS, chunks, bounds=SMALL) as form:
            assert form.fields == (("model", "m"),)
            assert [(file.name, bytes_of(file)) for file in form.files] == files
            for file, (_, data) in zip(form.files, files, strict=True):
                assert file.size == len(data)
                assert file.digest == hashlib.sha256(data).hexdigest()
                assert (file.data is None) != (file.source is None)

    asyncio.run(run())


async def test_a_large_file_waits_on_disk_and_a_small_one_in_memory() -> None:
    """Memory has its bound for all files of a form together."""
    data = os.urandom(3_000_000)
    async with received(HEADERS, coming(body_of(("a", b"x" * 900), ("b", data), ("c", b"y" * 200)))) as form:
        small, large, last = form.files
        assert (small.data, small.source) == (b"x" * 900, None)
        assert large.data is None
        assert bytes_of(large) == data
        assert last.data == b"y" * 200
        assert open_files() == 1
        source = large.source
    assert open_files() == 0
    assert source is not None
    with pytest.raises(OSError, match="gone"):
        source.read(0, 1)


async def test_two_readers_do_not_disturb_each_other() -> None:
    """An upload may be sent to several upstreams at one time."""
    data = os.urandom(1_000_000)
    async with received(HEADERS, coming(body_of(("a", data)))) as form:
        source = form.files[0].source
        assert source is not None

        def read() -> bytes:
            return b"".join(source.read(at, 7000) for at in range(0, len(data), 7000))

        assert await asyncio.gather(*(asyncio.to_thread(read) for _ in range(4))) == [data] * 4


async def test_memory_stays_flat_and_the_loop_goes_on() -> None:
    """50 MB come in; no more than a few pieces of them are ever held, and other tasks run meanwhile."""
    import tracemalloc

    piece = os.urandom(64 * 1024)
    head, tail = body_of(("a", b"|")).split(b"|")
    turns = 0

    async def many() -> AsyncIterator[bytes]:
        yield head
        for _ in range(800):
            yield piece
        yield tail

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    tracemalloc.start()
    try:
        async with received(HEADERS, many()) as form:
            peak = tracemalloc.get_traced_memory()[1]
            assert form.files[0].size == 800 * len(piece)
    finally:
        tracemalloc.stop()
        counting.cancel()
    assert peak < 3_000_000
    assert turns > 100


async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    """The client has said it itself."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    for length in ("1001", "9" * 40):
        with pytest.raises(RequestTooLarge) as caught:
            async with received({**HEADERS, "content-length": length}, never(), most=1000):
                pass
        assert caught.value.status == 413
        assert "1000" in caught.value.message


async def test_a_body_that_grows_over_the_limit_is_refused_at_once() -> None:
    """Without a length it is counted; the rest is not read, and what came is deleted."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield body_of(("a", b"|")).partition(b"|")[0]
        while True:
            read += 1
            yield b"x" * 10_000

    with pytest.raises(RequestTooLarge):
        async with received(HEADERS, endless(), most=1_000_000, bounds=SMALL):
            pass
    assert read <= 101
    assert open_files() == 0


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    """The limit itself is allowed."""
    body = body_of(("a", b"x" * 500))
    async with received({**HEADERS, "content-length": str(len(body))}, coming(body), most=len(body)) as form:
        assert form.files[0].size == 500
    with pytest.raises(RequestTooLarge):
        async with received(HEADERS, coming(body), most=len(body) - 1):
            pass


@pytest.mark.parametrize(
    ("headers", "body", "kind", "words"),
    [
        ({}, b"", UnsupportedMediaType, "multipart/form-data"),
        ({"content-type": "application/json"}, b"{}", UnsupportedMediaType, "multipart/form-data"),
        ({"content-type": "multipart/form-data"}, b"", InvalidRequest, "boundary"),
        (HEADERS, b"", InvalidRequest, "closing boundary"),
        (HEADERS, body_of(("a", b"x"))[:-6], InvalidRequest, "closing boundary"),
        (HEADERS, b"rubbish", InvalidRequest, "broken"),
        (HEADERS, b"--bound-ary\r\nContent-Disposition: form-data\r\n\r\n\r\n--bound-ary--", InvalidRequest, "no name"),
        (HEADERS, body_of(fields=[("f", "x")] * 300), RequestTooLarge, "too many parts"),
        (HEADERS, body_of(fields=[("f", "x" * 3_000_000)]), RequestTooLarge, "fields of the form"),
        (HEADERS, body_of(fields=[("f", "|")]).replace(b"|", b"\xff"), InvalidRequest, "not UTF-8"),
    ],
)
async def test_what_is_wrong_is_said(headers: dict[str, str], body: bytes, kind: Any, words: str) -> None:
    """Each with its status and a sentence that tells how to mend it."""
    with pytest.raises(kind, match=words) as caught:
        async with received(headers, coming(body)):
            pass
    assert isinstance(caught.value, GatewayError)
    assert open_files() == 0


async def test_a_client_that_leaves_leaves_nothing_behind() -> None:
    """A failure of the body passes through, and the files are deleted."""

    class Gone(Exception):
        pass

    async def half() -> AsyncIterator[bytes]:
        yield body_of(("a", b"x" * 500_000))[:400_000]
        raise Gone

    with pytest.raises(Gone):
        async with received(HEADERS, half()):
            pass
    assert open_files() == 0


async def test_cancelling_deletes_the_files() -> None:
    """While the body comes in, and while the form is in use."""
    came = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield body_of(("a", b"x" * 500_000))[:400_000]
        came.set()
        await asyncio.Event().wait()

    async def receive() -> None:
        async with received(HEADERS, stalled()):
            pass

    async def use() -> None:
        async with received(HEADERS, coming(body_of(("a", b"x" * 500_000)))):
            came.set()
            await asyncio.Event().wait()

    for what in (receive, use):
        came.clear()
        task = asyncio.create_task(what())
        await came.wait()
        assert open_files() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_files() == 0


async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """It is this gateway's failure, and another time may be better."""
    folder = str(tmp_path / "not-there")
    with pytest.raises(Overloaded, match="no room") as caught:
        async with received(HEADERS, coming(body_of(("a", b"x" * 500_000))), folder=folder):
            pass
    assert caught.value.retry_after


def test_a_spool_that_was_closed_takes_no_more() -> None:
    """A thread that comes late writes nothing, and leaves no file open."""
    spool = Spool()
    spool.write(b"abc")
    assert spool.read(1, 5) == b"bc"
    spool.close()
    spool.close()
    spool.write(b"more")
    assert open_files() == 0
    late = Spool()
    late.close()
    thread = threading.Thread(target=late.write, args=(b"x",))
    thread.start()
    thread.join()
    assert open_files() == 0


async def test_files_are_loaded_for_protocols_that_carry_them_inside() -> None:
    """Up to a limit."""
    data = os.urandom(400_000)
    async with received(HEADERS, coming(body_of(("a", data), ("b", b"1")))) as form:
        whole = await loaded(form, 500_000)
        assert [file.data for file in whole.files] == [data, b"1"]
        with pytest.raises(RequestTooLarge, match="400001"):
            await loaded(form, 400_000)
