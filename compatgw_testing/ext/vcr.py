"""vcrpy: cassettes in our format, scrubbed as ours, matched on what was asked.

With vcrpy alone:

    tape = recorder(gateway_hosts=["gw"])
    with tape.use_cassette("cassettes/summary"):
        ...

With pytest-recording, in conftest.py:

    import vcr                                        # before any mock of httpx is active
    from compatgw_testing.ext import vcr as llm_vcr

    def pytest_recording_configure(config, vcr):
        llm_vcr.register(vcr)

    @pytest.fixture(scope="module")
    def vcr_config():
        return llm_vcr.vcr_config(gateway_hosts=["gw"])

vcrpy keeps one joined body and no times, whatever the format: chunks of such a cassette are
inferred. `llm_cassette` records them as they came. vcrpy is imported when it is first needed.

What does not live here: the traps (`vcr_traps.py`), conversion (`vcr_convert.py`), the format
and what may be in it (`cassettes/`).
"""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from compatgw_testing.cassettes import format as tape_format
from compatgw_testing.cassettes.format import Cassette, Interaction, MalformedCassette, Provenance, RecordedRequest
from compatgw_testing.cassettes.match import key_of, meaning
from compatgw_testing.cassettes.scrub import Scrubber
from compatgw_testing.ext.vcr_convert import NotConvertible, interaction_of, pair_of, url_of
from compatgw_testing.ext.vcr_traps import CassetteTrap, import_order, refuse_in_process, saving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SERIALIZER = "jsonl"
MATCHER = "llm_body"
# vcrpy's own, and what was asked.
MATCH_ON = ("method", "scheme", "host", "port", "path", "query", MATCHER)
# Names of the headers that carry a credential; vcrpy drops them before anything else sees them.
SECRET_HEADERS = (
    *("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"),
    *("openai-organization", "openai-project", "x-amz-security-token"),
)
_DIFF_LINES = 40
_VCR_VERSION = 1
_NO_ANSWER: Mapping[str, Any] = {"status": {"code": 200, "message": ""}, "headers": {}, "body": {"string": b""}}
_NO_QUESTION: Mapping[str, Any] = {"method": "POST", "uri": "http://nowhere.test/", "body": None, "headers": {}}


def library() -> Any:
    """The module `vcr`.

    Raises:
        CassetteTrap: Importing it now would keep a mock of httpx for good, or it has kept one.
        ModuleNotFoundError: vcrpy is not installed.
    """
    trap = import_order()
    if trap is not None:
        raise CassetteTrap(trap)
    try:
        return import_module("vcr")
    except ModuleNotFoundError as missing:
        if missing.name != "vcr":
            raise
        raise ModuleNotFoundError("cassettes of vcrpy need it: pip install vcrpy", name="vcr") from missing


# What vcrpy is told.


def vcr_config(*, gateway_hosts: Iterable[str] = (), refuse_own_application: bool = True) -> dict[str, Any]:
    """Options for `VCR(...)`, `use_cassette(...)` and pytest-recording's fixture `vcr_config`.

    They name a serializer and a matcher that `register` adds. The record mode is not among them, so that
    `--record-mode` holds.

    Args:
        gateway_hosts: Hosts that are not recorded: those of the application under test.
        refuse_own_application: Stop a recording of an application in this process, which replay would not run.
    """
    hooks = [refuse_in_process] if refuse_own_application else []
    return {
        "serializer": SERIALIZER,
        "match_on": MATCH_ON,
        "ignore_hosts": tuple(gateway_hosts),
        "filter_headers": SECRET_HEADERS,
        "decode_compressed_response": True,
        "before_record_request": [*hooks, scrub_request],
        "before_record_response": scrub_response,
    }


def register(vcr: Any) -> None:
    """Adds our serializer, matcher and, unless it has another than its own, persister to a `vcr.VCR`."""
    filesystem = library().persisters.filesystem
    vcr.register_serializer(SERIALIZER, JsonLines())
    vcr.register_matcher(MATCHER, llm_body)
    if vcr.persister is filesystem.FilesystemPersister:
        vcr.register_persister(Persister())


def recorder(*, gateway_hosts: Iterable[str] = (), **options: Any) -> Any:
    """A `vcr.VCR` with all of this; where the environment variable CI is set, it never records.

    Args:
        gateway_hosts: As in `vcr_config`.
        options: Further ones of `vcr.VCR`; they win.
    """
    module = library()
    settings = {"record_mode": "none" if os.environ.get("CI") else "once", **vcr_config(gateway_hosts=gateway_hosts)}
    settings["path_transformer"] = module.VCR.ensure_suffix(f".{SERIALIZER}")
    made = module.VCR(**{**settings, **options})
    register(made)
    return made


