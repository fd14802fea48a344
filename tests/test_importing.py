"""What LiteLLM's configurations and variables of other programs become here."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw import Gateway
from compatgw.cli import main
from compatgw.importing import Imported, env, litellm
from tests.canned import Canned, completion

PROXY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://eu.openai.azure.com/
      api_key: os.environ/AZ_EU
      api_version: 2024-06-01
      rpm: 6
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: "https://us.openai.azure.com", api_key: os.environ/AZ_US}
  - model_name: claude
    litellm_params:
      model: claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC_API_KEY
      input_cost_per_token: 3e-06
      output_cost_per_token: 0.000015
    model_info: {max_output_tokens: 100}
  - model_name: local
    litellm_params: {model: openai/qwen, api_base: "http://models:8000/v1"}
  - model_name: bed
    litellm_params: {model: bedrock/us-west-2/anthropic.claude-x, aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: s3cr3t}
  - model_name: "openai/*"
    litellm_params: {model: "openai/*", api_key: os.environ/OTHER_OPENAI}
  - model_name: strange
    litellm_params: {model: nobody/knows}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 9
  fallbacks: [{gpt-4o: [claude]}]
  model_group_alias: {fast: local}
litellm_settings: {drop_params: true, context_window_fallbacks: [{gpt-4o: [claude]}], cache: true, success_callback: [prometheus, langfuse]}
general_settings: {master_key: os.environ/MASTER, database_url: "postgresql://u:p@h/d"}
"""
VARIABLES = {
    "AZ_EU": "az-eu-secret",
    "AZ_US": "az-us-secret",
    "ANTHROPIC_API_KEY": "sk-ant-secret",
    "OTHER_OPENAI": "sk-other",
    "MASTER": "sk-master",
}


def proxy() -> Imported:
    """The configuration above, imported."""
    return litellm(yaml.safe_load(PROXY), "config.yaml")


def test_every_provider_is_there_with_its_address_and_its_keys_reference() -> None:
    """A second one of a kind has a name of its own, and all that the first one's row says."""
    providers = proxy().values["providers"]

    assert list(providers) == ["azure", "azure-2", "anthropic", "compatible", "bedrock", "openai"]
    assert providers["azure"]["base_url"] == "https://eu.openai.azure.com/openai/v1"
    assert (providers["azure"]["api_key"], providers["azure-2"]["api_key"]) == ("secret:AZ_EU", "secret:AZ_US")
    assert providers["azure-2"]["auth"] == "api-key"
    assert providers["anthropic"] == {}
    assert providers["compatible"] == {"base_url": "http://models:8000/v1", "auth": "none"}
    assert providers["bedrock"] == {"region": "us-west-2", "api_key": "AKIDEXAMPLE:s3cr3t"}


def test_names_of_models_stay() -> None:
    """A name of several deployments is all of theirs, shared as they were; what takes over is with it."""
    models = proxy().values["models"]

    assert models["gpt-4o"] == {
        "target": ["azure/gpt-4o", "azure-2/gpt-4o"], "load_balance": "weighted", "fallback": ["claude"],
    }  # fmt: skip
    assert models["claude"] == {
        "target": "anthropic/claude-sonnet-4-5", "max_output": 100, "price": {"input": "3", "output": "15"},
    }  # fmt: skip
    assert models["local"] == models["fast"] == "compatible/qwen"
    assert models["bed"] == "bedrock/anthropic.claude-x"


async def test_deployments_of_one_name_and_one_id_stand_in_for_each_other() -> None:
    """The name means all of them: when one fails, another answers."""
    models = [
        {
            "model_name": "fast",
            "litellm_params": {
                "model": "azure/gpt-4o",
                "api_base": f"https://{place}.openai.azure.com",
                "api_key": "k1",
            },
        }
        for place in ("eu", "us")
    ]
    values = tomllib.loads(litellm({"model_list": models}).toml())
    failing, good = Canned(b"{}", status=500), Canned(completion())
    providers = {"azure": {"app": failing}, "azure-2": {"app": good}}
    gateway = Gateway(values, providers=providers, keys=["k"], retries={"most": 0}, environ={}, random=Random(1))

    async with gateway.client(api_key="k") as client:
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(4):
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
    await gateway.aclose()
    assert 0 < len(failing.asked) < 4
    assert len(good.asked) == 4


