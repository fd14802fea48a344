"""What editors and command lines are given has the keys that each one documents, and the address of this mount."""

import tomllib
from typing import Any

import orjson
import pytest
import yaml

from compatgw.pages.setups import SETUPS
from tests.pages.test_snippets import Codes
from tests.pages.visiting import gateway, visitor

BASE = "http://site/x/y/v1"
MODEL = "cohere/command-a-03-2025"


async def texts() -> dict[str, str]:
    """The text for each application, from the page of a mount."""
    async with visitor(gateway(), "/x/y") as client:
        codes = Codes((await client.get("/docs", params={"chat": MODEL})).text).found
    return {each.id: codes[f"setup-{each.id}-code"] for each in SETUPS}


def fields(text: str) -> dict[str, str]:
    """Names and values that people type in."""
    return dict(line.split(": ", 1) for line in text.strip().splitlines())


async def test_all_applications_are_there() -> None:
    """The page tells of each application that it promises."""
    assert set(await texts()) == {
        "cursor", "cline", "continue", "claude-code", "codex", "aider", "open-webui", "llm",
    }  # fmt: skip


async def test_continue() -> None:
    """`config.yaml`: name, version, schema, and models with their provider, base and key."""
    found = yaml.safe_load((await texts())["continue"])
    assert set(found) == {"name", "version", "schema", "models"}
    assert found["schema"] == "v1"
    (model,) = found["models"]
    assert set(model) <= {"name", "provider", "model", "apiBase", "apiKey", "roles"}
    assert (model["provider"], model["model"], model["apiBase"]) == ("openai", MODEL, BASE)
    assert set(model["roles"]) <= {"chat", "autocomplete", "embed", "rerank", "edit", "apply", "summarize"}


async def test_claude_code() -> None:
    """`settings.json`: variables under `env`; the address has no /v1, which the client adds."""
    found = orjson.loads((await texts())["claude-code"])
    assert found == {
        "env": {
            "ANTHROPIC_BASE_URL": BASE.removesuffix("/v1"),
            "ANTHROPIC_AUTH_TOKEN": "your key",
            "ANTHROPIC_MODEL": MODEL,
        }
    }


async def test_codex() -> None:
    """`config.toml`: a provider of its own that speaks the Responses API."""
    found = tomllib.loads((await texts())["codex"])
    assert found["model"] == MODEL
    provider = found["model_providers"][found["model_provider"]]
    assert provider == {"name": "Gateway", "base_url": BASE, "env_key": "GATEWAY_API_KEY", "wire_api": "responses"}


async def test_aider() -> None:
    """`.aider.conf.yml`: options by their long names."""
    found = yaml.safe_load((await texts())["aider"])
    assert set(found) == {"model", "openai-api-base", "openai-api-key"}
    assert (found["model"], found["openai-api-base"]) == (f"openai/{MODEL}", BASE)


async def test_llm() -> None:
    """`extra-openai-models.yaml`: a list of models."""
    (found,) = yaml.safe_load((await texts())["llm"])
    assert found == {"model_id": "gateway", "model_name": MODEL, "api_base": BASE, "api_key_name": "gateway"}


async def test_open_webui() -> None:
    """Its container has address and key in variables."""
    text = (await texts())["open-webui"]
    assert f"-e OPENAI_API_BASE_URL='{BASE}'" in text
    assert '-e OPENAI_API_KEY="$GATEWAY_API_KEY"' in text


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("cursor", {"OpenAI API Key": "your key", "Override OpenAI Base URL": BASE, "Add Custom Model": MODEL}),
        (
            "cline",
            {"API Provider": "OpenAI Compatible", "Base URL": BASE, "API Key": "your key", "Model ID": MODEL},
        ),
    ],
)
async def test_what_people_type_in(id: str, expected: dict[str, Any]) -> None:
    """Settings that have no file, by the names that they have on the screen."""
    assert fields((await texts())[id]) == expected
