"""Media inside requests: what goes in comes out, and nothing but a named refusal is raised."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects import media
from compatgw.errors import InvalidRequest

quick = settings(max_examples=60, deadline=None)
MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
    b"RIFF\x00\x00\x00\x00WEBP": "image/webp",
}
_payloads = st.binary(min_size=1, max_size=80)
_plain = _payloads.filter(lambda b: not b.startswith((*MAGIC, b"GIF87a")))


def encoded(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


@quick
@given(payload=_plain, kind=st.sampled_from(["image/png", "audio/wav", "text/plain", "application/x-new"]))
def test_every_form_gives_the_same_media(payload: bytes, kind: str) -> None:
    """A data URL, bare base64 and both forms of a file part."""
    data = encoded(payload)
    url = f"data:{kind};base64,{data}"
    expected = media.Media(kind, data)

    assert media.from_data_url(url, "p") == expected
    assert media.from_data_url(f"DATA:{kind.upper()};charset=x;BASE64,{data}\n", "p") == expected
    assert media.from_base64(data, kind, "p") == expected
    assert media.from_file({"file_data": url, "filename": "f"}, "p") == expected._replace(filename="f")
    assert media.from_file({"data": data, "media_type": kind}, "p") == expected
    assert media.is_data_url(url)


@quick
@given(payload=_payloads, magic=st.sampled_from(sorted(MAGIC)), declared=st.sampled_from(["image/tiff", "text/plain"]))
def test_the_bytes_decide_over_the_declared_type(payload: bytes, magic: bytes, declared: str) -> None:
    """A wrong label would be a 400 at the vendor."""
    data = encoded(magic + payload)

    assert media.from_base64(data, declared, "p").media_type == MAGIC[magic]
    assert media.sniff(base64.urlsafe_b64encode(magic + payload).decode()) == MAGIC[magic]


@quick
@given(text=st.text(max_size=40), param=st.sampled_from(["a", "messages[0].content[1].image_url.url"]))
def test_anything_else_is_refused_with_its_path(text: str, param: str) -> None:
    """Whatever a caller writes there."""
    attempts: tuple[Callable[[], media.Media], ...] = (
        partial(media.from_data_url, text, param),
        lambda: media.from_data_url(f"data:image/png;base64,{text}", param),
        lambda: media.from_base64(text, "image/png", param),
    )
    for parse in attempts:
        try:
            found = parse()
        except InvalidRequest as refusal:
            assert refusal.param == param
            assert refusal.status == 400
        else:
            assert found.data == found.data.strip() != ""


@pytest.mark.parametrize("file", [{}, {"file_id": "file-1"}, {"filename": "a.pdf"}])
def test_a_file_without_bytes_is_refused(file: dict[str, str]) -> None:
    """The path is that of the part."""
    with pytest.raises(InvalidRequest) as caught:
        media.from_file(file, "messages[0].content[0].file")  # type: ignore[arg-type]

    assert (caught.value.param, caught.value.code) == ("messages[0].content[0].file", "missing_parameter")
