"""What of an exchange may be written down: headers by a list of those allowed, everything else without its secrets.

A secret is replaced by a mark as long as itself, so chunks are cut where they were cut and lengths stay true. After
that nothing may be left of a live key, in any spelling: a cassette that has one is refused. What does not live here:
what a secret looks like (`secrets.py`), writing (`format.py`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

from compatgw_testing.cassettes import secrets
from compatgw_testing.cassettes.format import Cassette, Chunk, Interaction, RecordedRequest, compact
from compatgw_testing.cassettes.services import PATH_SAFE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compatgw_testing.cassettes.format import Pairs

_REQUEST_HEADERS: Final = frozenset({"content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta"})
_RESPONSE_HEADERS: Final = frozenset(
    {
        *("content-type", "content-length", "cache-control", "allow", "location", "retry-after", "retry-after-ms"),
        *("x-should-retry", "x-request-id", "request-id", "apim-request-id", "x-ms-region", "x-ms-rai-invoked"),
        *("openai-processing-ms", "openai-version", "openai-model", "x-groq-region", "x-envoy-upstream-service-time"),
        *("x-amzn-errortype", "x-amzn-requestid"),
        *("x-debug-trace-id", "x-api-warning", "mistral-correlation-id"),
    }
)
_RESPONSE_FAMILIES: Final = ("x-ratelimit-", "anthropic-ratelimit-", "anthropic-priority-")
_SECRET_QUERY: Final = frozenset(
    {"key", "api_key", "api-key", "apikey", "access_token", "token", "sig", "signature", "client_secret"}
)


class LiveKeyFound(RuntimeError):
    """A cassette would have held a live key; the text says where, never which. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Takes secrets out of exchanges, and refuses those that still have one.

    Attributes:
        live: Values that must not be written, by a name to call each by in errors.
        request_headers: Names, in lower case, of headers to keep besides the usual ones.
        response_headers: The same of answers.
    """

    live: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_headers: frozenset[str] = frozenset()
    response_headers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None, *, values: Iterable[str] = ()) -> Scrubber:
        """One that knows the keys in an environment (default: the process's), and further values."""
        live = secrets.live_values(os.environ if environment is None else environment)
        return cls({**live, **{f"the given value {number}": value for number, value in enumerate(values, 1) if value}})

    def cassette(self, cassette: Cassette) -> Cassette:
        """The cassette without its secrets."""
        return replace(cassette, interactions=tuple(map(self.interaction, cassette.interactions)))

    def interaction(self, one: Interaction) -> Interaction:
        """One exchange without its secrets; chunks are cut where they were cut."""
        head = one.head
        if head is not None:
            kept = ((name.lower(), value) for name, value in head.headers)
            headers = tuple((name, _text(value)) for name, value in kept if self._in_answers(name))
            head = replace(head, headers=headers)
        end = one.end if one.end.error is None else replace(one.end, error=_text(one.end.error))
        return replace(one, request=self.request(one.request), head=head, chunks=_chunks(one.chunks), end=end)

    def request(self, request: RecordedRequest) -> RecordedRequest:
        """A request without its secrets."""
        named = ((name.lower(), value) for name, value in request.headers)
        allowed = _REQUEST_HEADERS | self.request_headers
        return replace(
            request,
            path=_path(request.path),
            query=tuple(
                (name, secrets.mark(8).decode() if name.lower() in _SECRET_QUERY else _text(value))
                for name, value in request.query
            ),
            headers=tuple((name, _text(value)) for name, value in named if name in allowed),
            body=secrets.hidden(_canonical(request.body)),
        )

    def check(self, cassette: Cassette) -> None:
        """Looks for live keys everywhere.

        Raises:
            LiveKeyFound: There is one.
        """
        if not self.live:
            return
        wanted = [
            (name, how, spelled) for name, value in self.live.items() for how, spelled in secrets.spellings(value)
        ]
        for where, text in places(cassette):
            for name, how, spelled in wanted:
                if spelled in text:
                    raise LiveKeyFound(
                        f"the value of {name} stands in {where} ({how}), so the cassette was not written; "
                        "keep the key out of what is sent and answered, or revoke it and record with another"
                    )

    def _in_answers(self, name: str) -> bool:
        return name in _RESPONSE_HEADERS or name.startswith(_RESPONSE_FAMILIES) or name in self.response_headers


def places(cassette: Cassette) -> Iterator[tuple[str, bytes]]:
    """Every text of a cassette, and what is encoded in it, each with where it stands."""
    about = cassette.provenance
    yield "the first line", "\n".join((about.server, about.model, about.recorded_at, about.note, about.test)).encode()
    for number, one in enumerate(cassette.interactions, 1):
        asked = one.request
        # Not by its path: that is one of the places where a secret may stand.
        name = f"interaction {number}"
        url = f"{asked.service}{asked.path}?" + "&".join("=".join(pair) for pair in asked.query)
        yield from _decoded(f"the URL of {name}", url.encode())
        yield f"the headers of {name}", _flat(asked.headers)
        yield from _decoded(f"the body of {name}", asked.body)
        if one.head is not None:
            yield f"the headers of the answer to {name}", _flat(one.head.headers)
        yield from _decoded(f"the answer to {name}", one.body)
        yield from ((f"the answer to {name}, over several events", text) for text in spread(one.body))
        if one.end.error:
            yield f"the error at the end of {name}", one.end.error.encode()


def spread(body: bytes) -> Iterator[bytes]:
    """Texts that a stream of JSON events gives in pieces: for each member, its texts of all events, joined."""
    members: dict[tuple[str, ...], list[str]] = {}
    count = 0
    for value in values_in(*body.splitlines()):
        if not isinstance(value, dict):
            continue
        count += 1
        for path, text in leaves(value):
            members.setdefault(path, []).append(text)
    if count > 1:
        for texts in members.values():
            if len(texts) > 1:
                yield "".join(texts).encode("utf-8", "replace")


def values_in(*texts: bytes) -> Iterator[Any]:
    """Each text as JSON, be it the data of an event; what is no JSON is passed over."""
    for text in texts:
        try:
            yield json.loads(text.removeprefix(b"data:"))
        except (ValueError, RecursionError):
            continue


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a JSON value, with the members that lead to it."""
    waiting: list[tuple[tuple[str, ...], Any]] = [(path, value)]
    while waiting:
        here, one = waiting.pop()
        if isinstance(one, str):
            yield here, one
        elif isinstance(one, dict):
            waiting += [((*here, str(name)), inner) for name, inner in one.items()]
        elif isinstance(one, list):
            waiting += [((*here, "[]"), inner) for inner in one]


def _decoded(where: str, text: bytes) -> Iterator[tuple[str, bytes]]:
    """A text, and what it means where it is escaped."""
    yield where, text
    if b"%" in text:
        yield where, unquote_to_bytes(text)
    if b"\\" in text:
        for value in values_in(text, *text.splitlines()):
            yield where, "\n".join(inner for _, inner in leaves(value)).encode("utf-8", "replace")


def _flat(pairs: Pairs) -> bytes:
    return "\n".join(f"{name}: {value}" for name, value in pairs).encode()


def _text(text: str) -> str:
    return secrets.hidden(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _path(path: str) -> str:
    meant = unquote_to_bytes(path)
    clean = secrets.hidden(meant)
    return path if clean == meant else quote(clean, safe=PATH_SAFE)


def _canonical(body: bytes) -> bytes:
    """A body in the spelling of the file, if it is JSON."""
    try:
        return compact(json.loads(body.decode("utf-8")))
    except (ValueError, RecursionError):
        return body


def _chunks(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The chunks without the secrets in what they are together."""
    whole = b"".join(chunk.data for chunk in chunks)
    clean = secrets.hidden(whole)
    if clean == whole:
        return chunks
    cut: list[Chunk] = []
    at = 0
    for chunk in chunks:
        cut.append(replace(chunk, data=clean[at : at + len(chunk.data)]))
        at += len(chunk.data)
    return tuple(cut)
