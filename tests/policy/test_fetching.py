"""Which addresses and links may be fetched from, whatever spelling somebody finds for those that may not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.policy.fetching import (
    Rules,
    Unfetchable,
    is_public,
    judged,
    link,
    networks,
    places,
    redirected,
    type_of,
    with_data,
)

OPEN = Rules(http=True)
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.0.1",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
]  # fmt: skip
PRIVATE_6 = [
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1",
    "64:ff9b::7f00:1", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:0a00:0001::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2600:1f18::5efe:a00:1", "2600:1f18::200:5efe:7f00:1",
    "fe80::1%eth0", "2606:4700::1%1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255",
    "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
    "2600:1f18::5efe:808:808",
]  # fmt: skip


@pytest.mark.parametrize("text", [*PRIVATE, *PRIVATE_6])
def test_an_address_that_is_not_of_the_open_internet_is_not_public(text: str) -> None:
    """Private, local, shared, reserved, multicast and documentation ranges, and metadata services."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_open_internet_is_public(text: str) -> None:
    """Also where a public address stands inside of another, and just outside of the ranges above."""
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_what_python_calls_not_global_is_not_public(address: IPv4Address) -> None:
    """Ours is never more generous than the standard library's registry."""
    assert not is_public(address) or address.is_global


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_is_public_that_python_calls_private(address: IPv6Address) -> None:
    """But for those that only hold an IPv4 address, which decides."""
    if is_public(address) and address.ipv4_mapped is None and address not in networks(["64:ff9b::/96"])[0]:
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_inside_of_another_as_by_itself(address: IPv4Address) -> None:
    """Mapped, by NAT64 and by 6to4, nothing private comes through."""
    bits = int(address)
    held = [
        IPv6Address(0xFFFF << 32 | bits),
        IPv6Address((0x64FF9B << 96) | bits),
        IPv6Address(0x2002 << 112 | bits << 80),
    ]
    assert [is_public(one) for one in held] == [is_public(address)] * 3


HOSTILE = [
    # Loopback and metadata in every spelling that some parser takes.
    "https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/",
    "https://017700000001/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0/", "https://1/",
    "https://127.0.0.1./", "https://127.0.0.01/", "https://0x7f.0x0.0x0.0x1/", "https://169.254.169.254/latest/",
    "https://2852039166/", "https://0xa9fea9fe/", "https://169.254.43518/", "https://[::1]/", "https://[::]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://" + "ä" * 70 + ".example/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://１２７.0.0.1/", "https://127.0.0.1\u3002/",
    # Who is asked, in other words than it seems.
    "https://good.example@169.254.169.254/", "https://user:pass@good.example/", "https://@good.example/",
    "https://good.example\\@evil.example/", "https://good.example\\.evil.example/", "https://evil.example#@good/ x",
    "https://good.example/a\\\\b", "https://good.example\t/", "https://good.example\n.evil.example/", " https://good.example/", "https://good.example/a b",
    "https://good.example\x00.evil.example/", "https://good\u200b.example/\u200b",
    # No host, no port, no scheme that will do.
    "https://", "https:///x", "https://:443/", "https://good.example:99999/", "https://good.example:8443/",
    "https://good.example:22/", "https://good.example:-1/", "https://good.example:x/", "ftp://good.example/",
    "file:///etc/passwd", "gopher://good.example/", "//good.example/", "https:good.example", "javascript:alert(1)",
    "https://[::1", "https://[good.example]/", "https://good..example/", "https://.good.example/", "https://-x.example/",
    "https://good.example../", "https://" + "a" * 64 + ".example/", "https://%31%32%37.0.0.1/", "https://a%2eb.example/",
    "https://good.example/" + "x" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE)
