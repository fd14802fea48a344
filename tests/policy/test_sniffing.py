"""Media inside a request that lies about its type is refused, and nothing else is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.errors import InvalidRequest
from compatgw.policy.sniffing import checked_media, is_text, kind_of, lies

BYTES = {
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/gif": b"GIF89a\x01\x00\x01\x00",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/tiff": b"II*\x00\x08\x00\x00\x00",
    "image/bmp": b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00",
    "image/avif": b"\x00\x00\x00\x1cftypavif\x00\x00",
    "image/heic": b"\x00\x00\x00\x1cftypheic\x00\x00",
    "application/pdf": b"%PDF-1.7\n%",
    "application/zip": b"PK\x03\x04\x14\x00",
    "audio/wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "audio/mpeg": b"\xff\xfb\x90\x64\x00",
    "audio/flac": b"fLaC\x00\x00\x00\x22",
    "audio/ogg": b"OggS\x00\x02",
    "video/mp4": b"\x00\x00\x00\x18ftypisom\x00\x00",
    "video/webm": b"\x1a\x45\xdf\xa3\x9f",
    "text/html": b"\xef\xbb\xbf \n<!DOCTYPE HTML>",
}


def image(url: str) -> Any:
    """A request with one image."""
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def url(declared: str, data: bytes) -> str:
    """A data URL."""
    return f"data:{declared};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(("kind", "data"), BYTES.items())
def test_the_first_bytes_show_what_they_are(kind: str, data: bytes) -> None:
    """Formats that models take, and those that are sent by mistake."""
    assert kind_of(data) == kind
    assert not lies(kind, kind_of(data))


@given(st.binary(max_size=600), st.text(max_size=30))
def test_any_bytes_and_any_type_are_judged(data: bytes, declared: str) -> None:
    """Nothing is raised; bytes that show nothing accuse nobody."""
    found = kind_of(data)
    assert isinstance(lies(declared, found), bool)
    assert not lies(declared, None)


@pytest.mark.parametrize("kind", ["application/pdf", "text/html", "audio/wav", "application/zip", "video/mp4"])
def test_an_image_that_is_none_is_refused_with_its_path(kind: str) -> None:
    """Whatever else the bytes are."""
    with pytest.raises(InvalidRequest) as refused:
        checked_media(image(url("image/png", BYTES[kind])))
    assert refused.value.param == "messages[0].content[0].image_url.url"
    assert (refused.value.status, refused.value.code) == (400, "invalid_value")
    assert kind in refused.value.message


@pytest.mark.parametrize(
    "given",
    [
        url("image/png", BYTES["image/png"]),
        url("IMAGE/PNG", BYTES["image/jpeg"]),
        url("", BYTES["application/pdf"]),
        url("application/octet-stream", BYTES["image/png"]),
        url("image/png", b"hello"),
        url("image/png", b""),
        "data:image/png,%50",
        "data:image/png;base64",
        "data:image/png;base64,***",
        "data:image/png;base64,A",
        "data:image/png;base64,é",
        "https://example.com/x.png",
        "data:image/png;base64," + "\n".join(base64.b64encode(BYTES["image/png"]).decode()),
    ],
)
def test_what_is_no_plain_lie_passes(given: str) -> None:
    """One image format under another's name, no type at all, bytes that show nothing; syntax is for others to judge."""
    checked_media(image(given))


def test_base64_is_read_in_both_alphabets_and_over_lines() -> None:
    """A lie does not hide behind its writing."""
    data = base64.urlsafe_b64encode(b"%PDF-\xff\xff\xff\xfe").decode().rstrip("=")
    for written in (data, "\r\n ".join(data)):
        with pytest.raises(InvalidRequest):
            checked_media(image(f"data:image/png;base64,{written}"))


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "file", "file": {"file_data": url("application/pdf", BYTES["image/png"])}}, "file.file_data"),
        (
            {"type": "file", "file": {"data": base64.b64encode(b"%PDF-1").decode(), "media_type": "text/plain"}},
            "file.data",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"%PDF-1").decode(), "format": "wav"}},
            "input_audio.data",
        ),
        ({"type": "video_url", "video_url": {"url": url("video/mp4", b"%PDF-1")}}, "video_url.url"),
    ],
)
def test_files_sounds_and_videos_are_looked_at_as_well(part: Any, path: str) -> None:
    """Wherever a type and bytes stand side by side."""
    request: Any = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "x"}, part]},
        ]
    }
    with pytest.raises(InvalidRequest) as refused:
        checked_media(request)
    assert refused.value.param == f"messages[1].content[1].{path}"


def test_files_without_a_type_and_by_id_pass() -> None:
    """Nothing was said, so nothing is untrue."""
    for file in ({"file_data": "JVBERi0x"}, {"file_id": "file-1"}, {"data": "JVBERi0x"}):
        part: Any = {"type": "file", "file": file}
        checked_media({"model": "m", "messages": [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize("declared", ["application/msword", "x/y", "chemical/x-pdb", "nonsense"])
def test_a_type_that_is_not_known_accuses_nobody(declared: str) -> None:
    """Its files may begin as others do."""
    for found in ("application/zip", "image/png", "text/html"):
        assert not lies(declared, found)


def test_text_is_what_decodes_and_holds_no_nul() -> None:
    """Bytes of programs are no text."""
    assert is_text("ä".encode())
    assert not is_text(b"\xff")
    assert not is_text(b"a\x00")
