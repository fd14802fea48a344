"""The traps of vcrpy, sprung for real: each is found, and the advice mends it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import vcr  # type: ignore[import-untyped]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.ext.vcr_traps import (
    CassetteTrap,
    cassette_is_active,
    import_order,
    recorded_twice,
    refuse_in_process,
)

pytest_plugins = ["pytester"]

ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
KEY = {"authorization": "Bearer sk-fake-openai"}


def gateway(upstream: str, ran: list[str]) -> Starlette:
    """An application that passes its calls on."""

    async def chat(request: Request) -> JSONResponse:
        ran.append("gateway")
        async with httpx.AsyncClient() as client:
            answer = await client.post(upstream + "/chat/completions", json=await request.json(), headers=KEY)
        return JSONResponse(answer.json())

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


async def through(library: Any, app: Starlette) -> Any:
    """One call to the application, on the library's own in-process transport."""
    transport = library.ASGITransport(app=app)
    async with library.AsyncClient(transport=transport, base_url="http://gw") as client:
        return await client.post("/v1/chat/completions", json=ASK)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_application_in_the_process_is_not_recorded(tmp_path: Path, library: Any) -> None:
    """Without the hook the gateway would not run in replay; with it the recording stops and says how to mend it."""
    ran: list[str] = []
    with FakeServer(FakeOpenAI().reply("one").reply("two").reply("three")) as server:
        app = gateway(server.base_url, ran)
        with vcr.use_cassette(str(tmp_path / "trap.yaml")):
            await through(library, app)
        with vcr.use_cassette(str(tmp_path / "trap.yaml"), record_mode="none") as tape:
            await through(library, app)
        assert ran == ["gateway"], "vcrpy has no such trap any more: the hook can go"
        assert "ignore_hosts=['gw']" in str(recorded_twice([one.uri for one in tape.requests]))

        hook = vcr.use_cassette(str(tmp_path / "hook.yaml"), before_record_request=refuse_in_process)
        with hook as tape, pytest.raises(CassetteTrap, match=r"ignore_hosts=\['gw'\]"):
            await through(library, app)
        assert len(tape) == 0

        mended: dict[str, Any] = {"before_record_request": refuse_in_process, "ignore_hosts": ["gw"]}
        with vcr.use_cassette(str(tmp_path / "mended.yaml"), **mended):
            await through(library, app)
    ran.clear()
    with vcr.use_cassette(str(tmp_path / "mended.yaml"), record_mode="none", **mended) as tape:
        assert (await through(library, app)).status_code == 200
    assert ran == ["gateway"]
    assert tape.play_count == 1


@pytest.mark.parametrize(
    ("urls", "named"),
    [
        (["http://gw/v1/chat/completions", "https://api.openai.com/v1/chat/completions"], "gw"),
        (["http://fake.test/v1/models", "https://api.cohere.com/v2/chat"], "fake.test"),
        (["http://127.0.0.1:4000/v1/models", "http://gw/v1/models"], "gw"),
        (["http://127.0.0.1:4000/v1/models", "https://api.cohere.com/v2/chat"], "127.0.0.1"),
        (["https://api.cohere.com/v2/chat", "https://api.openai.com/v1/models"], None),
        (["http://gw/v1/chat/completions"], None),
        ([], None),
    ],
)
def test_a_cassette_with_both_sides_of_a_gateway_is_found(urls: list[str], named: str | None) -> None:
    """A host that no public server has, next to one that might be."""
    advice = recorded_twice(urls)

    assert (advice is None) is (named is None)
    assert named is None or f"ignore_hosts=[{named!r}]" in str(advice)


def test_whether_a_cassette_is_active(tmp_path: Path) -> None:
    """Also if its patch of one of the libraries is left out."""
    assert not cassette_is_active()
    with vcr.use_cassette(str(tmp_path / "one.yaml")):
        assert cassette_is_active()
    with vcr.use_cassette(str(tmp_path / "two.yaml"), skip_patchers=["httplib", "httpx"]):
        assert cassette_is_active()
    with vcr.use_cassette(str(tmp_path / "three.yaml"), skip_patchers=["httpx", "httpx2"]):
        assert cassette_is_active()
    assert not cassette_is_active()


def test_the_order_here_is_right() -> None:
    """vcrpy was imported while nothing was patched, and a mock that comes later changes nothing."""
    assert import_order() is None


def test_a_later_mock_is_no_trap(httpx_mock: Any) -> None:
    """What counts is what vcrpy has kept."""
    assert import_order() is None


SUITE = """
import httpx
import pytest
from compatgw_testing.ext.vcr_traps import import_order

def test_1_would_be_poisoned(httpx_mock):
    assert "conftest.py" in import_order()
    assert "pytest_httpx" in import_order()

def test_2_is_poisoned_from_now_on(httpx_mock):
    import vcr

def test_3_says_so(tmp_path):
    import vcr
    assert "has kept it" in import_order()
    # What a user would see instead: pytest-httpx's timeout in a test that has no mock.
    with vcr.use_cassette(str(tmp_path / "x.yaml")), pytest.raises(httpx.TimeoutException):
        httpx.get("http://127.0.0.1:9/")
"""


def test_import_order_is_found_before_and_after(pytester: pytest.Pytester) -> None:
    """In a run of its own, for vcrpy is here already."""
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:langsmith_plugin")

    result.assert_outcomes(passed=3)


def test_looking_for_traps_imports_nothing() -> None:
    """Neither vcrpy nor an HTTP library."""
    code = (
        "import sys; from compatgw_testing.ext.vcr_traps import *; import_order(); cassette_is_active(); "
        "print(*sys.modules)"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"vcr", "httpx", "httpx2", "http.client"} & set(loaded)
