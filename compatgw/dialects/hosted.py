"""A protocol at another host's door: the same requests under other paths, with another body around them.

What differs is data (`Door`): where a path of the protocol leads at that host, and which members of a body
are left out or put in. Answers, streams and refusals are the protocol's own.

What does not live here: any one protocol, which provider has which door (`providers/table.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from compatgw.dialects.base import EMPTY, Codec, Dialect

if TYPE_CHECKING:
    from compatgw.dialects.base import Outgoing, Target


def _empty() -> Mapping[str, Any]:
    return EMPTY


@dataclass(frozen=True, slots=True)
class Door:
    """How a host takes a protocol's requests.

    Attributes:
        paths: A path of the protocol to the one at this host; `{model}` stands for the model's id. A path that
            is not in it stays as it is.
        streamed: The same for requests that ask for a stream, where that is another path.
        drop: Members of the body that it refuses, such as a model that the path names.
        keeps: Paths of the protocol whose body keeps what is in `drop`.
        adds: Members that it wants in the body.
        omits: Places in the body, as names that lead to them, of members that it refuses and can do without.
        lists: Headers that are lists, to the entries that it knows; it refuses others, so they are left out.
    """

    paths: Mapping[str, str]
    streamed: Mapping[str, str] = field(default_factory=_empty)
    drop: tuple[str, ...] = ()
    keeps: frozenset[str] = frozenset()
    adds: Mapping[str, Any] = field(default_factory=_empty)
    lists: Mapping[str, frozenset[str]] = field(default_factory=_empty)
    omits: tuple[tuple[str, ...], ...] = ()

    def through(self, outgoing: Outgoing, target: Target) -> Outgoing:
        """`outgoing` as this host takes it."""
        path, mark, query = outgoing.path.partition("?")
        body, stream = self._omitted(outgoing.body), False
        if (self.drop or self.adds or self.streamed) and body:
            members = orjson.loads(body)
            stream = members.get("stream") is True
            if self.drop or self.adds:
                left_out = () if path in self.keeps else self.drop
                kept = {name: value for name, value in members.items() if name not in left_out}
                body = orjson.dumps({**kept, **self.adds})
        found = (self.streamed.get(path) if stream else None) or self.paths.get(path, path)
        # `@` comes before a version in ids and has no meaning in a path.
        found = found.replace("{model}", quote(target.model, safe="@", errors="replace"))
        headers = tuple(self._header(name, value) for name, value in outgoing.headers)
        return outgoing._replace(
            path=f"{found}{mark}{query}", body=body, headers=tuple((name, value) for name, value in headers if value)
        )

    def _omitted(self, body: bytes) -> bytes:
        for place in self.omits:
            # Hardly any body holds one: those that do not are not read.
            if place[-1].encode() in body:
                body = orjson.dumps(_without(orjson.loads(body), place))
        return body

    def _header(self, name: str, value: str) -> tuple[str, str]:
        known = self.lists.get(name.lower())
        if known is None:
            return name, value
        return name, ",".join(entry for entry in value.replace(" ", "").split(",") if entry in known)


def _without(value: Any, place: tuple[str, ...]) -> Any:
    """`value` without what stands at `place`; an object that holds nothing else then goes with it."""
    if not isinstance(value, dict) or place[0] not in value:
        return value
    rest = {name: inner for name, inner in value.items() if name != place[0]}
    if len(place) == 1:
        return rest
    inner = _without(value[place[0]], place[1:])
    return {**rest, place[0]: inner} if inner or inner == value[place[0]] else rest


def hosted(dialect: Dialect, name: str, door: Door) -> Dialect:
    """`dialect` as a host speaks it whose requests go through `door`.

    Args:
        dialect: The protocol.
        name: What configurations call it at this host.
        door: How its requests differ.
    """
    changed: dict[str, Any] = {
        each.name: _moved(codec, door)
        for each in fields(dialect)
        if isinstance(codec := getattr(dialect, each.name), Codec)
    }
    native = MappingProxyType({surface: _moved(codec, door) for surface, codec in dialect.native.items()})
    return replace(dialect, name=name, native=native, **changed)


def _moved(codec: Codec[Any, Any], door: Door) -> Codec[Any, Any]:
    return replace(codec, encode=partial(_encoded, codec.encode, door))


def _encoded(encode: Callable[[Any, Target], Outgoing], door: Door, request: Any, target: Target) -> Outgoing:
    return door.through(encode(request, target), target)
