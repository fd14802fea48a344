"""The rows of clouds: addresses by region, project or account, and keys that are more than one word.

What does not live here: the other rows (`table.py`), what a row is (`row.py`), how an address is made of
one (`address.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw.dialects.base import AudioQuirks, Quirks
from compatgw.providers.embeddings import ONE_BY_ONE
from compatgw.providers.row import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

_AWS = {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}
_AWS_USUAL = {"region": "us-east-1"}
_AWS_KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_BEDROCK_KEY = ("AWS_BEARER_TOKEN_BEDROCK",)
_AWS_NOTE = "Its key is ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN] of AWS, or a Bedrock API key."
_GOOGLE = {
    "project": ("GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    "region": ("GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"),
}
_GOOGLE_USUAL = {"region": "global"}
_GOOGLE_KEY = ("GOOGLE_VERTEX_API_KEY",)
_GOOGLE_FILES = ("GOOGLE_APPLICATION_CREDENTIALS",)
_GOOGLE_NOTE = (
    "Set 'project'. Its key is the JSON of a service account, an access token, or an express API key; without a "
    "project only the last one works."
)
_AZURE = {
    "endpoint": ("AZURE_OPENAI_ENDPOINT",),
    "account": ("AZURE_OPENAI_RESOURCE", "AZURE_RESOURCE_NAME"),
    "api_version": ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
}
_AZURE_USUAL = {"endpoint": "https://{account}.openai.azure.com", "api_version": "2024-10-21"}
_AZURE_KEY = ("AZURE_OPENAI_API_KEY",)
_AZURE_NOTE = (
    "Set 'account' to the name of the resource, or base_url to https://RESOURCE.openai.azure.com/openai{}; models are "
    "the names of your deployments."
)
_SILENT = AudioQuirks(speaks=False, hears=False, translates=False)


def _vertex(version: str, rest: str) -> Mapping[str, str]:
    """Base URLs of Vertex AI: everywhere, on a continent, and without a project for express keys."""
    path = f"/{version}/projects/{{project}}/locations/{{region}}{rest}"
    return {
        "global": f"https://aiplatform.googleapis.com{path}",
        "us": f"https://aiplatform.us.rep.googleapis.com{path}",
        "eu": f"https://aiplatform.eu.rep.googleapis.com{path}",
        "": f"https://aiplatform.googleapis.com/{version}{rest}",
    }


def _in_region(version: str, rest: str) -> str:
    return f"https://{{region}}-aiplatform.googleapis.com/{version}/projects/{{project}}/locations/{{region}}{rest}"


def clouds(*, openai: Quirks, vllm: Quirks) -> tuple[Provider, ...]:
    """The rows.

    Args:
        openai: Quirks of OpenAI's own models. vllm: Quirks of open models behind a plain server.
    """
    return (*_bedrock(openai, vllm), *_google(vllm), *_azure(openai))


def _bedrock(openai: Quirks, vllm: Quirks) -> tuple[Provider, ...]:
    open_models = replace(vllm, audio=_SILENT, image_urls=False)
    base = Provider(
        name="bedrock",
        title="Amazon Bedrock",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        key_env=_BEDROCK_KEY,
        key_parts=_AWS_KEY,
        wakes=_BEDROCK_KEY,
        env=_AWS,
        usual=_AWS_USUAL,
        dialect="bedrock",
        auth="aws",
        service="bedrock",
        quirks=Quirks(image_urls=False),
        note=_AWS_NOTE,
    )
    mantle = replace(base, wakes=(), service="bedrock-mantle")
    return (
        base,
        replace(
            base,
            name="bedrock-openai",
            title="Amazon Bedrock (OpenAI's protocol)",
            base_url="https://bedrock-runtime.{region}.amazonaws.com/openai/v1",
            wakes=(),
            dialect="openai",
            quirks=replace(open_models, responses=True),
        ),
        replace(
            mantle,
            name="bedrock-mantle",
            title="Amazon Bedrock (Mantle)",
            base_url="https://bedrock-mantle.{region}.api.aws/v1",
            dialect="openai",
            quirks=open_models,
        ),
        replace(
            mantle,
            name="bedrock-mantle-openai",
            title="Amazon Bedrock (Mantle, OpenAI's own models)",
            base_url="https://bedrock-mantle.{region}.api.aws/openai/v1",
            dialect="openai",
            quirks=replace(openai, responses=True, audio=_SILENT, completions=frozenset()),
        ),
        replace(
            mantle,
            name="bedrock-mantle-anthropic",
            title="Amazon Bedrock (Mantle, Claude)",
            base_url="https://bedrock-mantle.{region}.api.aws/anthropic/v1",
            dialect="anthropic",
        ),
    )


def _google(vllm: Quirks) -> tuple[Provider, ...]:
    return (
        Provider(
            name="vertex",
            title="Google Vertex AI",
            base_url=_in_region("v1beta1", "/publishers/google"),
            places=_vertex("v1beta1", "/publishers/google"),
            key_env=_GOOGLE_KEY,
            key_files=_GOOGLE_FILES,
            env=_GOOGLE,
            usual=_GOOGLE_USUAL,
            dialect="vertex-gemini",
            auth="google",
            quirks=Quirks(embeddings=ONE_BY_ONE),
            note=_GOOGLE_NOTE,
        ),
        Provider(
            name="vertex-anthropic",
            title="Google Vertex AI (Claude)",
            base_url=_in_region("v1", ""),
            places={name: url for name, url in _vertex("v1", "").items() if name},
            key_files=_GOOGLE_FILES,
            wakes=(),
            env=_GOOGLE,
            usual=_GOOGLE_USUAL,
            dialect="vertex-anthropic",
            auth="google",
            quirks=Quirks(image_urls=False),
            note=_GOOGLE_NOTE,
        ),
        Provider(
            name="vertex-openai",
            title="Google Vertex AI (OpenAI's protocol)",
            base_url=_in_region("v1", "/endpoints/openapi"),
            places={name: url for name, url in _vertex("v1", "/endpoints/openapi").items() if name},
            key_files=_GOOGLE_FILES,
            wakes=(),
            env=_GOOGLE,
            usual=_GOOGLE_USUAL,
            auth="google",
            quirks=replace(vllm, audio=_SILENT),
            note=_GOOGLE_NOTE,
        ),
    )


def _azure(openai: Quirks) -> tuple[Provider, ...]:
    # The names of deployments say nothing of their models: whatever is sent has to be checked there.
    quirks = replace(openai, responses=True)
    return (
        Provider(
            name="azure",
            title="Azure OpenAI",
            base_url="{endpoint}/openai/v1",
            key_env=_AZURE_KEY,
            env=_AZURE,
            usual=_AZURE_USUAL,
            auth="api-key",
            quirks=quirks,
            note=_AZURE_NOTE.format("/v1"),
        ),
        Provider(
            name="azure-deployments",
            title="Azure OpenAI (deployments)",
            base_url="{endpoint}/openai?api-version={api_version}",
            key_env=_AZURE_KEY,
            wakes=(),
            env=_AZURE,
            usual=_AZURE_USUAL,
            dialect="azure-deployments",
            auth="api-key",
            quirks=quirks,
            note=_AZURE_NOTE.format("?api-version=VERSION"),
        ),
        Provider(
            name="azure-anthropic",
            title="Azure AI Foundry (Claude)",
            base_url="https://{account}.services.ai.azure.com/anthropic/v1",
            key_env=("ANTHROPIC_FOUNDRY_API_KEY",),
            env={"account": ("ANTHROPIC_FOUNDRY_RESOURCE",)},
            dialect="anthropic",
            auth="x-api-key",
            note="Set 'account' to the name of the resource; models are the names of your deployments.",
        ),
    )
