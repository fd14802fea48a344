"""Servers that links lead to: sockets with TLS on addresses of this machine, and names that the test makes up.

`PUBLIC` stands for the open internet, which rules of the tests let in; every other address of this machine stands
for what nobody may reach. What does not live here: tests.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PUBLIC = "127.0.0.5"
INSIDE = "127.0.0.6"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 24

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


class Authority(NamedTuple):
    """A certificate authority of the test's own.

    Attributes:
        trusting: What a client that trusts it checks with.
        serving: What a server with its certificate for some names serves with.
    """

    trusting: ssl.SSLContext
    serving: Callable[..., ssl.SSLContext]


def authority(folder: Path) -> Authority:
    """A new one; its files are in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("root", key, None, key, [])
    trusting = ssl.create_default_context(cadata=root.public_bytes(serialization.Encoding.PEM).decode())

    def serving(*names: str) -> ssl.SSLContext:
        own = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(names[0], own, root, key, names)
        path = folder / f"{names[0].replace(':', '_')}.pem"
        path.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    return Authority(trusting, serving)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        built = built.add_extension(usage, critical=True)
    if names:
        held = [_general(each) for each in names]
        built = built.add_extension(x509.SubjectAlternativeName(held), critical=False)
    return built.sign(signer, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Far:
    """A server; what it answers is given by path.

    Args:
        answers: Bytes of the whole answer by path, or what writes them.
        tls: What it serves with; None for plain http.
        address: Where it listens.

    Attributes:
        asked: Heads of the requests that came.
        open, most: Requests that are being answered, and the most at one time.
    """

    def __init__(
        self, answers: dict[str, Answer], tls: ssl.SSLContext | None = None, address: str = PUBLIC, port: int = 0
    ) -> None:
        self.answers = answers
        self._tls = tls
        self._address = address
        self.port = port
        self.asked: list[bytes] = []
        self.connections = 0
        self.open = self.most = 0

    async def __aenter__(self) -> Far:
        self._server = await asyncio.start_server(self._serve, self._address, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head)
            self.open += 1
            self.most = max(self.most, self.open)
            answer = self.answers[head.split(b" ")[1].decode().partition("?")[0]]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


def ok(data: bytes, kind: str = "image/png", *headers: str) -> bytes:
    """An answer with these bytes."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


def to(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


class Names:
    """A name service.

    Args:
        known: By name its addresses; several lists are given one after the other, the last again and again.

    Attributes:
        asked: Names that were looked up, in order.
    """

    def __init__(self, known: dict[str, list[list[str]]]) -> None:
        self._known = known
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`."""
        turns = self._known.get(host, [[]])
        turn = min(self.asked.count(host), len(turns) - 1)
        self.asked.append(host)
        return turns[turn]