def test_a_link_that_hides_where_it_leads_is_not_followed(url: str) -> None:
    """Nobody is asked who was not named plainly."""
    with pytest.raises(Unfetchable) as refused:
        link(url, OPEN)
    assert "169.254" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://good.example", "good.example", 443, "/"),
        ("HTTPS://Good.Example/A?b=c#d", "good.example", 443, "/A?b=c"),
        ("https://good.example./x", "good.example", 443, "/x"),
        ("https://good.example:443/x", "good.example", 443, "/x"),
        ("http://good.example:80/x", "good.example", 80, "/x"),
        ("https://bücher.example/ä", "xn--bcher-kva.example", 443, "/%C3%A4"),
        ("https://xn--bcher-kva.example/%C3%A4", "xn--bcher-kva.example", 443, "/%C3%A4"),
        ("https://8.8.8.8/x", "8.8.8.8", 443, "/x"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
        ("https://a_b.example/?q=%20&r=[1]", "a_b.example", 443, "/?q=%20&r=%5B1%5D"),
    ],
)
def test_a_plain_link_is_followed_to_where_it_says(url: str, host: str, port: int, target: str) -> None:
    """Host in the letters of a name server, usual port, path and query as they are sent."""
    found = link(url, OPEN)
    assert (found.host, found.port, found.target) == (host, port, target)


def test_plain_http_is_followed_only_where_the_operator_says_so() -> None:
    """Whoever sits between could put anything into it."""
    with pytest.raises(Unfetchable, match="plain http"):
        link("http://good.example/", Rules())
    assert link("http://good.example/", OPEN).scheme == "http"


def test_other_ports_are_followed_only_where_the_operator_says_so() -> None:
    """What listens elsewhere is rarely meant for everybody."""
    assert link("https://good.example:8443/", Rules(ports=frozenset({8443}))).authority == "good.example:8443"


def test_with_a_list_of_hosts_no_other_host_is_asked() -> None:
    """Globs hold over the whole name, however it is cased."""
    rules = Rules(mode="hosts", hosts=("*.Example.com", "one.test"))
    assert link("https://A.example.COM/", rules).host == "a.example.com"
    assert link("https://one.test/", rules).host == "one.test"
    for url in ("https://example.com/", "https://a.example.com.evil.test/", "https://two.test/", "https://8.8.8.8/"):
        with pytest.raises(Unfetchable, match="not among those"):
            link(url, rules)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.@:\[\]%\\/#?\-]{0,40}", fullmatch=True))
def test_any_text_is_refused_or_becomes_a_link_that_stays_the_same(text: str) -> None:
    """Nothing else is ever raised; what is asked for, read again, is that very thing."""
    try:
        found = link(text, OPEN)
    except Unfetchable:
        return
    assert link(found.url, OPEN) == found
    assert found.address is None or is_public(found.address)
    assert found.url.isascii()
    assert "@" not in found.authority


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/", "//127.0.0.1/", "https://[::1]/", "file:///etc/passwd", "", "https://a:b@c.example/", "http://["],
)  # fmt: skip
def test_a_redirect_is_judged_like_a_link(location: str) -> None:
    """The first answer may say anything."""
    with pytest.raises(Unfetchable):
        redirected(link("https://good.example/a/b", OPEN), location, OPEN)


def test_a_redirect_to_plain_http_is_refused_where_http_is() -> None:
    """Nobody is led out of TLS."""
    with pytest.raises(Unfetchable, match="plain http"):
        redirected(link("https://good.example/", Rules()), "http://good.example/", Rules())


def test_a_redirect_does_not_leave_the_list_of_hosts() -> None:
    """A host that is trusted may still send on to one that is not."""
    rules = Rules(mode="hosts", hosts=("good.example",))
    with pytest.raises(Unfetchable, match="not among those"):
        redirected(link("https://good.example/", rules), "https://other.example/", rules)


def test_a_redirect_may_be_relative() -> None:
    """As servers write them."""
    found = redirected(link("https://good.example/a/b?c", OPEN), "../d?e", OPEN)
    assert found.url == "https://good.example/d?e"


def test_one_private_address_among_public_ones_spoils_the_name() -> None:
    """Which of them is connected to must not be chance."""
    with pytest.raises(Unfetchable, match="not public"):
        judged(["8.8.8.8", "10.0.0.1"], Rules())


@pytest.mark.parametrize("found", [[], ["good.example"], ["fe80::1%eth0"], ["8.8.8.8", "::ffff:10.0.0.1"]])
def test_what_a_name_server_says_is_not_believed(found: list[str]) -> None:
    """Nothing, no address, an address of a link, an address inside another."""
    with pytest.raises(Unfetchable):
        judged(found, Rules())