def test_weights_and_strategies_come_along() -> None:
    """Of models and deployments that differ, too; fallbacks for all are each model's, but for its own."""
    entries = [
        {"model_name": "smart", "litellm_params": {"model": "openai/gpt-4o", "weight": 3}},
        {"model_name": "smart", "litellm_params": {"model": "anthropic/claude-sonnet-4-5"}},
        {"model_name": "plain", "litellm_params": {"model": "openai/gpt-4o-mini"}},
    ]
    router = {"routing_strategy": "latency-based-routing", "default_fallbacks": ["plain"]}
    imported = litellm({"router_settings": router, "model_list": entries})

    assert imported.values["models"] == {
        "smart": {
            "target": ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"],
            "load_balance": "least-latency",
            "weights": [3, 1],
            "fallback": ["plain"],
        },
        "plain": "openai/gpt-4o-mini",
    }
    assert imported.notes == []
    environ = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}
    assert set(Gateway(tomllib.loads(imported.toml()), environ=environ).providers) == {"openai", "anthropic"}


def test_what_settings_there_are_for_is_set() -> None:
    """Retries up to our most, what happens to members, the cache, metrics, the caller's key."""
    values = proxy().values

    assert (values["unsupported"], values["retries"], values["cache"]) == ("drop", {"most": 5}, {"enabled": True})
    assert values["telemetry"] == {"metrics": "keys"}
    assert values["keys"] == [{"key": "secret:MASTER", "name": "master"}]


@pytest.mark.parametrize(
    "where",
    [
        "model_list[0] (gpt-4o) litellm_params.rpm",
        "model_list[6] (strange)",
        "router_settings.num_retries",
        "litellm_settings.context_window_fallbacks",
        "litellm_settings.success_callback",
        "general_settings.database_url",
    ],
)
def test_what_is_left_behind_is_named(where: str) -> None:
    """A line each in the file's head."""
    imported = proxy()

    assert where in [name for name, _ in imported.notes]
    assert f"#   {where}: " in imported.toml()
    assert "u:p@h" not in imported.toml()


async def test_a_gateway_runs_on_what_was_written() -> None:
    """Requests by the imported names reach the servers that they reached before, with the keys of the variables."""
    values = tomllib.loads(proxy().toml())
    upstreams = {name: Canned(completion()) for name in ("azure", "azure-2", "compatible")}
    providers = {name: {"app": upstream} for name, upstream in upstreams.items()}
    gateway = Gateway(values, providers=providers, environ=VARIABLES)

    async with gateway.client(api_key="sk-master") as client:
        for model in ("gpt-4o", "local", "fast"):
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            got = await client.post("/v1/chat/completions", json=body)
            assert got.status_code == 200, got.text
    await gateway.aclose()

    taken = {name: upstreams[name] for name in ("azure", "azure-2") if upstreams[name].asked}
    assert [one.asked[0]["model"] for one in taken.values()] == ["gpt-4o"]
    keys = {"azure": b"az-eu-secret", "azure-2": b"az-us-secret"}
    assert all(one.seen[0][b"api-key"] == keys[name] for name, one in taken.items())
    assert [asked["model"] for asked in upstreams["compatible"].asked] == ["qwen", "qwen"]


def test_variables_name_providers_and_the_file_holds_no_key() -> None:
    """Addresses are carried over, keys stay in their variables; one that nobody knows is named."""
    environ = {
        "OPENAI_API_KEY": "sk-hidden",
        "OPENAI_BASE_URL": "http://proxy/v1/",
        "OPENAI_ORG_ID": "org-1",
        "AZURE_API_KEY": "az-hidden",
        "AZURE_API_BASE": "https://a.openai.azure.com",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "aws-hidden",
        "FOO_API_KEY": "foo-hidden",
        "LITELLM_MASTER_KEY": "master-hidden",
    }
    imported = env(environ)
    written = imported.toml()

    assert imported.values["providers"] == {
        "openai": {"base_url": "http://proxy/v1", "headers": {"OpenAI-Organization": "org-1"}},
        "bedrock": {},
        "azure": {"api_key": "secret:AZURE_API_KEY", "base_url": "https://a.openai.azure.com/openai/v1"},
    }
    assert [where for where, _ in imported.notes] == ["FOO_API_KEY"]
    assert "hidden" not in written
    assert set(Gateway(tomllib.loads(written), environ=environ).providers) == {"openai", "bedrock", "azure"}


