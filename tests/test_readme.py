"""Everything that the README shows is run."""

import io
import json
import logging
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest

from compatgw.config import load
from compatgw.providers.table import PROVIDERS
from compatgw_testing.faults import FAULTS, FaultKind

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


async def test_the_mount_example_serves() -> None:
    """The application of the first example answers at the address that the text names."""
    space: dict[str, object] = {}
    exec(blocks("python")[0], space)  # noqa: S102 - our own README
    transport = httpx2.ASGITransport(app=space["app"])  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        answer = await client.get("/ai/v1/models/fast", headers={"Authorization": "Bearer my-key"})
    assert answer.json()["id"] == "fast"


async def test_the_authenticate_example_lets_in_whom_it_says() -> None:
    """A cookie of the host's is enough; without it there is 401."""
    space: dict[str, object] = {}
    exec(blocks("python")[1], space)  # noqa: S102 - our own README
    client = space["gateway"].client()  # type: ignore[attr-defined]
    assert (await client.get("/v1/models")).status_code == 401
    seen = await client.get("/v1/models", headers={"cookie": "user=ann"})
    ids = {row["id"] for row in seen.json()["data"]}
    assert "gpt-4o" in ids
    assert {name.partition("/")[0] for name in ids if "/" in name} == {"openai"}


@pytest.mark.llm(unscripted="answer")
async def test_the_in_process_example_asks(gateway: object) -> None:
    """The function of the example gets an answer from a fake."""
    space: dict[str, object] = {}
    exec(blocks("python")[2].replace("my-key", "test-key"), space)  # noqa: S102 - our own README
    assert await space["ask"](gateway, "Hello?")  # type: ignore[operator]


async def test_the_ledger_example_manages_and_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its administrator makes a team and a key, which sees the model with the price."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    exec(next(block for block in blocks("python") if '"ledger"' in block), space)  # noqa: S102 - our own README
    async with space["gateway"] as gateway:
        async with gateway.client(api_key="admin-key") as ops:
            await ops.post("/api/admin/teams", json={"id": "acme", "name": "Acme"})
            made = await ops.post("/api/admin/keys", json={"team": "acme", "name": "app"})
            refused = await ops.get("/v1/models/fast")
        async with gateway.client(api_key=made.json()["key"]) as client:
            seen = await client.get("/v1/models/fast")
    assert made.status_code == 201
    assert seen.json()["id"] == "fast"
    assert refused.status_code == 200


async def test_the_watching_example_tells_of_calls(caplog: pytest.LogCaptureFixture) -> None:
    """To `on_call`, in a line of JSON, and on the page for Prometheus, which is for its administrator."""
    space: dict[str, Any] = {}
    logger = logging.getLogger("compatgw")
    before = [*logger.handlers]
    try:
        exec(next(block for block in blocks("python") if "on_call" in block), space)  # noqa: S102 - our own README
        space["handler"].setStream(lines := io.StringIO())
        with caplog.at_level(logging.INFO, "compatgw"):
            gateway = space["gateway"]
            async with gateway.client(api_key="my-key") as client:
                refused = await client.post(
                    "/v1/chat/completions",
                    json={"model": "anthropic/claude", "messages": [{"role": "user", "content": "hi"}]},
                )
                forbidden = await client.get("/metrics")
            async with gateway.client(api_key="admin-key") as ops:
                page = await ops.get("/metrics")
    finally:
        logger.handlers[:] = before

    assert refused.status_code == 404
    assert space["seen"] == ["/ 404 0+0 tokens, None"]
    assert json.loads(lines.getvalue().splitlines()[-1])["request_id"] == refused.headers["x-request-id"]
    assert forbidden.status_code == 403
    assert 'compatgw_calls_total{endpoint="chat",provider="none",model="none",status="404"' in page.text


def test_the_management_commands_run(tmp_path: Path) -> None:
    """One after the other, in an empty folder, as they stand there."""
    block = re.search(r"^<!-- commands: management -->\n```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    for line in block.group(1).splitlines():
        command = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "compatgw.db").is_file()


def test_the_pytest_examples_pass(tmp_path: Path) -> None:
    """They are run as a user's own tests, by a pytest of their own."""
    examples = [block for block in blocks("python") if block.startswith("# test_")]
    for block in examples:
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert len(examples) == 3
    assert "7 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_every_fault_is_in_the_table(kind: FaultKind) -> None:
    """With what either door can do of it."""
    ability = FAULTS[kind]
    row = f"| `{kind}` | {ability.what} | {ability.in_process or 'no'} | {ability.socket or 'no'} |"
    assert row in README


def test_the_settings_example_is_valid() -> None:
    """Every setting that it names exists."""
    assert load(tomllib.loads(blocks("toml")[0]), {}, {}).models


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_is_in_the_table(name: str) -> None:
    """The table of the README is complete, and names the variables that hold the keys."""
    row = re.search(rf"^\| `{name}` \|.*$", README, re.MULTILINE)
    assert row is not None
    assert all(f"`{variable}`" in row[0] for variable in PROVIDERS[name].key_env)


def test_the_two_commands_are_one_line_each() -> None:
    """One starts the demo, one runs the tests."""
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README, re.DOTALL)
    assert [name for name, _ in commands] == ["demo", "test"]
    assert all("\n" not in command for _, command in commands)
