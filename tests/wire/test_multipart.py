"""Forms: what others write is read, what we write is read by others, and what is broken is said."""

import email
import email.policy
import itertools
from typing import Any

import aiohttp
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.wire import multipart
from compatgw.wire.multipart import Begun, Data, Ended, Form, FormError, FormReader, Upload

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n\0\\'), min_size=1, max_size=20)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
BYTES = st.one_of(
    st.binary(max_size=300),
    # What looks like the boundary's beginnings, and all that a line can end with.
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"\r\n--bo", b"x", b"--bound-ary"])).map(b"".join),
)
FILENAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters='/\\"'), max_size=20
)


def upload(name: str, filename: str, data: bytes, type: str = "audio/wav") -> Upload:
    """A file in memory."""
    return Upload(name, filename, type, len(data), data)


def body_of(form: Form, boundary: str) -> bytes:
    """All of a form's body."""
    return b"".join(
        piece if isinstance(piece, bytes) else piece.data or b"" for piece in multipart.pieces(form, boundary)
    )


def read(body: bytes, boundary: str, cuts: list[int] | None = None, **bounds: Any) -> list[tuple[Begun, bytes]]:
    """The parts of a body, fed in the pieces between `cuts`."""
    reader = FormReader(boundary, **bounds)
    parts: list[tuple[Begun, bytes]] = []
    open_part: tuple[Begun, list[bytes]] | None = None
    edges = [0, *sorted(cuts or ()), len(body)]
    for start, end in itertools.pairwise(edges):
        for event in reader.feed(body[start:end]):
            if isinstance(event, Begun):
                assert open_part is None
                open_part = (event, [])
            elif isinstance(event, Data):
                assert open_part is not None
                open_part[1].append(event.data)
            else:
                assert isinstance(event, Ended)
                assert open_part is not None
                parts.append((open_part[0], b"".join(open_part[1])))
                open_part = None
    reader.finish()
    assert open_part is None
    return parts


@given(
    st.lists(st.tuples(NAMES, TEXTS), max_size=4),
    st.lists(st.tuples(NAMES, FILENAMES, BYTES), max_size=3),
    st.data(),
)
def test_any_form_survives_writing_and_reading_in_any_pieces(
    fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]], data: st.DataObject
) -> None:
    """Names, texts, file names and every byte of the files come back, wherever the body is cut."""
    boundary = "bound-ary-that-is-in-none-4711"
    form = Form(tuple(fields), tuple(upload(*file) for file in files))
    body = body_of(form, boundary)
    assert multipart.length(multipart.pieces(form, boundary)) == len(body)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    parts = read(body, boundary, cuts)
    assert [(part.name, text.decode()) for part, text in parts if part.filename is None] == fields
    assert [(part.name, part.filename, found) for part, found in parts if part.filename is not None] == files
    assert parts == read(body, boundary, list(range(len(body))))


@given(st.lists(st.tuples(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), BYTES), min_size=1, max_size=3))
def test_what_is_written_is_read_by_the_parser_of_mails(files: list[tuple[str, bytes]]) -> None:
    """A parser that is not ours finds the same files."""
    form = Form((("model", "whisper-1"),), tuple(upload(name, "a b.wav", data) for name, data in files))
    boundary = "bound-ary-that-is-in-none-4711"
    head = f"Content-Type: {multipart.content_type(boundary)}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body_of(form, boundary), policy=email.policy.HTTP)
    assert not message.defects
    parts = list(message.iter_parts())
    assert [part.get_param("name", header="content-disposition") for part in parts] == ["model", *(n for n, _ in files)]
    assert [part.get_filename() for part in parts[1:]] == ["a b.wav"] * len(files)
    # It decodes what it takes for text; the bytes of the last line end are its own business.
    assert parts[0].get_content().strip() == "whisper-1"
    assert all(part.get_content_type() == "audio/wav" for part in parts[1:])


@given(BYTES, st.lists(st.integers(0, 500), max_size=8))
def test_what_httpx_writes_is_read(data: bytes, cuts: list[int]) -> None:
    """The client under most SDKs."""
    request = httpx.Request(
        "POST",
        "http://x/",
        data={"model": "m", "include[]": ["a", "b"]},
        files={"file": ("näme.mp3", data, "audio/mpeg")},
    )
    body = request.read()
    boundary = multipart.boundary_of(request.headers["content-type"])
    parts = read(body, boundary, [cut for cut in cuts if cut <= len(body)])
    assert [(part.name, found) for part, found in parts[:3]] == [
        ("model", b"m"),
        ("include[]", b"a"),
        ("include[]", b"b"),
    ]
    assert parts[3] == (Begun("file", "näme.mp3", "audio/mpeg"), data)


