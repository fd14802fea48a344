"""The pytest plugin: cheap to load, and its fixtures work in a suite of somebody else."""

import os
import subprocess
import sys

import pytest

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.plugin import _at_fakes

pytest_plugins = ["pytester"]

HEAVY = ("starlette", "httpx", "httpx2", "uvicorn", "faker", "openai", "anthropic", "compatgw.gateway", "pydantic")
LOAD = """
import sys
import pytest
before = set(sys.modules)
import compatgw_testing.plugin
print(*sorted(set(sys.modules) - before))
"""


def run(pytester: pytest.Pytester, suite: str, *options: str) -> pytest.RunResult:
    """A whole run of pytest over `suite`, as in somebody else's project; of all plugins only ours, to save time."""
    pytester.makepyfile(suite)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_subprocess("-p", "compatgw_testing.plugin", "-p", "no:cacheprovider", *options)


def test_loading_the_plugin_imports_nothing_else() -> None:
    """Not the fakes, not the gateway, no client library: pytest loads it into every run."""
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == ["compatgw_testing", "compatgw_testing.plugin"]


def test_the_fakes_need_nothing_but_the_standard_library() -> None:
    """Only the server brings uvicorn along, and only the harness the gateway."""
    code = "import sys, compatgw_testing.fakes; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {name for name in loaded if name.split(".")[0] in HEAVY or name.startswith("compatgw.")}


def test_a_suite_that_asks_for_nothing_loads_nothing(pytester: pytest.Pytester) -> None:
    """A run without a fixture of ours never imports the fakes, however often the plugin is asked."""
    suite = """
import sys

def test_nothing():
    assert {name for name in sys.modules if name.startswith("compatgw")} <= {
        "compatgw_testing", "compatgw_testing.plugin"
    }
"""

    run(pytester, suite).assert_outcomes(passed=1)


NAMES = """
import pytest

def test_short_and_long_names_are_one(fake_llm, compatgw_fake_llm, fake_openai, compatgw_fake_openai,
                                      fake_anthropic, compatgw_fake_anthropic, fake_gemini, compatgw_fake_gemini,
                                      fake_cohere, compatgw_fake_cohere, gateway, compatgw_gateway,
                                      gateway_server, compatgw_gateway_server, no_llm_network, compatgw_no_llm_network):
    assert fake_llm is compatgw_fake_llm
    assert fake_openai is compatgw_fake_openai is fake_llm.openai
    assert fake_anthropic is compatgw_fake_anthropic is fake_llm.anthropic
    assert fake_gemini is compatgw_fake_gemini is fake_llm.gemini
    assert fake_cohere is compatgw_fake_cohere is fake_llm.cohere
    assert gateway is compatgw_gateway
    assert gateway_server is compatgw_gateway_server
    assert no_llm_network is compatgw_no_llm_network

@pytest.mark.llm(verify=False)
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
    pytester.makepyfile(NAMES)

    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")

    result.assert_outcomes(passed=4)


def test_short_names_can_be_left_out(pytester: pytest.Pytester) -> None:
    """Somebody else's fixture `gateway` is theirs then, and the prefixed names still work."""
    pytester.makeini("[pytest]\ncompatgw_short_names = false\n")
    suite = """
import pytest

def test_prefixed(compatgw_fake_openai):
    pass

def test_gone(fake_openai):
    pass
"""

    result = run(pytester, suite)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'fake_openai' not found*"])


VERDICTS = """
import openai
import pytest
from compatgw_testing import contains

def ask(text="Hi"):
    with openai.OpenAI() as client:
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])

def test_answered(fake_llm):
    fake_llm.openai.reply("Bonjour")
    assert ask().choices[0].message.content == "Bonjour"

def test_unused(fake_llm):
    fake_llm.openai.on(user="never").reply("x")

def test_unmatched_is_swallowed_by_the_application(fake_llm):
    fake_llm.openai.on(user="exactly this").reply("1")
    fake_llm.openai.on(user=contains("weather")).reply("2")
    try:
        ask("what time is it")
    except openai.BadRequestError as error:
        assert "no_rule_matched" in str(error.body)

@pytest.mark.llm(unscripted="answer")
def test_improvised(fake_llm):
    assert ask().choices[0].message.content

@pytest.mark.llm(verify=False)
def test_unused_but_allowed(fake_llm):
    fake_llm.openai.reply("x")

def test_fails_for_its_own_reason(fake_llm):
    fake_llm.openai.reply("x")
    assert 1 == 2
"""


