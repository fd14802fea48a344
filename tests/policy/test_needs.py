"""What a request needs, read off the request."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.policy.limits import input_tokens
from compatgw.policy.needs import Needs, needs
from compatgw.surfaces import chat


def of(*parts: Any, **members: Any) -> Needs:
    """The needs of a request, parsed as the surface does it; `parts` are its one message's."""
    content: Any = list(parts) or "hi"
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **members}
    request = chat.parse(orjson.dumps(body)).request
    return needs(request, input_tokens(request))


def kinds(found: Needs) -> set[str]:
    """The names of what is needed."""
    return {
        name for name in ("tools", "images", "pdfs", "audio", "json_schema", "streaming") if getattr(found, name)
    }  # fmt: skip


TEXT = {"type": "text", "text": "hi"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def file(**members: str) -> dict[str, Any]:
    """A file part."""
    return {"type": "file", "file": members}


@pytest.mark.parametrize(
    ("parts", "members", "expected"),
    [
        ([], {}, set()),
        ([TEXT], {}, set()),
        ([TEXT, IMAGE], {}, {"images"}),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}], {}, {"audio"}),
        ([{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}], {}, set()),
        ([file(file_data="data:application/pdf;base64,JVBERi0=")], {}, {"pdfs"}),
        ([file(file_data="DATA:Application/PDF;base64,AAAA")], {}, {"pdfs"}),
        ([file(file_data="data:application/octet-stream;base64,JVBERi0=")], {}, {"pdfs"}),
        ([file(file_data="JVBERi0xLjQ=")], {}, {"pdfs"}),
        ([file(data="AAAA", media_type="application/pdf")], {}, {"pdfs"}),
        ([file(data="AAAA", media_type="application/x-pdf")], {}, {"pdfs"}),
        ([file(data="AAAA", filename="Report.PDF")], {}, {"pdfs"}),
        ([file(data="AAAA", media_type="image/png")], {}, {"images"}),
        ([file(file_data="data:image/png;base64,AAAA")], {}, {"images"}),
        ([file(data="AAAA", media_type="text/plain")], {}, set()),
        ([file(file_id="file-1")], {}, set()),
        ([], {"tools": [TOOL]}, {"tools"}),
        ([], {"functions": [{"name": "f"}]}, {"tools"}),
        ([], {"tools": []}, set()),
        ([], {"response_format": SCHEMA}, {"json_schema"}),
        ([], {"response_format": {"type": "json_object"}}, set()),
        ([], {"stream": True}, {"streaming"}),
        ([], {"stream": False}, set()),
    ],
)
def test_what_a_request_shows_is_needed(parts: list[Any], members: dict[str, Any], expected: set[str]) -> None:
    """Files that do not say what they are need nothing that we know of."""
    assert kinds(of(*parts, **members)) == expected


def test_what_earlier_turns_show_is_needed_too() -> None:
    """The whole conversation is sent; turns without content show nothing."""
    messages = [
        {"role": "user", "content": [TEXT, IMAGE]},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]  # fmt: skip
    request = chat.parse(orjson.dumps({"model": "m", "messages": messages})).request
    found = needs(request, input_tokens(request))
    assert kinds(found) == {"images"}


def test_sizes_are_read_off_as_well() -> None:
    """Choices, and the newer of both names for the most that is written."""
    assert (of().output, of().choices) == (None, 1)
    found = of(max_tokens=5, max_completion_tokens=7, n=3)
    assert (found.output, found.choices) == (7, 3)
    assert of(max_tokens=5).output == 5


def test_text_is_never_surely_longer_than_it_is() -> None:
    """A third of the estimate at most: 12 bytes to a token."""
    found = of(text := {"type": "text", "text": "word " * 2400})
    assert len(text["text"]) == 12_000
    assert (found.input, found.least) == (3004, 1001)


@given(images=st.integers(0, 300), files=st.integers(0, 300))
def test_images_and_files_never_make_a_prompt_surely_too_long(images: int, files: int) -> None:
    """What they come to is anybody's guess."""
    content: Any = [TEXT, *[IMAGE] * images, *[file(file_id="f")] * files]
    request: Any = {"model": "m", "messages": [{"role": "user", "content": content}]}
    assert needs(request, input_tokens(request)).least <= 2
