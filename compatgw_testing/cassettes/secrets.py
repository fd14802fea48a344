"""What a secret looks like: shapes of keys, names of members that hold one, live values in every spelling.

What does not live here: where in a cassette to look, and what to do about it (`scrub.py`).
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What stands where a secret stood, over and over up to the length of the secret: sizes, and where chunks are cut,
# stay as they were.
_MARK: Final = b"scrubbed"
# A key starts where a word starts; in the text of JSON, a word may come right after an escape such as \n.
_AFTER: Final = re.compile(rb"(?:\A|[^A-Za-z0-9]|\\[nrtbf]|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2})\Z")
_WORD: Final = rb"[A-Za-z0-9_\-]"
_SHAPES: Final[tuple[tuple[str, bytes], ...]] = (
    ("an API key", rb"sk-" + _WORD + rb"{16,}"),
    ("a part of an API key", rb"sk-" + _WORD + rb"*\*{3,}[A-Za-z0-9_\-*]*"),
    ("a Google key", rb"AIza" + _WORD + rb"{30,}"),
    ("a Google key", rb"AQ\." + _WORD + rb"{30,}"),
    ("a Google token", rb"ya29\." + _WORD + rb"{20,}"),
    ("a Hugging Face token", rb"hf_[A-Za-z0-9]{20,}"),
    ("a Groq key", rb"gsk_[A-Za-z0-9]{20,}"),
    ("an xAI key", rb"xai-[A-Za-z0-9]{20,}"),
    ("a Perplexity key", rb"pplx-[A-Za-z0-9]{20,}"),
    ("a Cerebras key", rb"csk-[A-Za-z0-9]{20,}"),
    ("a Cohere key", rb"co-[A-Za-z0-9]{30,}"),
    ("an NVIDIA key", rb"nvapi-" + _WORD + rb"{20,}"),
    ("a Replicate token", rb"r8_[A-Za-z0-9]{20,}"),
    ("a Together key", rb"tgp_v1_" + _WORD + rb"{20,}"),
    ("a Fireworks key", rb"fw_[A-Za-z0-9]{20,}"),
    ("an AWS key id", rb"A(?:KIA|SIA)[0-9A-Z]{16}(?![0-9A-Z])"),
    ("a GitHub token", rb"(?:gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
    ("a GitLab token", rb"glpat-" + _WORD + rb"{16,}"),
    ("a Slack token", rb"xox[abprs]-" + _WORD + rb"{10,}"),
    ("a signed token", rb"eyJ" + _WORD + rb"{8,}\.eyJ" + _WORD + rb"{8,}\." + _WORD + rb"{8,}"),
    ("an organization's id", rb"org[-_][A-Za-z0-9]{16,}"),
    ("a project's id", rb"proj_[A-Za-z0-9]{16,}"),
    ("a workspace's id", rb"wrkspc_[A-Za-z0-9]{16,}"),
    ("a user's id", rb"user-[A-Za-z0-9]{20,}"),
    ("a private key", rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
)
_TOKEN: Final = (
    "a bearer token",
    rb"(?i:Bearer|Basic)(?: |%20|\+)(?!" + _MARK + rb")(?P<secret>[A-Za-z0-9._~+/=\-]{12,})",
)
# In JSON, also in JSON within a string of JSON; and in a form or a URL.
_NAMES: Final = (
    rb"(?:x-)?api[_\-]?key|access[_\-]?token|refresh[_\-]?token|auth[_\-]?token|authorization|client[_\-]?secret"
    rb"|password|secret[_\-]?(?:access[_\-]?)?key|session[_\-]?token"
)
_MEMBER: Final = (
    "a member that holds a secret",
    rb'(?i:"(?:' + _NAMES + rb')\\*"\s*:\s*\\*")(?!' + _MARK + rb')(?P<secret>[^"\\\x00-\x1f]{4,})',
)
_FIELD: Final = (
    "a field that holds a secret",
    rb"(?i:[?&](?:key|sig|signature|token|" + _NAMES + rb")=)(?!" + _MARK + rb")(?P<secret>[^&\s\"'\\#]{4,})",
)
_WORDS: Final = tuple((what, re.compile(shape, re.DOTALL)) for what, shape in _SHAPES)
_PLACED: Final = tuple((what, re.compile(shape)) for what, shape in (_TOKEN, _MEMBER, _FIELD))
# Whoever names the variable in this way keeps a secret in it.
_SECRET_NAME: Final = re.compile(r"(?i)(?:^|_)(?:key|keys|token|secret|password|passwd|credentials?|apikey)(?:$|_)")
_SHORTEST_LIVE: Final = 8
_MIXED: Final = re.compile(r"[A-Za-z0-9+/_\-]{32,200}={0,2}")


def mark(length: int) -> bytes:
    """What stands where a secret of this length stood."""
    return (_MARK * (length // len(_MARK) + 1))[:length]


def marks_as_one(text: bytes) -> bytes:
    """`text` with marks of any length as one: secrets may differ in length between recording and replay."""
    return re.sub(rb"(?:" + _MARK + rb")+(?:scrubbe?|scrub?|scr?|s)?(?![A-Za-z])", _MARK, text)


def spans(text: bytes) -> list[tuple[int, int, str]]:
    """Where secrets of a known shape stand in `text`: start, end and what each is; sorted, none within another."""
    found: list[tuple[int, int, str]] = []
    for what, pattern in _PLACED:
        found += [(*match.span("secret"), what) for match in pattern.finditer(text)]
    for what, pattern in _WORDS:
        # Where a word starts is looked at afterwards: a pattern that starts with letters is found many times faster.
        at = 0
        while (match := pattern.search(text, at)) is not None:
            start, at = match.span()
            if _AFTER.search(text[max(0, start - 6) : start]) is None:
                at = start + 1
            else:
                found.append((start, at, what))
    kept: list[tuple[int, int, str]] = []
    for start, end, what in sorted(found, key=lambda one: (one[0], -one[1])):
        if kept and start < kept[-1][1]:
            if end > kept[-1][1]:
                kept[-1] = (kept[-1][0], end, kept[-1][2])
        else:
            kept.append((start, end, what))
    return kept


def hidden(text: bytes) -> bytes:
    """`text` with every secret of a known shape marked, as long as it was."""
    parts: list[bytes] = []
    at = 0
    for start, end, _ in spans(text):
        parts += [text[at:start], mark(end - start)]
        at = end
    return b"".join([*parts, text[at:]]) if parts else text


def live_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The values of an environment that look like keys, by variable; not what is too short to be one, nor a path."""
    return {
        name: value
        for name, value in environment.items()
        if _SECRET_NAME.search(name)
        and len(value) >= _SHORTEST_LIVE
        and not value.startswith(("/", "./", "~", "http://", "https://"))
        and not any(character.isspace() for character in value)
    }


