"""What a row of the providers' table is.

What does not live here: the rows (`table.py`, `clouds.py`), how an address is made of one (`address.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from compatgw.dialects.base import EMPTY, Quirks

if TYPE_CHECKING:
    from collections.abc import Mapping

Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "aws", "google", "none"]


def _empty() -> Mapping[str, Any]:
    return EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider.

    Attributes:
        name: What model ids begin with.
        title: For people.
        base_url: Where its API begins; "" when it is different for every account. `{region}`, `{project}`, `{account}`,
            `{api_version}` and `{endpoint}` stand for what settings and variables say.
        key_env: Variables that hold its key, the first that is set wins.
        dialect: The protocol that it speaks.
        auth: How the key is sent.
        quirks: How it differs from the protocol.
        headers: Sent with every call.
        local: A server of one's own: needs no key, and is never active by itself.
        note: What has to be configured, where something has to.
        env: What may stand in the address, to the variables that hold it.
        usual: The same to what it is when nobody says.
        places: `base_url` for regions where it is another one; under "" the one for when `{project}` is not known.
        key_parts: Variables that hold its key together, joined by colons; those behind the first two may be missing.
        key_files: Variables that name a file that holds its key.
        wakes: Variables of which one alone makes it active where no providers are configured. None: those of
            `key_env`. A variable that is set on many machines for other ends must not be among them.
        service: Its name in signatures, where calls are signed.
    """

    name: str
    title: str
    base_url: str
    key_env: tuple[str, ...] = ()
    dialect: str = "openai"
    auth: Auth = "bearer"
    quirks: Quirks = field(default_factory=Quirks)
    headers: tuple[tuple[str, str], ...] = ()
    local: bool = False
    note: str = ""
    env: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)
    usual: Mapping[str, str] = field(default_factory=_empty)
    places: Mapping[str, str] = field(default_factory=_empty)
    key_parts: tuple[str, ...] = ()
    key_files: tuple[str, ...] = ()
    wakes: tuple[str, ...] | None = None
    service: str = ""
