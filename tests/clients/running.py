"""Runs a program of `programs/` in an environment that has its client, and gives what it told.

Environments: the one that the tests run in, and those that `scripts/clients` makes under `build/clients`.
What does not live here: what is right (`judging.py`).
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.world import UPSTREAMS

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(__file__).parents[2] / "build" / "clients"
# Two for Python, because some clients want an older OpenAI SDK than others.
PYTHONS = ("current", "elder")
SECONDS = 200


class Client(NamedTuple):
    """Somebody else's client.

    Attributes:
        program: Its file in `programs/`.
        module: What has to be installed for it.
        told: How many surfaces over upstreams it tells of.
        binary: `module` is no module, but a program of the machine.
    """

    program: str
    module: str
    told: int
    binary: bool = False


CLIENTS: dict[str, Client] = {
    "curl": Client("with_curl.py", "curl", 23, binary=True),
    "instructor": Client("with_instructor.py", "instructor", 24),
    "langchain": Client("with_langchain.py", "langchain_openai", 51),
    "langchain-anthropic": Client("with_langchain_anthropic.py", "langchain_anthropic", 24),
    "langchain-cohere": Client("with_langchain_cohere.py", "langchain_cohere", 1),
    "litellm": Client("with_litellm.py", "litellm", 40),
    "llama-index": Client("with_llama_index.py", "llama_index", 27),
    "llm": Client("with_llm.py", "llm", 16),
    "openai-agents": Client("with_agents.py", "agents", 40),
    "openai": Client("with_openai.py", "openai", 51),
    "openai-node": Client("with_openai.mjs", "openai", 54),
    "pydantic-ai": Client("with_pydantic_ai.py", "pydantic_ai", 48),
    "vercel-ai": Client("with_ai.mjs", "ai", 105),
}


def command(client: Client, folder: Path) -> list[str] | None:
    """How to run it from `folder`, an empty one; None where it is not installed."""
    if client.program.endswith(".mjs"):
        modules, node = ENVIRONMENTS / "node" / "node_modules", shutil.which("node")
        if node is None or not (modules / client.module).is_dir():
            return None
        # Node looks for modules beside the program.
        for source in PROGRAMS.glob("*.mjs"):
            shutil.copy(source, folder)
        (folder / "node_modules").symlink_to(modules)
        return [node, str(folder / client.program)]
    if client.binary and shutil.which(client.module) is None:
        return None
    if client.binary or importlib.util.find_spec(client.module) is not None:
        return [sys.executable, str(PROGRAMS / client.program)]
    for name in PYTHONS:
        if any((ENVIRONMENTS / name).glob(f"lib/python*/site-packages/{client.module}")):
            return [str(ENVIRONMENTS / name / "bin" / "python"), str(PROGRAMS / client.program)]
    return None


def told(run: list[str], folder: Path, origin: str, key: str) -> tuple[list[dict[str, Any]], str]:
    """What the program told, line by line, and what it said besides."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))},
        "HOME": str(folder), "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", "LANGSMITH_TRACING": "false",
        "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip
    asked = json.dumps({"origin": origin, "key": key, "upstreams": UPSTREAMS})
    done = subprocess.run(run, input=asked, capture_output=True, text=True, timeout=SECONDS, env=environ, cwd=folder)
    said = done.stderr[-3000:]
    if done.returncode:
        said = f"it ended with {done.returncode}\n{said}"
    return [json.loads(line) for line in done.stdout.splitlines()], said
