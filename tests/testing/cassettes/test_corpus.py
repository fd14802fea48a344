"""The shipped cassettes: clean, honest about where they come from, up to date, and understood by the official SDKs."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compatgw_testing.cassettes.format import read
from compatgw_testing.cassettes.lint import lint
from compatgw_testing.cassettes.replay import MISS
from tests.testing.cassettes.corpus.making import LIVE, ROOT, each, made, replayed, scenarios_in
from tests.testing.cassettes.corpus.on_bedrock import frames

FILES = sorted(ROOT.rglob("*.jsonl"))
MADE = [(service, name) for service, name, _ in each()]
README = (ROOT / "README.md").read_text("utf-8")


def named(path: Path) -> str:
    """`openai/stream`."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_sdk_understands_it_however_it_is_cut(path: Path) -> None:
    """As recorded, and cut anew at other places: the same text, calls and ending, or the same error of the SDK."""
    service, known = scenarios_in(path.parent.name)
    scenario = known[path.stem]

    said = replayed(path, service, scenario)

    assert any(said)
    assert MISS not in str(said)
    if any(len(one.chunks) > 1 for one in read(path).interactions):
        assert replayed(path, service, scenario, rechunk=1) == said


@pytest.mark.parametrize(("service", "name"), MADE, ids=["/".join(one) for one in MADE])
def test_those_from_documents_are_what_the_fakes_say(service: str, name: str, tmp_path: Path) -> None:
    """Made again they are the same bytes; `scripts/cassettes` brings them up to date."""
    _, known = scenarios_in(service)
    shipped = ROOT / service / f"{name}.jsonl"
    if read(shipped).provenance.source == "recorded":
        pytest.skip("a real server answered this one")

    path, _ = made(tmp_path, service, name, known[name])

    assert path.read_text("utf-8") == shipped.read_text("utf-8"), "run scripts/cassettes"


def test_aws_own_library_reads_the_frames() -> None:
    """And makes of every shipped stream of Bedrock's what the reader here makes of it."""
    eventstream = pytest.importorskip("botocore.eventstream", reason="botocore is not installed")
    streams = [path for path in FILES if path.parent.name == "bedrock" and path.stem in ("stream", "tools_stream")]

    for path in streams:
        (one,) = read(path).interactions
        buffer = eventstream.EventStreamBuffer()
        buffer.add_data(one.body)
        events = [event.to_response_dict() for event in buffer]
        assert [(each["headers"], json.loads(each["body"])) for each in events] == list(frames(one.body))
    assert len(streams) == 2


def test_they_lint_clean() -> None:
    """No secret, no damage, no warning."""
    now = datetime.now(UTC)
    found = [one for path in FILES for one in lint(path, environment={}, now=now, max_age=timedelta(days=99_999))]

    assert FILES
    assert found == []


def test_all_are_named_and_all_names_are_there() -> None:
    """There is a file for each scenario, and no other; together they stay small."""
    wanted = {"/".join(one) for one in MADE} | {f"{folder}/{name}" for folder in LIVE for name in LIVE[folder][1]}

    assert {named(path) for path in FILES} == wanted
    assert sum(path.stat().st_size for path in FILES) < 1_500_000


def test_the_readme_says_which_a_server_really_answered() -> None:
    """Every folder with recorded cassettes is named as such, and only those."""
    recorded = {path.parent.name for path in FILES if read(path).provenance.source == "recorded"}
    told = set(re.findall(r"^\| `([a-z-]+)/` \| recorded", README, re.MULTILINE))

    assert told == recorded
    for path in FILES:
        about = read(path).provenance
        assert about.server
        assert ("no server was asked" in about.note) == (about.source == "from documents")


def test_nothing_of_a_machine_is_in_them() -> None:
    """No path of a folder of somebody's."""
    found = [named(path) for path in FILES if re.search(r"/(?:home|tmp|root|Users|work)/", path.read_text("utf-8"))]

    assert found == []