async def test_what_aiohttp_writes_is_read() -> None:
    """Another writer, with its own ideas about quoting."""
    form = aiohttp.FormData()
    form.add_field("model", "m")
    form.add_field("file", b"\x00\xff", filename="a.wav", content_type="audio/wav")
    payload = form()

    class Writer:
        out = b""

        async def write(self, data: bytes) -> None:
            self.out += data

    writer = Writer()
    await payload.write(writer)  # type: ignore[arg-type]
    boundary = multipart.boundary_of(payload.headers["content-type"])
    assert [(part.name, part.filename, data) for part, data in read(writer.out, boundary)] == [
        ("model", None, b"m"),
        ("file", "a.wav", b"\x00\xff"),
    ]


@pytest.mark.parametrize(
    ("header", "filename"),
    [
        ('name="file"; filename="a.wav"', "a.wav"),
        ("name=file; filename=a.wav", "a.wav"),
        ('name="file"; filename="C:\\\\music\\\\a.wav"', "a.wav"),
        ('name="file"; filename="a/../../b/a.wav"', "a.wav"),
        ('name="file"; filename="a\\"b.wav"', 'a"b.wav'),
        ("name=\"file\"; filename*=utf-8''n%C3%A4me.wav", "näme.wav"),
        ('name="file"; filename="näme.wav"', "näme.wav"),
        ('name="file"; filename=""', ""),
        ('name="file"; filename="a\x01b.wav"', "ab.wav"),
    ],
)
def test_file_names_are_words_and_never_paths(header: str, filename: str) -> None:
    """However a client writes them."""
    body = f"--b\r\nContent-Disposition: form-data; {header}\r\n\r\nx\r\n--b--\r\n".encode()
    ((part, data),) = read(body, "b")
    assert (part.name, part.filename, data) == ("file", filename, b"x")


def test_what_would_end_a_header_is_escaped_when_it_is_written() -> None:
    """A name cannot smuggle in a header or a part."""
    form = Form((('a"\r\nX: y', "1"),), (upload("f", 'b"\r\n\r\n--b', b"2"),))
    body = body_of(form, "bound")
    assert b'name="a%22%0D%0AX: y"' in body
    assert b'filename="b%22%0D%0A%0D%0A--b"' in body
    assert len(read(body, "bound")) == 2


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", "type"),
        ("application/json", "type"),
        ("application/x-www-form-urlencoded", "type"),
        ("multipart/mixed; boundary=x", "type"),
        ("multipart/form-data", "form"),
        ("multipart/form-data; boundary=", "form"),
        ("multipart/form-data; boundary=" + "x" * 201, "form"),
        ('multipart/form-data; boundary="ä"', "form"),
    ],
)
def test_a_content_type_that_is_no_forms_is_told_apart(value: str, kind: str) -> None:
    """What is no form at all, and a form without a boundary."""
    with pytest.raises(FormError) as caught:
        multipart.boundary_of(value)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "value", ["multipart/form-data; boundary=abc", 'Multipart/Form-Data; charset=utf-8; Boundary="abc"']
)
def test_a_boundary_is_found(value: str) -> None:
    """Case does not count, nor do other parameters."""
    assert multipart.boundary_of(value) == "abc"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "closing boundary"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', "closing boundary"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b', "closing boundary"),
        (b"--c\r\n", "broken"),
        (b'{"model": "m"}', "broken"),
        (b"--b\r\nContent Disposition: x\r\n\r\n", "broken"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "no name"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "no name"),
        (b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--b--\r\n', "no name"),
        (
            b'--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--\r\n',
            "Content-Transfer-Encoding",
        ),
        (b'--b\r\nContent-Disposition: form-data; name="' + b"a" * 9000 + b'"\r\n\r\n', "broken"),
        (b"--b\r\n" + b"X: y\r\n" * 17 + b"\r\n", "broken"),
    ],
)
def test_what_is_broken_is_said(body: bytes, words: str) -> None:
    """Wherever the body is cut, in a sentence that names the fault."""
    for cuts in ([], list(range(len(body)))):
        with pytest.raises(FormError, match=words) as caught:
            read(body, "b", cuts)
        assert caught.value.kind == "form"


def test_the_number_of_parts_has_its_bound() -> None:
    """A form of very many fields is refused at the first one too many."""
    body = body_of(Form(tuple((f"f{number}", "") for number in range(5))), "b")
    assert len(read(body, "b", parts=5)) == 5
    with pytest.raises(FormError) as caught:
        read(body, "b", parts=4)
    assert caught.value.kind == "bound"


def test_a_form_without_parts_is_one() -> None:
    """An empty form has a closing boundary alone."""
    assert read(b"--b--\r\n", "b") == []
    assert read(body_of(Form(), "b"), "b") == []


def test_what_follows_the_closing_boundary_does_not_count() -> None:
    """An epilogue is allowed, and no part of the form."""
    body = body_of(Form((("a", "1"),)), "b") + b"and more\r\n--b\r\n"
    for cuts in ([], list(range(len(body)))):
        assert [(part.name, data) for part, data in read(body, "b", cuts)] == [("a", b"1")]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    """Whatever is sent, it is a form or a `FormError`."""
    for body in (data, b"--b\r\n" + data, b'--b\r\nContent-Disposition: form-data; name="a"' + data):
        try:
            read(body, "b")
        except FormError:
            pass
