"""What is wrong with a cassette that is about to be shared: secrets, damage, age, answers that depend on order.

What does not live here: mending it; printing (`command.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from compatgw_testing.cassettes import age, secrets
from compatgw_testing.cassettes.format import Cassette, MalformedCassette, read
from compatgw_testing.cassettes.match import key_of, told
from compatgw_testing.cassettes.scrub import LiveKeyFound, Scrubber, leaves, places, values_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from compatgw_testing.cassettes.format import Interaction

Level = Literal["error", "warning"]
# Members that are random by nature: pictures, sounds, vectors, what a vendor signs or encrypts, ids.
_RANDOM: Final = frozenset(
    {
        *(
            "bytes",
            "data",
            "b64_json",
            "url",
            "image_url",
            "file_data",
            "embedding",
            "embeddings",
            "signature",
            "audio",
        ),
        *("thoughtSignature", "thought_signature", "encrypted_content", "obfuscation", "system_fingerprint"),
        *("id", "item_id", "response_id", "responseId", "request_id", "tool_call_id", "tool_use_id", "call_id"),
        *("generation_id", "previous_response_id", "base64"),
    }
)


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        path: The file.
        level: An error must be mended; a warning may be meant.
        text: What, where, and how to mend it; never a secret.
    """

    path: Path
    level: Level
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.level}: {self.text}"


def lint(
    path: Path, *, environment: Mapping[str, str], now: datetime, max_age: timedelta = age.MAX_AGE
) -> list[Finding]:
    """What is wrong with one file, errors first.

    Args:
        path: The file.
        environment: Whose keys must not be in it.
        now: The time.
        max_age: From when on a recording is old.
    """
    try:
        cassette = read(path)
    except MalformedCassette as broken:
        text = str(broken).removeprefix(f"{path}, ")
        return [Finding(path, "error", text)]
    except OSError as missing:
        return [Finding(path, "error", f"cannot be read: {missing.strerror or missing}")]
    scrubber = Scrubber.of(environment)
    found = [Finding(path, "error", text) for text in _secret(cassette, scrubber)]
    found += [Finding(path, "error", text) for text in _damaged(cassette)]
    found += [Finding(path, "warning", text) for text in _random(cassette)]
    found += [Finding(path, "warning", text) for text in _doubtful(cassette)]
    if (old := age.too_old(cassette, path, now, max_age)) is not None:
        found.append(Finding(path, "warning", old.removeprefix(f"{path}: ")))
    return found


def _secret(cassette: Cassette, scrubber: Scrubber) -> Iterator[str]:
    told_of: set[tuple[str, str]] = set()
    for where, text in places(cassette):
        for _, _, what in secrets.spans(text):
            if (where, what) not in told_of:
                told_of.add((where, what))
                yield f"{what} stands in {where}; revoke it, and record again"
    for number, one in enumerate(cassette.interactions, 1):
        clean = scrubber.interaction(one)
        gone = {name for name, _ in one.request.headers} - {name for name, _ in clean.request.headers}
        if one.head is not None and clean.head is not None:
            gone |= {name for name, _ in one.head.headers} - {name for name, _ in clean.head.headers}
        if gone:
            yield f"interaction {number} has headers that no cassette keeps: {', '.join(sorted(gone))}; take them out"
    try:
        scrubber.check(cassette)
    except LiveKeyFound as live:
        yield f"{str(live).partition(', so ')[0]}; revoke it, and record again"


def _damaged(cassette: Cassette) -> Iterator[str]:
    if not cassette.interactions:
        yield "it has no interaction; record it again"
    for number, one in enumerate(cassette.interactions, 1):
        if one.head is None:
            if one.end.kind == "eof":
                yield f"interaction {number} has no answer, but ends cleanly; record it again"
            continue
        length = dict(one.head.headers).get("content-length")
        whole = one.end.kind == "eof" and one.request.method != "HEAD" and one.head.status not in (204, 304)
        if length is not None and whole and length != str(len(one.body)):
            yield f"interaction {number} says content-length {length}, but has {len(one.body)} bytes; record it again"
        times = [one.head.t_ms, *(chunk.t_ms for chunk in one.chunks), one.end.t_ms]
        if times != sorted(times) or times[0] < 0:
            yield f"interaction {number} has times that run backwards; record it again"


def _random(cassette: Cassette) -> Iterator[str]:
    for number, one in enumerate(cassette.interactions, 1):
        for where, body in (("request", one.request.body), ("answer", one.body)):
            lines = (body, *body.splitlines()) if where == "answer" else (body,)
            words: dict[str, None] = {}
            for value in values_in(*lines):
                for path, text in leaves(value):
                    name = next((part for part in reversed(path) if part != "[]"), "the text")
                    if name not in _RANDOM and any(secrets.random_looking(text)):
                        words[name] = None
            if words:
                yield (
                    f"interaction {number}: '{', '.join(words)}' of the {where} looks as random as a key; "
                    "see that it is none"
                )


def _doubtful(cassette: Cassette) -> Iterator[str]:
    about = cassette.provenance
    if about.source == "recorded" and cassette.interactions and age.oldest(cassette) is None:
        yield "it says that it was recorded, but not when: 'recorded_at' of the first line has no time"
    if not about.server:
        yield "it does not say what answered: 'server' of the first line is missing"
    equal: dict[str, list[tuple[int, Interaction]]] = defaultdict(list)
    for number, one in enumerate(cassette.interactions, 1):
        equal[key_of(one.request)].append((number, one))
    for same in equal.values():
        answers = {(one.head, one.body, one.end.kind) for _, one in same}
        if len(same) > 1 and len(answers) > 1:
            numbers = ", ".join(str(number) for number, _ in same)
            yield (
                f"interactions {numbers} answer the same request ({told(same[0][1].request)}) differently: they are "
                "given in this order, whoever asks first"
            )