class JsonLines:
    """A serializer of vcrpy for our format. What it writes is scrubbed, whoever puts it on file.

    Args:
        now: Gives the time of a recording, as in "2026-11-21T10:00:00Z". Default: the machine's.
    """

    def __init__(self, now: Callable[[], str] | None = None) -> None:
        self._now = now or _now

    def serialize(self, cassette_dict: Mapping[str, Any]) -> str:
        """Our text of what vcrpy has recorded.

        Raises:
            NotConvertible: vcrpy's metadata, or a body in an unknown compression, has no place.
            LiveKeyFound: A key of the environment would be written.
        """
        with saving():
            return tape_format.dumps(self.cassette(cassette_dict)).decode()

    def deserialize(self, cassette_string: str) -> dict[str, Any]:
        """What vcrpy makes its own of, from our text.

        Raises:
            MalformedCassette: It is no cassette of ours.
            NotConvertible: An answer did not end well.
        """
        pairs = map(pair_of, tape_format.loads(cassette_string).interactions)
        return {
            "version": _VCR_VERSION,
            "interactions": [{"request": request, "response": response} for request, response in pairs],
        }

    def cassette(self, cassette_dict: Mapping[str, Any]) -> Cassette:
        """The same, as our own object."""
        if cassette_dict.get("metadata"):
            raise NotConvertible("vcrpy's metadata has no place in our cassettes; keep it in a file of its own")
        interactions = tuple(
            interaction_of(one["request"], one["response"], exact=True) for one in cassette_dict["interactions"]
        )
        return _cleaned(_cassette(interactions, self._now()))


class Persister:
    """Puts cassettes on file as our JSON lines, whole or not at all, whatever the serializer.

    A recording that a cassette had before keeps its time, and its chunks if it was not vcrpy that recorded it. Where
    there is no such file yet but vcrpy's own beside it (`x.yaml` for `x.jsonl`), that is read.

    Args:
        now: As in `JsonLines`.
    """

    def __init__(self, now: Callable[[], str] | None = None) -> None:
        self._now = now or _now

    def load_cassette(self, cassette_path: str | os.PathLike[str], serializer: Any = None) -> tuple[list[Any], ...]:
        """vcrpy's requests and answers.

        Raises:
            CassetteNotFoundError: There is no file (vcrpy's own error; it then records).
            MalformedCassette: It is neither ours nor vcrpy's.
        """
        module = library()
        path = _found(Path(cassette_path))
        if path is None:
            not_found: Exception = module.persisters.filesystem.CassetteNotFoundError(str(cassette_path))
            raise not_found
        pairs = _written(path)
        return (
            [module.Request._from_dict(dict(request)) for request, _ in pairs],  # noqa: SLF001  # as its own loader does
            [module.serializers.compat.convert_to_bytes(dict(response)) for _, response in pairs],
        )

    def save_cassette(
        self, cassette_path: str | os.PathLike[str], cassette_dict: Mapping[str, Any], serializer: Any = None
    ) -> None:
        """Writes what vcrpy has, scrubbed.

        Raises:
            NotConvertible: As `JsonLines.serialize`.
            LiveKeyFound: A key of the environment would be written; nothing is.
        """
        pairs = zip(cassette_dict["requests"], cassette_dict["responses"], strict=True)
        written = [{"request": request._to_dict(), "response": response} for request, response in pairs]  # noqa: SLF001
        path = Path(cassette_path)
        with saving():
            made = JsonLines(self._now).cassette({**cassette_dict, "interactions": written})
            before = tape_format.read(path) if path.is_file() and _is_ours(path) else None
            tape_format.write(path, made if before is None else _merged(before, made))


def _merged(before: Cassette, made: Cassette) -> Cassette:
    """`made`, in which what `before` had already stays as it was."""
    left = list(before.interactions)
    kept: list[Interaction] = []
    inferred = before.provenance.chunks == "inferred"
    for one in made.interactions:
        same = next((old for old in left if _same(old, one)), None)
        if same is None:
            kept.append(replace(one, recorded_at=made.provenance.recorded_at))
            inferred = True
        else:
            left.remove(same)
            kept.append(same)
    provenance = replace(before.provenance, chunks="inferred" if inferred else "as received")
    return Cassette(provenance, tuple(kept))


def _same(old: Interaction, new: Interaction) -> bool:
    if old.head is None or new.head is None or old.head.status != new.head.status or old.body != new.body:
        return False
    one, two = replace(old.request, headers=()), replace(new.request, headers=())
    return one == two


# Hooks.


def scrub_request(request: Any) -> Any:
    """For `before_record_request`: vcrpy's request without secrets. Asked again, the same comes out."""
    cleaned = Scrubber().request(interaction_of(request._to_dict(), _NO_ANSWER, exact=True).request)  # noqa: SLF001
    request.uri = url_of(cleaned)
    request.headers = dict(reversed(cleaned.headers))
    if request.body is not None:
        request.body = cleaned.body
    return request


