"""Addresses out of regions, projects and accounts; keys out of the environment; and what wakes a provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compatgw.config import ConfigError, load
from compatgw.dialects.base import Outgoing
from compatgw.providers.address import address, awake, key
from compatgw.providers.table import PROVIDERS
from compatgw.reaching import deployments_of
from compatgw.upstream.client import Endpoint

from .test_auth import ACCOUNT


def endpoint(name: str, environ: dict[str, str] | None = None, **own: Any) -> Endpoint:
    """The endpoint that settings and an environment give."""
    settings = load(None, {"providers": {name: own}}, {})
    return deployments_of(settings, environ or {})[1][name][0]


@pytest.mark.parametrize(
    ("name", "given", "environ", "url"),
    [
        ("bedrock", {}, {}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock", {}, {"AWS_DEFAULT_REGION": "eu-west-3"}, "https://bedrock-runtime.eu-west-3.amazonaws.com"),
        ("bedrock", {"region": "ap-south-1"}, {"AWS_REGION": "x"}, "https://bedrock-runtime.ap-south-1.amazonaws.com"),
        ("bedrock-mantle-anthropic", {}, {}, "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1"),
        ("vertex", {}, {}, "https://aiplatform.googleapis.com/v1beta1/publishers/google"),
        (
            "vertex",
            {"project": "p"},
            {},
            "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google",
        ),
        (
            "vertex",
            {"region": "europe-west4"},
            {"GOOGLE_CLOUD_PROJECT": "p"},
            "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4/publishers/google",
        ),
        ("vertex-anthropic", {"project": "p", "region": "eu"}, {}, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu"),
        ("vertex-anthropic", {"project": "example.com:p"}, {}, "https://aiplatform.googleapis.com/v1/projects/example.com:p/locations/global"),
        ("azure", {"account": "res"}, {}, "https://res.openai.azure.com/openai/v1"),
        ("azure", {}, {"AZURE_OPENAI_ENDPOINT": "https://r.cognitiveservices.azure.com/"}, "https://r.cognitiveservices.azure.com/openai/v1"),
        ("azure-anthropic", {"account": "res"}, {}, "https://res.services.ai.azure.com/anthropic/v1"),
        ("cloudflare", {}, {"CLOUDFLARE_ACCOUNT_ID": "a1"}, "https://api.cloudflare.com/client/v4/accounts/a1/ai/v1"),
        ("cloudflare", {"account": "../x?y"}, {}, "https://api.cloudflare.com/client/v4/accounts/..%2Fx%3Fy/ai/v1"),
    ],
)  # fmt: skip
def test_an_address(name: str, given: dict[str, str], environ: dict[str, str], url: str) -> None:
    """Settings win over variables, and those over what is usual."""
    assert address(PROVIDERS[name], given, environ).base_url == url


@pytest.mark.parametrize(
    ("name", "member"),
    [("azure", "base_url"), ("azure-deployments", "base_url"), ("azure-anthropic", "account"), ("cloudflare", "account"),
     ("vertex-anthropic", "project"), ("vertex-openai", "project")],
)  # fmt: skip
def test_what_is_missing_is_said(name: str, member: str) -> None:
    """By the setting that it is, with a word on how to find it."""
    with pytest.raises(ConfigError, match=rf"'providers\.{name}\.{member}' is needed\. Set '(account|project)'"):
        endpoint(name, api_key="k")


def test_the_version_of_azures_deployments_is_in_every_address() -> None:
    """Beside a query that a path has of its own."""
    found = endpoint("azure-deployments", account="res", api_key="k")
    other = endpoint("azure-deployments", {"OPENAI_API_VERSION": "2025-01-01-preview"}, account="res", api_key="k")

    assert found.url("/deployments/m/chat/completions") == (
        "https://res.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21"
    )
    assert found.url("/x?a=b") == "https://res.openai.azure.com/openai/x?a=b&api-version=2024-10-21"
    assert other.url("/x").endswith("?api-version=2025-01-01-preview")


@pytest.mark.parametrize(
    ("url", "region", "realm"),
    [
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", None, "us-gov-west-1/bedrock"),
        ("https://vpce-1-abc.bedrock-runtime.eu-central-1.vpce.amazonaws.com", None, "eu-central-1/bedrock"),
        ("https://proxy.test/bedrock", "eu-west-1", "eu-west-1/bedrock"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com", "us-east-2", "us-east-2/bedrock"),
    ],
)
def test_a_signature_is_for_the_region_of_the_address(url: str, region: str | None, realm: str) -> None:
    """Or for the one that is set, for servers whose name tells nothing."""
    assert endpoint("bedrock", base_url=url, region=region, api_key="AKIDX:s").realm == realm


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, "A:s"),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}, "A:s:t"),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_BEARER_TOKEN_BEDROCK": "b"}, "b"),
        ({"AWS_ACCESS_KEY_ID": "A"}, ""),
        ({"AWS_SESSION_TOKEN": "t"}, ""),
        ({}, ""),
    ],
)
def test_the_key_of_aws_is_in_its_usual_variables(environ: dict[str, str], secret: str) -> None:
    """A Bedrock API key comes first, for it is for nothing else."""
    assert key(PROVIDERS["bedrock"], environ) == secret


# --- files -----------------------------------------------------------------------------------


def test_a_service_account_is_read_from_its_file(tmp_path: Path) -> None:
    """By the setting or by its usual variable; its project is the address's where no other is named."""
    file = tmp_path / "robot.json"
    file.write_text(json.dumps(ACCOUNT))
    by_setting = endpoint("vertex", key_file=str(file))
    by_variable = endpoint("vertex", {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
    elsewhere = endpoint("vertex", {"GOOGLE_CLOUD_PROJECT": "other"}, key_file=str(file))

    assert by_setting.credential.account == by_variable.credential.account
    assert by_setting.credential.account is not None
    assert "/projects/p-1/" in by_setting.base_url
    assert by_setting.base_url == by_variable.base_url
    assert "/projects/other/" in elsewhere.base_url


def test_a_key_of_any_provider_may_be_in_a_file(tmp_path: Path) -> None:
    """As secrets are mounted; a line end behind it is no part of it."""
    file = tmp_path / "key"
    file.write_text("sk-1\n")

    assert endpoint("openai", key_file=str(file)).headers == (("Authorization", "Bearer sk-1"),)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["not there", "no text"])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    """With the setting or variable that names it."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"'providers\.openai\.key_file'"):
        endpoint("openai", key_file=str(file))
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        endpoint("vertex", {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("bedrock", "AKIDX:"),
        ("vertex", '{"type": "service_account", "private_key": "hidden-pem"}'),
        ("openai", "hid\nden"),
    ],
)
def test_a_key_that_is_none_is_said_and_not_shown(name: str, secret: str) -> None:
    """When the gateway is made."""
    with pytest.raises(ConfigError, match=rf"'providers\.{name}\.api_key'") as error:
        endpoint(name, api_key=secret)

    assert "hidden-pem" not in str(error.value)
    assert "AKIDX" not in str(error.value)


# --- waking ----------------------------------------------------------------------------------

# What is set on many machines for other ends.
EVERYWHERE = {
    "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_REGION": "eu-west-1",
    "GITHUB_TOKEN": "g", "HF_TOKEN": "h", "GOOGLE_APPLICATION_CREDENTIALS": "/none", "GOOGLE_CLOUD_PROJECT": "p",
    "CLOUDFLARE_API_TOKEN": "c", "CLOUDFLARE_ACCOUNT_ID": "a",
}  # fmt: skip


def test_a_clouds_usual_variables_wake_nobody() -> None:
    """They are set for deployments, repositories and storage; a gateway must not spend on them unasked."""
    settings = load(None, {}, {})

    assert deployments_of(settings, EVERYWHERE) == ({}, {})
    assert list(deployments_of(settings, {**EVERYWHERE, "OPENAI_API_KEY": "k"})[0]) == ["openai"]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"AWS_BEARER_TOKEN_BEDROCK": "b"}, "bedrock"),
        ({"GOOGLE_VERTEX_API_KEY": "k"}, "vertex"),
        ({"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}, "azure"),
        ({"ANTHROPIC_FOUNDRY_API_KEY": "k", "ANTHROPIC_FOUNDRY_RESOURCE": "r"}, "azure-anthropic"),
    ],
)
def test_a_variable_of_its_own_wakes_a_cloud(environ: dict[str, str], name: str) -> None:
    """One that means nothing else, with a whole address."""
    assert list(deployments_of(load(None, {}, {}), environ)[0]) == [name]


@pytest.mark.parametrize("name", ["bedrock", "vertex", "github", "huggingface", "cloudflare"])
def test_whoever_configures_a_provider_uses_its_usual_variables(name: str, tmp_path: Path) -> None:
    """Waking is one thing, finding the key another."""
    file = tmp_path / "robot.json"
    file.write_text(json.dumps(ACCOUNT))
    found = endpoint(name, {**EVERYWHERE, "GOOGLE_APPLICATION_CREDENTIALS": str(file)})

    assert found.secret


def test_every_other_provider_is_woken_by_its_key() -> None:
    """As before."""
    for row in PROVIDERS.values():
        if row.wakes is None and not row.local and not row.env:
            assert awake(row, {row.key_env[0]: "k"}), row.name
            assert not awake(row, {}), row.name


def test_an_application_in_place_of_a_server_needs_no_address() -> None:
    """Nor a key, nor a file of the environment."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    for name in PROVIDERS:
        found = endpoint(name, {"GOOGLE_APPLICATION_CREDENTIALS": "/none"}, app=app)
        assert found.base_url.startswith(("https://", "http://")), name


def test_an_endpoint_of_a_cloud_takes_a_teams_own_key() -> None:
    """It signs with that, and shows neither."""
    first = endpoint("bedrock", api_key="AKIDX:platform-secret")
    theirs = first.with_secret("AKIDY:team-secret")

    assert theirs.credential.signs is not None
    assert theirs.credential.signs.id == "AKIDY"
    assert theirs.realm == first.realm
    assert "secret" not in f"{first!r} {theirs!r} {Outgoing('/x', b'')!r}".replace("secrets", "")
    with pytest.raises(ValueError, match="ID:SECRET"):
        first.with_secret("AKIDY:")
