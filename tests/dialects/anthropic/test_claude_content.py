"""Parts: images, documents, what is refused, and cache marks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .claude_asking import HI, PDF, PNG, call, encode, image, result, said, sent, tool, user

EPHEMERAL = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def block(part: dict[str, Any], **more: Any) -> Any:
    return sent(messages=[user(part)], **more)["messages"][0]["content"][0]


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (f"data:image/png;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:image/jpg;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ("data:image/jpg;base64,AAAA", {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}),
        (f"data:image/png;base64,{PNG.rstrip('=')}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ("data:image/webp;base64,-_-_\nAAAA", {"type": "base64", "media_type": "image/webp", "data": "+/+/AAAA"}),
        ("https://x.test/a.png", {"type": "url", "url": "https://x.test/a.png"}),
    ],
)
def test_images(url: str, source: dict[str, str]) -> None:
    """Data URLs as standard base64 with the type that the bytes show; links as they are."""
    assert block(image(url)) == {"type": "image", "source": source}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"),
            {"source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "a.pdf"},
        ),
        (file(file_data=PDF), {"source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}),
        (
            file(data=PDF, media_type="application/pdf", filename="b.pdf"),
            {"source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "b.pdf"},
        ),
        (
            file(file_data=f"data:text/csv;base64,{b64('a,ü')}", filename="t.csv"),
            {"source": {"type": "text", "media_type": "text/plain", "data": "a,ü"}, "title": "t.csv"},
        ),
        (
            file(file_data=f"data:application/json;base64,{b64('{}')}"),
            {"source": {"type": "text", "media_type": "text/plain", "data": "{}"}},
        ),
        (file(file_data="https://x.test/a.pdf"), {"source": {"type": "url", "url": "https://x.test/a.pdf"}}),
        (
            {**file(file_data=PDF), "citations": {"enabled": True}, "context": "c"},
            {
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
    ],
    ids=["pdf", "bare base64", "data and media_type", "csv", "json", "link", "native members"],
)
def test_documents(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """PDF as bytes, text as text, both with their name."""
    assert block(part) == {"type": "document", **expected}


def test_an_image_may_come_as_a_file_and_a_pdf_as_an_image() -> None:
    """The bytes tell."""
    assert block(file(file_data=f"data:image/png;base64,{PNG}"))["type"] == "image"
    assert block(image(f"data:application/pdf;base64,{PDF}"))["type"] == "document"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "input_audio"),
        ({"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}, "video_url"),
        (file(file_id="file-1"), "file.file_id"),
        (file(file_data="data:application/zip;base64,AAAA"), "file.file_data"),
        (image("data:image/tiff;base64,AAAA"), "image_url.url"),
    ],
)
@pytest.mark.parametrize("policy", ["hints", "drop"])
def test_media_that_cannot_be_sent_is_refused_with_its_path(part: dict[str, Any], param: str, policy: str) -> None:
    """An answer about media that the model never saw would be worse, under any policy."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(messages=[HI, user({"type": "text", "text": "a"}, part)], where={"unsupported": policy})

    assert caught.value.param == f"messages[1].content[1].{param}"
    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (image("ftp://x.test/a.png"), "messages[0].content[0].image_url.url"),
        (image("data:image/png,raw"), "messages[0].content[0].image_url.url"),
        (file(filename="a.pdf"), "messages[0].content[0].file"),
        (file(file_data="data:text/plain;base64,/w=="), "messages[0].content[0].file.file_data"),
        (file(file_data="data:text/plain;base64,ICA="), "messages[0].content[0].file.file_data"),
    ],
)
def test_media_that_is_not_what_it_says_is_the_callers_mistake(part: dict[str, Any], param: str) -> None:
    """400 with the path."""
    with pytest.raises(InvalidRequest) as caught:
        encode(messages=[user(part)])

    assert caught.value.param == param


def test_links_are_refused_where_they_are_not_fetched() -> None:
    """Some hosts of the same models take bytes only."""
    from compatgw.dialects.base import Quirks

    with pytest.raises(UnsupportedParameter) as caught:
        encode(messages=[user(image("https://x.test/a.png"))], where={"quirks": Quirks(image_urls=False)})
    assert caught.value.param == "messages[0].content[0].image_url.url"


# --- cache marks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cache_control": {"type": "ephemeral"}}, EPHEMERAL),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, HOUR),
        ({"cache_control": {"type": "ephemeral", "ttl": "7d"}}, EPHEMERAL),
        ({"prompt_cache_breakpoint": {"mode": "explicit"}}, EPHEMERAL),
        ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}, HOUR),
        ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}, HOUR),
    ],
)
def test_marks_of_both_vendors_are_carried(given: dict[str, Any], expected: dict[str, str]) -> None:
    """On the part's own block."""
    assert block({"type": "text", "text": "a", **given})["cache_control"] == expected


def test_a_mark_on_a_message_goes_to_its_last_block() -> None:
    """For every role."""
    messages = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "cache_control": EPHEMERAL,
        },
        {**user({"type": "text", "text": "a"}, image()), "cache_control": EPHEMERAL},
        {**said("x", call("a")), "cache_control": EPHEMERAL},
        result("a", cache_control=EPHEMERAL),
    ]
    body = sent(messages=messages, tools=[tool()])
    holders = [body["system"], *(message["content"] for message in body["messages"])]

    assert [["cache_control" in one for one in blocks] for blocks in holders] == [
        [False, True],
        [False, True],
        [False, True],
        [True],
    ]


def test_a_mark_never_stands_on_thinking_or_on_nothing() -> None:
    """The API refuses both."""
    thinking = [{"type": "thinking", "thinking": "", "signature": "s"}]
    messages = [
        {**user({"type": "text", "text": "Hi"}, {"type": "text", "text": "", "cache_control": EPHEMERAL})},
        {**said("x"), "thinking_blocks": thinking, "cache_control": EPHEMERAL},
        HI,
    ]
    body = sent(messages=messages)

    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    assert [b.get("cache_control") for b in body["messages"][1]["content"]] == [None, EPHEMERAL]


def test_the_last_four_marks_stay() -> None:
    """Tools and system come before messages; the request's own mark counts as one."""
    marked = {**HI, "cache_control": EPHEMERAL}
    members: dict[str, Any] = {
        "tools": [{**tool(), "cache_control": EPHEMERAL}],
        "messages": [
            {"role": "system", "content": "s", "cache_control": EPHEMERAL},
            HI,
            said("x", cache_control=EPHEMERAL),
            marked,
        ],
    }
    assert encode(**members).clamped == ()

    members["messages"] += [said("y", cache_control=EPHEMERAL), marked]
    outgoing = encode(**members)
    body = sent(**members)
    assert outgoing.clamped == (("cache_control", "last 4"),)
    assert "cache_control" not in body["tools"][0]
    assert "cache_control" not in body["system"][0]
    assert [m["content"][0].get("cache_control") for m in body["messages"]] == [None, *[EPHEMERAL] * 4]

    body = sent(**members, cache_control={"type": "ephemeral", "ttl": "1h"})
    assert body["cache_control"] == HOUR
    assert sum("cache_control" in b for m in body["messages"] for b in m["content"]) == 3