def scrub_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """For `before_record_response`: vcrpy's answer without secrets and without compression."""
    _, cleaned = pair_of(Scrubber().interaction(interaction_of(_NO_QUESTION, response)))
    body = cleaned["body"]["string"]
    return {**cleaned, "body": {"string": body.encode() if isinstance(body, str) else body}}


def llm_body(one: Any, other: Any) -> None:
    """A matcher: the same was asked, by meaning, as our own cassettes have it.

    Raises:
        AssertionError: It was not; the message is a difference of the two.
    """
    left, right = _question(one), _question(other)
    if key_of(left) != key_of(right):
        lines = difflib.unified_diff(_lines(right), _lines(left), "recorded", "asked now", n=2, lineterm="")
        raise AssertionError("\n".join([*lines][:_DIFF_LINES]))


def _question(request: Any) -> RecordedRequest:
    """What counts of a request beside what vcrpy's own matchers look at."""
    # A body may be a file or an iterator; written out, it is neither.
    asked = Scrubber().request(interaction_of(request._to_dict(), _NO_ANSWER).request)  # noqa: SLF001
    return replace(asked, method="", service="", path="", query=())


def _lines(request: RecordedRequest) -> list[str]:
    value = meaning(request)
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


# Conversion of files.


def import_vcr(path: str | os.PathLike[str]) -> Cassette:
    """A cassette of vcrpy, YAML or JSON, as one of ours, scrubbed; event streams are cut at their events.

    Raises:
        MalformedCassette: It is none of vcrpy's.
        NotConvertible: An answer's compression is not known.
        LiveKeyFound: A key of the environment is in it even when scrubbed.
    """
    interactions = tuple(interaction_of(request, response) for request, response in _pairs_of_vcr(Path(path)))
    note = f"from vcrpy's {Path(path).name}"
    return _cleaned(replace(made := _cassette(interactions, ""), provenance=replace(made.provenance, note=note)))


def export_vcr(cassette: Cassette, *, leave_out_broken: bool = False) -> str:
    """vcrpy's YAML of a cassette of ours. Chunks are joined and times are lost; bodies stay byte for byte.

    Args:
        cassette: What to convert.
        leave_out_broken: Leave out what did not end well. Default: refuse.

    Raises:
        NotConvertible: An answer did not end well.
    """
    serializer = library().serializers.yamlserializer
    whole = [one for one in cassette.interactions if not leave_out_broken or _is_whole(one)]
    pairs = [pair_of(one) for one in whole]
    written = {"version": _VCR_VERSION, "interactions": [{"request": one, "response": two} for one, two in pairs]}
    text: str = serializer.serialize(written)
    return text


# What they share.


def _cassette(interactions: tuple[Interaction, ...], at: str) -> Cassette:
    servers = sorted({urlsplit(url_of(one.request)).netloc for one in interactions})
    models = [model for one in interactions if (model := _model(one.request.body))]
    provenance = Provenance(
        source="recorded",
        server=", ".join(servers),
        model=models[0] if models else "",
        recorded_at=at,
        chunks="inferred",
    )
    return Cassette(provenance, interactions)


def _model(body: bytes) -> str:
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    model = value.get("model") if isinstance(value, dict) else None
    return model if isinstance(model, str) else ""


def _cleaned(cassette: Cassette) -> Cassette:
    scrubber = Scrubber.of()
    cleaned = scrubber.cassette(cassette)
    scrubber.check(cleaned)
    return cleaned


def _is_whole(interaction: Interaction) -> bool:
    return interaction.head is not None and interaction.end.kind == "eof"


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().lstrip().startswith(b'{"cassette"')


def _found(path: Path) -> Path | None:
    """The file itself, or vcrpy's own of another suffix; empty ones count as missing, as vcrpy has it."""
    others = [path.with_suffix(suffix) for suffix in (".yaml", ".yml", ".json")] if path.suffix == ".jsonl" else []
    return next((one for one in (path, *others) if one.is_file() and one.stat().st_size), None)


def _written(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs as vcrpy writes them, from a file of either format."""
    if _is_ours(path):
        return [pair_of(one) for one in tape_format.read(path).interactions]
    return _pairs_of_vcr(path)


def _pairs_of_vcr(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    serializers = library().serializers
    serializer = serializers.jsonserializer if path.suffix == ".json" else serializers.yamlserializer
    try:
        data = serializer.deserialize(path.read_text("utf-8"))
        return [(one["request"], one["response"]) for one in data["interactions"]]
    except (ValueError, LookupError, TypeError, serializers.yamlserializer.yaml.YAMLError) as wrong:
        raise MalformedCassette(f"{path}: this is no cassette of vcrpy ({type(wrong).__name__})") from wrong


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