def test_no_variables_are_no_providers() -> None:
    """The file then says nothing."""
    assert env({}).values == {}


@pytest.mark.parametrize("document", [None, [], "text", {"a": 1}])
def test_another_document_is_refused(document: object) -> None:
    """In a sentence that says what is looked for."""
    with pytest.raises(ValueError, match="model_list"):
        litellm(document)


_SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=12)
_WORDS = st.sampled_from(
    ["timeout", "fallbacks", "cache_params", "redis_host", "model_group_alias", "callbacks", "a b"]
)
_TREES = st.recursive(
    _SCALARS,
    lambda each: st.lists(each, max_size=2) | st.dictionaries(_WORDS, each, max_size=2),
    max_leaves=6,
)
_PARAMS = st.dictionaries(
    st.sampled_from(["api_key", "api_base", "api_version", "aws_region_name", "extra_headers", "rpm", "organization"]),
    _SCALARS,
)
_ENTRIES = st.builds(
    lambda name, model, params: {"model_name": name, "litellm_params": {**params, "model": model}},
    st.text(max_size=9),
    st.sampled_from(["openai/a", "azure/b", "gpt-4o", "x/y/z", "vertex_ai/claude-1", "ollama/l", "*", ""]),
    _PARAMS,
)


@settings(max_examples=100)
@given(
    st.lists(_ENTRIES | _TREES, max_size=4),
    st.dictionaries(st.sampled_from(["router_settings", "litellm_settings", "general_settings"]), _TREES),
)
def test_whatever_it_holds_the_file_is_toml_that_says_the_same(models: list[Any], others: dict[str, Any]) -> None:
    """Nothing that YAML can hold breaks the import or the file."""
    imported = litellm({"model_list": models, **others})

    assert tomllib.loads(imported.toml()) == imported.values


# --- the commands ----------------------------------------------------------------------------------


def test_the_command_writes_a_file_and_never_over_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `--force` does; what is left behind is told a line each; nobody else can read the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(PROXY)
    runner = CliRunner()
    first = runner.invoke(main, ["import", "litellm", "config.yaml"])
    written = tmp_path / "compatgw.toml"

    assert first.exit_code == 0, first.output
    assert "router_settings.num_retries: " in first.stderr
    assert tomllib.loads(written.read_text()) == proxy().values
    assert written.stat().st_mode & 0o077 == 0
    written.write_text("mine")
    second = runner.invoke(main, ["import", "litellm", "config.yaml"])
    assert (second.exit_code, written.read_text()) == (1, "mine")
    assert "--force" in second.stderr
    assert runner.invoke(main, ["import", "litellm", "config.yaml", "--force"]).exit_code == 0
    assert written.read_text() == proxy().toml()


def test_a_dash_is_stdin_and_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file alone goes to stdout."""
    monkeypatch.chdir(tmp_path)
    got = CliRunner().invoke(main, ["import", "litellm", "-", "--to", "-"], input=PROXY)

    assert (got.exit_code, tomllib.loads(got.stdout)) == (0, proxy().values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "this is no YAML"), ("a: 1", "no LiteLLM configuration"), (None, "Cannot read")]
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    """Whatever is wrong, and with the place of a mistake in the YAML."""
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    got = CliRunner().invoke(main, ["import", "litellm", str(path), "--to", "-"])

    assert (got.exit_code, got.stdout, got.stderr.count("\n")) == (1, "", 1), got.output
    assert words in got.stderr


def test_variables_are_imported_by_the_command() -> None:
    """As the shell has them."""
    environ = {"OPENAI_API_KEY": "sk-hidden"}
    got = CliRunner().invoke(main, ["import", "env", "--to", "-"], env=environ)

    assert got.exit_code == 0
    assert "openai" in tomllib.loads(got.stdout)["providers"]
    assert "sk-hidden" not in got.output
