"""The benchmark's reading and reckoning; that it starts and measures is seen by running it."""

from __future__ import annotations

import re
import struct
import zlib

import orjson
import pytest

from tests.bench.__main__ import peer
from tests.bench.processes import BenchError, cpu_of_stat, memory_of_status
from tests.bench.report import GATEWAY, GOALS, Measured, report
from tests.bench.rounds import DIRECT, FLOOR, Results, Run, Target, run_of
from tests.bench.scenarios import SCENARIOS, noise_image
from tests.bench.startup import Startup

OUTPUT = {
    "rps": 10.0, "n": 30, "p50": 100.0, "p99": 200.0, "first50": 90.0, "first99": 190.0, "events_s": 640.0,
    "total": 40, "events": 2560, "non2xx": 1, "first_bad": 503, "errors": 2,
}  # fmt: skip


def run(rps: float = 1.0, p50: float = 1.0, cpu: float | None = None, bad: int = 0) -> Run:
    """A run with only what a test looks at."""
    return Run(rps, p50, p50, p50, p50, rps, cpu, bad, 500 if bad else 0)


def test_cpu_time_is_read_behind_a_name_with_spaces_and_brackets() -> None:
    """User and system ticks are the 14th and 15th field."""
    numbers = " ".join(str(number) for number in range(4, 53))

    assert cpu_of_stat(f"4711 (a (strange) name) S {numbers}\n") == 14 + 15


def test_memory_is_read_in_bytes() -> None:
    """The kernel writes kB and means 1024 bytes."""
    status = "VmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n"

    assert (memory_of_status(status, "VmHWM"), memory_of_status(status, "VmRSS")) == (300 * 1024, 200 * 1024)


def test_processor_time_is_divided_by_events_of_streams_and_by_answers_otherwise() -> None:
    """2,560 events, or 40 answers, in the same time."""
    output = orjson.dumps(OUTPUT)

    assert pytest.approx(1000.0) == run_of(output, 2.56, SCENARIOS["g64"]).cpu
    assert pytest.approx(64000.0) == run_of(output, 2.56, SCENARIOS["c64"]).cpu
    assert run_of(output, None, SCENARIOS["c64"]).cpu is None


def test_bad_answers_and_broken_connections_are_counted_together() -> None:
    """One 503 and two errors."""
    seen = run_of(orjson.dumps(OUTPUT), None, SCENARIOS["c1"])

    assert (seen.bad, seen.first_bad) == (3, 503)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down between rounds does not change them."""
    results = Results({("c64", FLOOR): [run(100), run(10), run(1000)], ("c64", GATEWAY): [run(50), run(5), run(600)]})

    assert results.ratio("c64", GATEWAY, "rps") == 0.5


def test_added_times_are_compared_with_what_the_floor_adds() -> None:
    """10 direct, 30 through the floor, 40 through the gateway: it adds half as much again."""
    results = Results(
        {("c1", DIRECT): [run(p50=10)], ("c1", FLOOR): [run(p50=30)], ("c1", GATEWAY): [run(p50=40)]},
    )

    assert results.added_ratio("c1", GATEWAY, "p50") == 1.5


def test_what_was_not_measured_is_said_to_be_so() -> None:
    """No goal is reached or missed by an empty benchmark."""
    text = report(Measured(Results(), {}, {}, None), SCENARIOS, [])

    assert len(GOALS) == text.count("not measured")


@pytest.mark.parametrize(("milliseconds", "reached"), [(100.0, "yes"), (200.0, "no")])
def test_a_goal_stands_beside_its_figure(milliseconds: float, reached: str) -> None:
    """The import, on either side of 150 ms."""
    text = report(Measured(Results(), {}, {}, Startup(milliseconds, 2.0, 300.0, 66.0, ("httpx",))), SCENARIOS, [])

    assert f"| {milliseconds:.2f} ms | <= 150 ms | {reached} |" in text
    assert "| 2.00 ms | <= 150 ms | yes |" in text
    assert "loads httpx; for comparison, `import httpx` takes 66 ms here and now." in text


def test_the_table_shows_ratios_and_names_bad_answers() -> None:
    """The gateway's row has multiples of the floor's, and failures are not hidden."""
    results = Results(
        {("c1", DIRECT): [run(1000, 10)], ("c1", FLOOR): [run(400, 20)], ("c1", GATEWAY): [run(200, 25, bad=3)]}
    )

    text = report(Measured(results, {}, {FLOOR: 2**25, GATEWAY: 2**26}, None), SCENARIOS, [DIRECT, FLOOR, GATEWAY])

    assert re.search(r"^\| compatgw \| 200 \(0\.50x\) \| 15\.0 \(1\.50x\) ", text, re.MULTILINE)
    assert "compatgw 64 MB (2.00x)" in text
    assert "- compatgw, c1: 3 answers were not good, the first with status 500." in text


@pytest.mark.parametrize(("size", "least", "most"), [("c1", 900, 1500), ("m16", 18_000, 24_000), ("l1", 4.9e6, 5.2e6)])
def test_bodies_have_the_size_that_their_scenario_says(size: str, least: float, most: float) -> None:
    """1 KB, 20 KB and 5 MB."""
    assert least < len(SCENARIOS[size].body("fake")) < most


def test_the_model_tells_the_upstream_how_to_behave() -> None:
    """The suffix stands behind the name, whatever provider stands before it."""
    body = orjson.loads(SCENARIOS["g64"].body("openai/fake"))

    assert (body["model"], body["stream"]) == ("openai/fake-g5", True)


def test_the_image_is_one() -> None:
    """A gateway that looks into it finds a PNG with as many pixels as it says."""
    image = noise_image(8)
    length = struct.unpack(">I", image[33:37])[0]

    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(zlib.decompress(image[41 : 41 + length])) == 8 * (8 * 3 + 1)


def test_a_peer_is_named_by_its_address() -> None:
    """With or without its process; it translates nothing that we could compare."""
    seen = peer("nginx=http://127.0.0.1:9803,4711", "k", "fake")

    assert (
        Target("nginx", "http://127.0.0.1:9803", translated_model=None, headers=("Authorization: Bearer k",), pid=4711)
        == seen
    )
    assert peer("x=http://127.0.0.1:1", "k", "fake").pid is None
    assert not seen.takes(SCENARIOS["g64t"])


@pytest.mark.parametrize("text", ["nginx", "=http://127.0.0.1:1", "x=http://example.com:80", "x=http://127.0.0.1:1,y"])
def test_a_peer_elsewhere_is_refused(text: str) -> None:
    """Only this machine is put under load."""
    with pytest.raises(BenchError, match=re.escape(text)):
        peer(text, "k", "fake")