def test_an_operator_can_open_single_networks() -> None:
    """And no others with them."""
    rules = Rules(networks=networks(["10.1.0.0/16", "fd00:1::/32"]))
    assert [str(one) for one in judged(["10.1.2.3", "fd00:1::5", "8.8.8.8"], rules)] == [
        "10.1.2.3",
        "fd00:1::5",
        "8.8.8.8",
    ]
    assert link("https://10.1.2.3/", rules).address == IPv4Address("10.1.2.3")
    for text in ("10.2.0.1", "fd00:2::1", "::ffff:10.1.2.3"):
        with pytest.raises(Unfetchable):
            judged([text], rules)


# --- what came back ---


@pytest.mark.parametrize(
    ("declared", "data", "kind", "found"),
    [
        ("image/png", PNG, "image", "image/png"),
        ("image/jpeg", PNG, "image", "image/png"),
        ("", PNG, "image", "image/png"),
        ("application/octet-stream", PNG, "image", "image/png"),
        ("application/pdf; charset=x", b"%PDF-1.7", "file", "application/pdf"),
        ("text/markdown; charset=utf-8", "# Hé".encode(), "file", "text/markdown"),
        ("application/json", b"{}", "file", "text/plain"),
        ("", b"hello", "file", "text/plain"),
        ("text/html", b"<!doctype html><p>x", "file", "text/html"),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            b"PK\x03\x04..\x00",
            "file",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
    ],
)
def test_the_bytes_decide_what_a_file_is(declared: str, data: bytes, kind: Any, found: str) -> None:
    """What the server says counts where the bytes do not show it."""
    assert type_of(declared, data, kind) == found


@pytest.mark.parametrize(
    ("declared", "data", "kind"),
    [
        ("image/png", b"%PDF-1.7", "image"),
        ("image/png", b"<html>log in", "image"),
        ("text/html", b"<!DOCTYPE html>", "image"),
        ("image/png", b"hello", "image"),
        ("image/svg+xml", b"<svg xmlns='x'>", "image"),
        ("text/plain", PNG, "image"),
        ("application/pdf", PNG, "file"),
        ("application/pdf", b"hello \xff", "file"),
        ("text/plain", b"\x00\x01\x02", "file"),
        ("", b"\x7fELF\x00", "file"),
        ("image/png", b"", "image"),
    ],
)
def test_a_file_that_is_something_else_is_refused(declared: str, data: bytes, kind: Any) -> None:
    """A web page is no image, and no file lies about its type."""
    with pytest.raises(Unfetchable):
        type_of(declared, data, kind)


# --- links in a request ---


def test_links_are_found_wherever_they_stand_and_replaced_without_a_change_of_the_request() -> None:
    """Users' and tools' parts, files in each of their forms; data URLs, files by id and text stay."""
    request: Any = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "x"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "https://a.example/"},
                    {"type": "image_url", "image_url": {"url": "https://a.example/1", "detail": "low"}, "cache_control": {}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    {"type": "file", "file": {"file_data": "https://a.example/2.pdf"}},
                    {"type": "file", "file": {"data": "https://a.example/3", "media_type": "x/y", "filename": "n"}},
                    {"type": "file", "file": {"file_url": "HTTP://a.example/4"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/1"}}]},
        ],
    }  # fmt: skip
    before = repr(request)
    found = list(places(request, lambda kind, url: url.endswith("4")))
    assert [place.param for place in found] == [
        "messages[1].content[1].image_url.url",
        "messages[1].content[3].file.file_data",
        "messages[1].content[4].file.data",
        "messages[2].content[0].image_url.url",
    ]
    changed: Any = with_data(request, {place: (f"data:{n}", "2.pdf") for n, place in enumerate(found)})
    assert repr(request) == before
    parts = changed["messages"][1]["content"]
    assert parts[1] == {"type": "image_url", "image_url": {"url": "data:0", "detail": "low"}, "cache_control": {}}
    assert parts[3]["file"] == {"filename": "2.pdf", "file_data": "data:1"}
    assert parts[4]["file"] == {"filename": "n", "file_data": "data:2"}
    assert parts[5:] == request["messages"][1]["content"][5:]
    assert changed["messages"][2]["content"][0]["image_url"] == {"url": "data:3"}
    assert changed["messages"][0] is request["messages"][0]
