"""Every snippet of the quick-start page runs as it stands, against the demo on a real port."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw import demo
from compatgw.pages import snippets

# Read before the tests' own environment is emptied.
NODE_MODULES = os.environ.get("COMPATGW_NODE_MODULES", "")
SLOW = 50
TASKS_OF_FILES = ("image", "pdf")


def png() -> bytes:
    """A picture of one white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (1).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\x00\xff\xff\xff"))
        + chunk(b"IEND", b"")
    )


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


class Codes(HTMLParser):
    """The text of each code block of a page, by its id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins."""
        if tag == "pre":
            self._open = dict(attrs).get("id") or ""
            self.found[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        """A block ends."""
        if tag == "pre":
            self._open = ""

    def handle_data(self, data: str) -> None:
        """Text of a block."""
        if self._open:
            self.found[self._open] += data


@pytest.fixture
def page(serve: Callable[..., str]) -> dict[str, str]:
    """The code blocks of the page that the demo serves, as a visitor reads them."""
    gateway = demo.build()
    origin = serve(gateway)
    return Codes(httpx.get(f"{origin}/docs", timeout=20).text).found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that snippets read."""
    (tmp_path / "photo.png").write_bytes(png())
    (tmp_path / "report.pdf").write_bytes(PDF)
    return tmp_path


def run(command: list[str], folder: Path, **more: str) -> str:
    """What a command writes; fails with its errors when it fails."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GATEWAY_API_KEY": demo.KEY, **more}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SLOW)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_done(task: str, written: str, folder: Path) -> None:
    """What came of a task is what a visitor hopes for."""
    if task == "images":
        assert (folder / "picture.png").read_bytes().startswith((b"\x89PNG", b"\xff\xd8"))
    else:
        assert written.strip(), task


@pytest.mark.parametrize("task", snippets.TASKS)
def test_curl(task: str, page: dict[str, str], folder: Path) -> None:
    """In a shell."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    written = run(["bash", "-euo", "pipefail", "-c", page[f"{task}-curl-code"]], folder)
    if task == "stream":
        assert written.endswith("data: [DONE]\n\n")
    elif task == "images":
        assert orjson.loads((folder / "picture.json").read_bytes())["data"][0]["b64_json"]
    else:
        answer: Any = orjson.loads(written)
        assert "error" not in answer, answer
        assert answer["data" if task == "embeddings" else "choices"]


@pytest.mark.parametrize("task", snippets.TASKS)
def test_python(task: str, page: dict[str, str], folder: Path) -> None:
    """In Python, with the official package."""
    assert_done(task, run([sys.executable, "-c", page[f"{task}-python-code"]], folder), folder)


@pytest.mark.parametrize("tool", ["langchain", "llamaindex"])
@pytest.mark.parametrize("task", snippets.TASKS)
def test_frameworks_of_python(task: str, tool: str, page: dict[str, str], folder: Path) -> None:
    """In Python, with what frameworks make of it."""
    pytest.importorskip({"langchain": "langchain_openai", "llamaindex": "llama_index.llms.openai_like"}[tool])
    assert_done(task, run([sys.executable, "-c", page[f"{task}-{tool}-code"]], folder), folder)


@pytest.mark.parametrize("tool", ["node", "aisdk"])
@pytest.mark.parametrize("task", snippets.TASKS)
def test_node(task: str, tool: str, page: dict[str, str], folder: Path) -> None:
    """In Node, with the official package and with the AI SDK."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    needed = {"node": "openai", "aisdk": "@ai-sdk/openai-compatible"}[tool]
    if not NODE_MODULES or not Path(NODE_MODULES, needed).is_dir():
        pytest.skip(f"COMPATGW_NODE_MODULES names no node_modules with {needed}")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "snippet.mjs").write_text(page[f"{task}-{tool}-code"])
    assert_done(task, run([node, "snippet.mjs"], folder), folder)


@pytest.mark.parametrize("id", ["step-2"])
def test_the_steps(id: str, page: dict[str, str], folder: Path) -> None:
    """The command of the second step lists models."""
    assert orjson.loads(run(["bash", "-c", page[id]], folder))["data"]


@given(st.text(min_size=1))
def test_any_name_stays_within_its_quotes(name: str) -> None:
    """A model's name, whatever is in it, reads back as itself from JSON and from a shell."""
    safe = name.encode("utf-8", "replace").decode()
    assert orjson.loads(f'"{snippets.spelled(name, "json")}"') == safe
    shell = snippets.spelled(name, "shell").replace("'\\''", "\0")
    assert "'" not in shell
    assert orjson.loads(f'"{shell}"'.replace("\0", "'")) == safe


def test_every_place_is_filled() -> None:
    """No snippet of any tool is shown or run with a place left open."""
    values = {"base": "http://x/v1", "chat": "a/b", "embedding": "c", "image": "d", "home": "http://x"}
    for tool in snippets.TOOLS.values():
        for text in tool.texts.values():
            assert "<<" not in snippets.filled(text, values, tool.spelling)
            assert str(snippets.shown(text, values, tool.spelling)).count("data-model=") == text.count(
                "<<"
            ) - text.count("<<base>>")
