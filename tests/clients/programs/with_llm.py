"""The `llm` command, with the gateway's models in its own file of models."""

import json
import os
import tempfile
from pathlib import Path

FOLDER = Path(tempfile.mkdtemp(prefix="llm-"))
os.environ["LLM_USER_PATH"] = str(FOLDER)

from click.testing import CliRunner  # noqa: E402
from llm.cli import cli  # noqa: E402 - it looks for its folder
from telling import BONJOUR, PERSON, WEATHER, run  # noqa: E402

WEATHER_TOOL = '''
def get_weather(city: str) -> str:
    """The weather of a city."""
    with open(%r, "a") as called:
        print(city, file=called)
    return f"Rain in {city}."
'''


def llm(at, *arguments):
    entry = {
        "model_id": "mine", "model_name": at.model, "api_base": at.url, "api_key_name": "mine",
        "supports_schema": True, "supports_tools": True,
    }  # fmt: skip
    # JSON is YAML.
    (FOLDER / "extra-openai-models.yaml").write_text(json.dumps([entry]))
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    if done.exit_code:
        raise RuntimeError(done.output)
    return done.stdout.removesuffix("\n")


def ask(at, text, *options):
    return llm(at, "prompt", "-m", "mine", "--key", at.key, "--no-log", *options, text)


def tools(at):
    called = FOLDER / "called"
    called.write_text("")
    text = ask(at, WEATHER, "--functions", WEATHER_TOOL % str(called), "--no-stream")
    return {"called": called.read_text().split(), "text": text.strip()}


run(
    chat=lambda at: ask(at, BONJOUR, "--no-stream"),
    # Its output does not show where a piece ends.
    stream_to_text=lambda at: ask(at, BONJOUR),
    tools=tools,
    structured=lambda at: json.loads(ask(at, PERSON, "--no-stream", "--schema", "name, age int")),
)
