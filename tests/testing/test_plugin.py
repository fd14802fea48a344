"""The pytest plugin: cheap to load, and its fixtures work in a suite of somebody else."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

HEAVY = ("starlette", "httpx", "httpx2", "uvicorn", "faker", "openai", "anthropic", "compatgw.gateway", "pydantic")
LOAD = """
import sys
import pytest
before = set(sys.modules)
import compatgw_testing.plugin
print(*sorted(set(sys.modules) - before))
"""


def test_loading_the_plugin_imports_nothing_else() -> None:
    """Not the fakes, not the gateway, no client library: pytest loads it into every run."""
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == ["compatgw_testing", "compatgw_testing.plugin"]


def test_the_fakes_need_nothing_but_the_standard_library() -> None:
    """Only the server brings uvicorn along, and only the harness the gateway."""
    code = "import sys, compatgw_testing.fakes; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {name for name in loaded if name.split(".")[0] in HEAVY or name.startswith("compatgw.")}


SUITE = """
import pytest

def test_short_and_long_names_are_one(fake_openai, compatgw_fake_openai, fake_anthropic, compatgw_fake_anthropic,
                                      fake_gemini, compatgw_fake_gemini, fake_cohere, compatgw_fake_cohere,
                                      gateway, compatgw_gateway):
    assert fake_openai is compatgw_fake_openai
    assert fake_anthropic is compatgw_fake_anthropic
    assert fake_gemini is compatgw_fake_gemini
    assert fake_cohere is compatgw_fake_cohere
    assert gateway is compatgw_gateway

@pytest.mark.parametrize("run", [1, 2])
def test_fakes_are_fresh(fake_openai, run):
    assert len(fake_openai.calls) == 0
    fake_openai.reply("left over")
    assert len(fake_openai.unused) == 1

def test_seeds_differ_by_test(fake_openai):
    assert fake_openai.seed.endswith("test_seeds_differ_by_test")
"""


def test_fixtures_in_a_foreign_suite(pytester: pytest.Pytester) -> None:
    """The entry point alone brings them in."""
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=4)