def spellings(value: str) -> Iterator[tuple[str, bytes]]:
    """A value in every way in which it may stand in a file: how it is spelled, and the bytes to look for."""
    raw = value.encode()
    yield "as it is", raw
    yield "percent-encoded", quote(value, safe="").encode()
    yield "percent-encoded", "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "percent-encoded", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "in hexadecimal", raw.hex().encode()
    yield "backwards", raw[::-1]
    # What stands before it in the encoded text shifts it by none, one or two bytes; the letters at its ends are shared
    # with its neighbours.
    for shift in range(3):
        coded = b64encode(b"\0" * shift + raw + b"\0" * (-(shift + len(raw)) % 3))
        core = coded[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
        yield "in base64", core
        yield "in base64", core.translate(bytes.maketrans(b"+/", b"-_"))


def random_looking(text: str) -> Iterator[str]:
    """Words of `text` that are as random as a key: long, mixed, and of high entropy."""
    for match in _MIXED.finditer(text):
        word = match.group().rstrip("=")
        kinds = (any(map(str.islower, word)), any(map(str.isupper, word)), any(map(str.isdigit, word)))
        if all(kinds) and entropy(word) >= 4.4:
            yield word


def entropy(word: str) -> float:
    """Bits for each character, by how often each stands in the word itself."""
    return -sum(count / len(word) * math.log2(count / len(word)) for count in Counter(word).values())