def test_a_passed_test_is_judged(pytester: pytest.Pytester) -> None:
    """Unused rules and unmatched calls fail the test that has them, even where the application swallowed the error."""
    result = run(pytester, VERDICTS)

    result.assert_outcomes(passed=3, failed=3)
    text = result.stdout.str()
    assert "never used: on(user='never')" in text
    assert "on(user='exactly this'): user='exactly this', got 'what time is it'" in text
    assert "on(user=contains('weather')): user=contains('weather'), got 'what time is it'" in text
    assert "assert 1 == 2" in text
    assert "never played: Turn(text='x'" not in text


REDIRECTED = """
import asyncio
import anthropic, cohere, openai
from google import genai

def test_clients_that_are_told_nothing(fake_llm):
    fake_llm.openai.reply("from openai")
    fake_llm.anthropic.reply("from anthropic")
    fake_llm.gemini.reply("from gemini")
    fake_llm.cohere.reply("from cohere")
    user = [{"role": "user", "content": "Hi"}]
    with openai.OpenAI() as client:
        assert client.chat.completions.create(model="gpt-4o", messages=user).choices[0].message.content == "from openai"
    with anthropic.Anthropic() as client:
        answer = client.messages.create(model="claude-sonnet-5", messages=user, max_tokens=9)
        assert answer.content[0].text == "from anthropic"
    client = genai.Client()
    assert client.models.generate_content(model="gemini-2.5-flash", contents="Hi").text == "from gemini"
    client.close()
    client = cohere.ClientV2()
    assert client.chat(model="command-a-03-2025", messages=user).message.content[0].text == "from cohere"
    client._client_wrapper.httpx_client.httpx_client.close()
    assert [name for name, _ in fake_llm.calls] == ["openai", "anthropic", "gemini", "cohere"]

def test_clients_that_wait(fake_llm):
    fake_llm.openai.reply("from openai")

    async def ask():
        async with openai.AsyncOpenAI() as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(ask()) == "from openai"

def test_a_vendor(fake_llm):
    fake_llm.vendor("groq").reply("from groq")
    with openai.OpenAI(base_url=f"{fake_llm.origin}/groq/openai/v1") as client:
        answer = client.chat.completions.create(model="llama", messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "from groq"
    assert answer.to_dict()["x_groq"]["id"].startswith("req_")
"""


def test_unmodified_clients_reach_the_fakes(pytester: pytest.Pytester) -> None:
    """The official SDKs read the address and the key from the environment; after the test all is as before."""
    result = run(pytester, REDIRECTED, "-W", "error")

    result.assert_outcomes(passed=3)


EARLY = """
import openai

CLIENT = openai.OpenAI()

def ask():
    return CLIENT.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])

def test_one(fake_llm):
    fake_llm.openai.reply("one")
    assert ask().choices[0].message.content == "one"

def test_two(fake_llm):
    fake_llm.openai.reply("two")
    assert ask().choices[0].message.content == "two"
    assert fake_llm.openai.assert_called_once()

def test_three():
    try:
        ask()
    except openai.NotFoundError as error:
        assert "No test owns" in str(error)
    CLIENT.close()
"""


def test_clients_made_at_import_are_reached_too(pytester: pytest.Pytester) -> None:
    """With `--llm-early` the address is there before the test modules are, and each test has its own fakes on it."""
    run(pytester, EARLY, "--llm-early").assert_outcomes(passed=3)


GUARDED = """
import socket
import pytest

def test_swallowed():
    try:
        socket.create_connection(("api.openai.com", 443), timeout=1)
    except Exception:
        pass

def test_loopback(fake_openai):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=1).close()
"""


def test_every_test_can_be_guarded(pytester: pytest.Pytester) -> None:
    """An escape fails the test and names the host, even where the application swallowed it."""
    result = run(pytester, GUARDED, "--llm-guard")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*api.openai.com*"])


GATEWAY = """
import openai

def test_on_a_port(gateway_server, fake_anthropic):
    fake_anthropic.reply("Bonjour")
    with openai.OpenAI(base_url=f"{gateway_server}/v1", api_key="test-key") as client:
        answer = client.chat.completions.create(
            model="anthropic/claude-sonnet-4-5", messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "Bonjour"
"""


def test_the_gateway_on_a_port(pytester: pytest.Pytester) -> None:
    """Any client reaches it; its upstreams are the fakes of the test."""
    run(pytester, GATEWAY).assert_outcomes(passed=1)


GRADED = """
import httpx
import pytest

def naive(fake_llm):
    fake_llm.openai.fail(401, times=3)
    for _ in range(3):
        httpx.post(f"{fake_llm.origin}/openai/v1/chat/completions", headers={"authorization": "Bearer sk-fake-openai"},
                   json={"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]})

@pytest.mark.llm_grade
def test_graded(fake_llm):
    naive(fake_llm)

def test_not_graded(fake_llm):
    naive(fake_llm)
"""


