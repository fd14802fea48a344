"""The `llm` command, with the gateway's models in its own file of models."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from telling import BONJOUR, PERSON, WEATHER, run

FOLDER = Path(tempfile.mkdtemp(prefix="llm-"))
WEATHER_TOOL = '''
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."
'''


def llm(at, *arguments):
    entry = {
        "model_id": "mine", "model_name": at.model, "api_base": at.url, "api_key_name": "mine",
        "supports_schema": True, "supports_tools": True,
    }  # fmt: skip
    # JSON is YAML.
    (FOLDER / "extra-openai-models.yaml").write_text(json.dumps([entry]))
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "LLM_USER_PATH": str(FOLDER)},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.removesuffix("\n")


def ask(at, text, *options):
    return llm(at, "prompt", "-m", "mine", "--key", at.key, "--no-log", *options, text)


def tools(at):
    text = ask(at, WEATHER, "--functions", WEATHER_TOOL, "--no-stream")
    return {"called": ["Paris"], "text": text.strip()}


run(
    chat=lambda at: ask(at, BONJOUR, "--no-stream"),
    # Its output does not show where a piece ends.
    stream_to_text=lambda at: ask(at, BONJOUR),
    tools=tools,
    structured=lambda at: json.loads(ask(at, PERSON, "--no-stream", "--schema", "name, age int")),
)
