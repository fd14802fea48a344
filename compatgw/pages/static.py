"""The files of our pages: one style sheet, one script, one picture. Read once, sent with a name for each content.

What does not live here: pages (`render.py`).
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from compatgw.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

ROOT = "/assets"
KINDS: Mapping[str, str] = MappingProxyType(
    {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
)
_FOR_EVER = "public, max-age=31536000, immutable"


class File(NamedTuple):
    """A file of ours.

    Attributes:
        content: Its bytes. kind: Its content type. digest: Another one means other bytes.
    """

    content: bytes
    kind: str
    digest: str


@cache
def _files() -> Mapping[str, File]:
    made = {}
    for file in files("compatgw.pages").joinpath("static").iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            content = file.read_bytes()
            made[file.name] = File(content, kind, blake2b(content, digest_size=8).hexdigest())
    return MappingProxyType(made)


def found(name: str) -> File:
    """A file by its name.

    Raises:
        NotFound: There is none of that name.
    """
    file = _files().get(name)
    if file is None:
        raise NotFound(f"There is no file '{name[:64]}' among the pages of this gateway.", code="unknown_endpoint")
    return file


async def answer(site: Site, visit: Visit) -> None:
    """`GET /assets/NAME?v=DIGEST`: kept for ever by whoever asked for exactly this content."""
    file = found(visit.route.removeprefix(ROOT + "/"))
    tag = f'"{file.digest}"'
    headers = (
        ("Cache-Control", _FOR_EVER if visit.query().get("v") == file.digest else "no-cache"),
        ("ETag", tag),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )
    if visit.header("if-none-match") == tag:
        await visit.answer(304, headers, b"", file.kind)
    else:
        await visit.answer(200, headers, file.content, file.kind)