def test_a_test_can_be_graded(pytester: pytest.Pytester) -> None:
    """The marker turns bad conduct of the client into a failure that says what it was."""
    result = run(pytester, GRADED)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*retried_what_must_not_be*"])


def test_the_environment_is_put_back(request: pytest.FixtureRequest) -> None:
    """What the fixture sets is gone with it."""
    before = dict(os.environ)
    with _at_fakes("http://127.0.0.1:1/t"):
        during = dict(os.environ)

    assert during["OPENAI_BASE_URL"] == "http://127.0.0.1:1/t/openai/v1"
    assert during["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1/t/anthropic"
    assert dict(os.environ) == before


RECORDED = """
import openai
import pytest

def ask(text="Hi"):
    with openai.OpenAI(max_retries=0) as client:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": text}], stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

def test_recorded(llm_cassette):
    assert ask() == "from a real server"
"""


def test_an_answer_is_recorded_once_and_replayed(pytester: pytest.Pytester) -> None:
    """The first run asks the server that the environment names, the second one nobody; both streams are the same."""
    fake = FakeOpenAI().reply("from a real server")
    with FakeServer(fake) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", server.base_url)
        patch.setenv("OPENAI_API_KEY", fake.api_key)
        run(pytester, RECORDED, "--llm-record", "once").assert_outcomes(passed=1)
        assert len(fake.calls) == 1
        run(pytester, RECORDED).assert_outcomes(passed=1)

    assert len(fake.calls) == 1
    (tape,) = (pytester.path / "cassettes").rglob("*.jsonl")
    assert tape.name == "test_recorded.jsonl"
    assert fake.api_key not in tape.read_text()


def test_without_a_recording_nothing_leaves(pytester: pytest.Pytester) -> None:
    """The default mode answers from the file alone, and says how to make one."""
    result = run(pytester, RECORDED)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*there is no cassette*"])


MIXED = """
def test_mixed(llm_cassette, httpx_mock):
    pass
"""


def test_a_cassette_and_a_mock_do_not_mix(pytester: pytest.Pytester) -> None:
    """A test with both is stopped, with advice."""
    result = run(pytester, MIXED, "-p", "pytest_httpx")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Split the test*"])


MOCKED = """
import asyncio
from compatgw_testing.ext.pytest_httpx import add_provider_response

def test_mocked(gateway, httpx_mock):
    fake = add_provider_response(httpx_mock, "anthropic", "Bonjour")

    async def ask():
        async with gateway.client(api_key="test-key") as client:
            return await client.post("/v1/chat/completions", json={
                "model": "anthropic/claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi"}]})

    answer = asyncio.run(ask())
    assert answer.json()["choices"][0]["message"]["content"] == "Bonjour", answer.text
    assert str(httpx_mock.get_requests()[0].url) == "https://api.anthropic.com/v1/messages"
    assert len(fake.calls) == 1
"""


def test_a_mock_of_httpx_sees_the_gateways_calls(pytester: pytest.Pytester) -> None:
    """While `httpx_mock` is active, the gateway goes to the real addresses through httpx, and the mock answers."""
    run(pytester, MOCKED, "-p", "pytest_httpx").assert_outcomes(passed=1)


MATRIX = """
import pytest

@pytest.mark.llm_matrix(upstreams=["anthropic", "cohere"], scenarios=["plain_text", "tool_call"])
def test_conformance(matrix_case):
    matrix_case()
"""


def test_the_matrix_is_a_marker(pytester: pytest.Pytester) -> None:
    """One test for each case; `matrix_target` may be overridden."""
    from compatgw_testing.matrix import cases

    names = [scenario.name for scenario in {case.scenario.name: case.scenario for case in cases()}.values()]
    suite = MATRIX.replace('"plain_text", "tool_call"', ", ".join(repr(name) for name in names[:2]))
    count = len(cases(upstreams=["anthropic", "cohere"], scenarios=names[:2]))

    run(pytester, suite).assert_outcomes(passed=count)


FROZEN = """
def test_first(fake_llm):
    from cohere import ClientV2  # for the first time in this process: its default address is read now

def test_second():
    from cohere import ClientV2
    with ClientV2("key") as client:
        assert client._client_wrapper.get_base_url() == "https://api.cohere.com"
"""


def test_what_an_sdk_kept_at_its_import_is_put_back(pytester: pytest.Pytester) -> None:
    """An SDK that is imported while the environment is redirected goes to its vendor afterwards."""
    run(pytester, FROZEN).assert_outcomes(passed=2)
