"""Content parts as blocks: what carries a cache mark and for how long, base64 in its one form, a file's bytes or link.

What does not live here: how a protocol spells a block, and which media it takes (the dialects' `content.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers

CACHE = "cache_control"
LINKS = ("https://", "http://")
NOT_FETCHED = "Links are not fetched there; send the bytes as a base64 data URL."
# Text under another name; anything of type text/ is text anyway.
TEXTS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/x-ndjson",
     "application/javascript", "application/x-javascript", "application/toml", "application/sql"}
)  # fmt: skip
_BREAKPOINT = "prompt_cache_breakpoint"
_TTLS = {"5m": "5m", "1h": "1h", "30m": "1h", "12h": "1h", "24h": "1h"}
_URLSAFE = str.maketrans("-_", "+/")


def mark(holder: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a part, message, tool or request carries a cache mark, under either of its names; and how long it lasts.

    `5m` or `1h`, None where it does not say.
    """
    given = holder.get(CACHE)
    if not isinstance(given, dict):
        given = holder.get(_BREAKPOINT)
        if not isinstance(given, dict):
            return False, None
    ttl = given.get("ttl")
    return True, _TTLS.get(ttl) if isinstance(ttl, str) else None


def is_link(url: str) -> bool:
    """True for an address on the web, however it is cased."""
    return url[:8].lower().startswith(LINKS)


def held(file: Mapping[str, Any], where: str, left: Leftovers) -> tuple[str, str]:
    """The member that a file part has its bytes or its link in, and the text in it.

    Args:
        file: The member `file` of the part.
        where: Its path.
        left: Refuses a file that only another vendor has.

    Raises:
        UnsupportedParameter: It has nothing but a `file_id`.
    """
    if "file_id" in file and not file.keys() & {"file_data", "data", "file_url"}:
        raise left.refusal(f"{where}.file_id", "Files of other vendors are not known there; send 'file_data'.")
    member = next((name for name in ("file_data", "data", "file_url") if name in file), "file_data")
    return member, str(file.get(member, ""))


def standard(data: str) -> str:
    """Base64 in the one form that is read everywhere: its standard alphabet, padded, on one line."""
    if "-" in data or "_" in data:
        data = data.translate(_URLSAFE)
    if any(space in data for space in "\n\r \t"):
        data = "".join(data.split())
    return data + "=" * (-len(data) % 4)
