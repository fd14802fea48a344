"""Which links may be fetched for a caller, and what may come back: decisions only, no socket and no name looked up.

Whoever sends a link makes the gateway ask for it from inside of the operator's network. So: https alone unless
configured, no credentials, usual ports, a host that is written plainly, and every address that its name stands for
is public. The address that was judged is the one to connect to; a name is never looked up again.

What does not live here: looking names up and connecting (`upstream/fetching.py`), the order of it all
(`flow/fetch.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard
from urllib.parse import quote, unquote, urljoin, urlsplit

from compatgw.policy.sniffing import HEAD, is_text, kind_of, lies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from compatgw.wire.chat import ChatRequest

Address = IPv4Address | IPv6Address
Kind = Literal["image", "file"]

REDIRECTS = 3
"""Most that are followed; each is judged like the link itself."""
PARALLEL = 4
"""Most links of one call that are fetched at one time."""
MAX_URL = 8192

_MIB = 1024 * 1024
_LINK = re.compile(r"https?://", re.IGNORECASE)
_PORTS = {"https": 443, "http": 80}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z", re.ASCII)
# As a browser reads it, a host that ends in such a label is an IPv4 address in one of its many spellings.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z", re.ASCII)
_PATH = "/:@!$&'()*+,;=~-._%"
_QUERY = _PATH + "?"


class Unfetchable(Exception):
    """A link is not followed. The text goes on after the link's path and shows neither address nor content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may be fetched.

    Attributes:
        mode: `off`: nothing. `public`: from public addresses. `hosts`: from the hosts in `hosts` alone.
        hosts: Globs over host names, such as `*.example.com`.
        http: Plain http is allowed beside https.
        ports: Allowed beside 443 for https and 80 for http.
        networks: Addresses that may be fetched from although they are not public, such as `10.1.0.0/16`.
        max_bytes: Of one file. max_call: Of all files of one call.
        timeout: Seconds for one file, redirects included.
    """

    mode: Literal["off", "public", "hosts"] = "public"
    hosts: tuple[str, ...] = ()
    http: bool = False
    ports: frozenset[int] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_bytes: int = 20 * _MIB
    max_call: int = 50 * _MIB
    timeout: float = 10.0


# --- addresses -------------------------------------------------------------------------------

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
        # Azure answers virtual machines of their own secrets on an address that looks public.
        "168.63.129.16/32",
    )
)  # fmt: skip
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_MAPPED = IPv6Network("::ffff:0:0/96")
_V4_BITS = 0xFFFFFFFF
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def is_public(address: Address) -> bool:
    """True for an address of the open internet, also where it stands inside of another."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.scope_id is not None:
        return False
    bits = int(address)
    if address in _MAPPED or address in _NAT64:
        return is_public(IPv4Address(bits & _V4_BITS))
    if address not in _GLOBAL_V6 or any(address in network for network in _NOT_PUBLIC_V6):
        return False
    if address in _6TO4 and not is_public(IPv4Address(bits >> 80 & _V4_BITS)):
        return False
    return bits >> 32 & _V4_BITS not in _ISATAP or is_public(IPv4Address(bits & _V4_BITS))


def may_connect(address: Address, rules: Rules) -> bool:
    """True when something may be fetched from `address`."""
    return is_public(address) or any(
        address in network for network in rules.networks if network.version == address.version
    )


def judged(addresses: Sequence[str], rules: Rules) -> tuple[Address, ...]:
    """What a name was found to stand for, as addresses to connect to.

    Raises:
        Unfetchable: There are none, or one of them may not be connected to: then the name is not to be trusted.
    """
    found: list[Address] = []
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            raise Unfetchable("leads to a host whose address is none") from None
        if not may_connect(address, rules):
            raise Unfetchable("leads to an address that is not public")
        found.append(address)
    if not found:
        raise Unfetchable("leads to a host whose name is not known")
    return tuple(found)


def networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks out of their usual writing.

    Raises:
        ValueError: One is none; the message shows it.
    """
    return tuple(ip_network(text) for text in texts)


# --- URLs ------------------------------------------------------------------------------------


class Link(NamedTuple):
    """A link that may be followed.

    Attributes:
        scheme: `http` or `https`.
        host: In lower case and in letters that a name server knows, without a dot at its end; an IPv6 address bare.
        port: Where.
        target: Path and query, as they are sent.
        address: The host, where it is an address and no name.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """For the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole of it."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def filename(self) -> str:
        """The last segment of its path, "" without one."""
        return unquote(self.target.partition("?")[0].rpartition("/")[2])[:128]


def is_link(value: Any) -> TypeGuard[str]:
    """True for text that begins as an http or https URL does."""
    return isinstance(value, str) and _LINK.match(value) is not None


def link(url: str, rules: Rules) -> Link:
    """`url`, taken apart.

    Raises:
        Unfetchable: It may not be followed.
    """
    if len(url) > MAX_URL:
        raise Unfetchable(f"is longer than {MAX_URL} characters")
    # Parsers differ in what they make of these, and one of them is the far end's.
    if any(letter.isspace() or not letter.isprintable() for letter in url) or "\\" in url:
        raise Unfetchable("holds a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Unfetchable("is no URL") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host:
        raise Unfetchable("is no https URL")
    if scheme == "http" and not rules.http:
        raise Unfetchable("is a plain http link, and only https is fetched here")
    if "@" in parts.netloc:
        raise Unfetchable("has a user name or password in it")
    if port is None:
        port = _PORTS[scheme]
    if port != _PORTS[scheme] and port not in rules.ports:
        raise Unfetchable("names a port that is not fetched from")
    name, address = _host(host, bracketed="[" in parts.netloc)
    if rules.mode == "hosts" and not any(fnmatchcase(name, glob.lower()) for glob in rules.hosts):
        raise Unfetchable("is on a host that is not among those that this gateway fetches from")
    if address is not None and not may_connect(address, rules):
        raise Unfetchable("leads to an address that is not public")
    target = quote(parts.path or "/", safe=_PATH)
    if parts.query:
        target += "?" + quote(parts.query, safe=_QUERY)
    return Link(scheme, name, port, target, address)


def redirected(old: Link, location: str, rules: Rules) -> Link:
    """Where an answer of `old` sends on to.

    Raises:
        Unfetchable: It may not be followed.
    """
    if not location:
        raise Unfetchable("is redirected to nowhere")
    try:
        joined = urljoin(old.url, location)
    except ValueError:
        raise Unfetchable("is redirected to something that is no URL") from None
    return link(joined, rules)


def _host(host: str, *, bracketed: bool) -> tuple[str, Address | None]:
    """The host as it is asked for, and as an address where it is one."""
    if bracketed:
        if "%" in host:
            raise Unfetchable("names a network interface")
        try:
            literal = IPv6Address(host)
        except ValueError:
            raise Unfetchable("has no valid host") from None
        return str(literal), literal
    try:
        # Full-width digits, circled ones and other stops become what they stand for; then they are judged.
        name = host.encode("idna").decode().lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise Unfetchable("has no valid host") from None
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.match, labels)):
        raise Unfetchable("has no valid host")
    if _NUMBER.match(labels[-1]):
        try:
            return name, IPv4Address(name)
        except ValueError:
            # Decimal, octal, hexadecimal and short addresses: the system's own look-up would take them.
            raise Unfetchable("writes its address in a form that is not taken") from None
    return name, None


# --- what comes back -------------------------------------------------------------------------


def type_of(declared: str, data: bytes, kind: Kind) -> str:
    """The media type of what was fetched.

    Args:
        declared: `Content-Type` of the answer.
        data: All of it.
        kind: What the part of the request wants it to be.

    Raises:
        Unfetchable: It is something else, or lies about its type.
    """
    said = declared.partition(";")[0].strip().lower()
    if not data:
        raise Unfetchable("leads to an empty file")
    found = kind_of(data[:HEAD])
    if found == "text/html" and kind == "image":
        raise Unfetchable("leads to a web page, not to an image")
    if lies(said, found):
        raise Unfetchable("leads to a file whose bytes are of another type than its server says")
    if kind == "image":
        if found is None or not found.startswith("image/") or found == "image/svg+xml":
            raise Unfetchable("leads to a file that is no image")
        return found
    if found is not None and found != "application/zip":
        return found
    if found is None and is_text(data):
        return said if said.startswith("text/") else "text/plain"
    if said.startswith(("application/", "audio/", "video/")) and not said.startswith("application/pdf"):
        return said
    raise Unfetchable("leads to a file of no known type")


# --- links in a request ----------------------------------------------------------------------


class Place(NamedTuple):
    """Where a link stands: message, part, member of the part's own object, and what is wanted there."""

    message: int
    part: int
    member: str
    kind: Kind
    url: str

    @property
    def param(self) -> str:
        """Its path."""
        holder = "image_url" if self.kind == "image" else "file"
        return f"messages[{self.message}].content[{self.part}].{holder}.{self.member}"


def places(request: ChatRequest, fetched: Callable[[Kind, str], bool]) -> Iterator[Place]:
    """The links of images and files that an upstream does not fetch by itself.

    Args:
        fetched: Tells of a link whether the upstream does.
    """
    for index, message in enumerate(request["messages"]):
        content: Any = message.get("content")
        if content.__class__ is not list:
            continue
        for number, part in enumerate(content):
            if part["type"] == "image_url":
                url = part["image_url"]["url"]
                if is_link(url) and not fetched("image", url):
                    yield Place(index, number, "url", "image", url)
            elif part["type"] == "file":
                file: Mapping[str, Any] = part["file"]
                for member in ("file_data", "data", "file_url"):
                    if is_link(held := file.get(member)) and not fetched("file", held):
                        yield Place(index, number, member, "file", held)
                        break


def with_data(request: ChatRequest, found: Mapping[Place, tuple[str, str]]) -> ChatRequest:
    """`request` with data URLs where links stood.

    Args:
        found: For each link its data URL, and a name for a file that has none.
    """
    messages: list[Any] = list(request["messages"])
    for place, (url, name) in found.items():
        message = messages[place.message]
        content = list(message["content"])
        part = content[place.part]
        if place.kind == "image":
            content[place.part] = {**part, "image_url": {**part["image_url"], "url": url}}
        else:
            rest = {key: value for key, value in part["file"].items() if key not in ("file_url", "data", "media_type")}
            file = {**rest, "filename": rest.get("filename") or name or "file", "file_data": url}
            content[place.part] = {**part, "file": file}
        messages[place.message] = {**message, "content": content}
    changed: Any = {**request, "messages": messages}
    return changed  # type: ignore[no-any-return]
