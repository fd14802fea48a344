"""Google's own SDK types as a judge of what we send, and the rules of the wire that types cannot tell."""

from __future__ import annotations

import re
import warnings
from typing import Any

import orjson
from google.genai import types
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

KEPT_AS_IS = frozenset(
    {"args", "response", "parametersJsonSchema", "responseJsonSchema", "parameters", "responseSchema", "labels"}
)


class GenerationConfig(types.GenerationConfig):
    """The SDK's own, with the one member that it only writes into the wire and has no type for."""

    image_config: types.ImageConfig | None = None


class GenerateContentBody(BaseModel):
    """The body of `generateContent`: nothing missing, nothing unknown."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)

    contents: list[types.Content] = Field(min_length=1)
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    safety_settings: list[types.SafetySetting] | None = None
    cached_content: str | None = None
    service_tier: types.ServiceTier | None = None
    labels: dict[str, str] | None = None


def accepted(body: bytes) -> dict[str, Any]:
    """The body, which the SDK's types take, with wire names throughout, and whose turns fit together."""
    value: dict[str, Any] = orjson.loads(body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown word in an enumeration is only a warning there
        GenerateContentBody.model_validate(value)
    _names(value, "body")
    _turns(value["contents"])
    _choice(value)
    return value


def _names(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            assert re.fullmatch(r"[a-z][A-Za-z0-9]*", name), f"{path}.{name} is not a wire name"
            assert inner is not None, f"{path}.{name} is null"
            if name not in KEPT_AS_IS:
                _names(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _names(inner, f"{path}[{index}]")


def _turns(contents: list[dict[str, Any]]) -> None:
    """The role rules: what violates them is a 400 there."""
    waiting: list[str] = []
    before = None
    for content in contents:
        assert content["role"] in ("user", "model")
        assert content["parts"], "no content without parts"
        calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
        results = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
        for part in content["parts"]:
            assert part.get("text") != "" or "thoughtSignature" in part, "no empty text but for its signature"
            data = part.keys() - {"thoughtSignature", "mediaResolution"}
            assert len(data) == 1, f"one data member in a part, not {sorted(data)}"
        assert [r["name"] for r in results] == waiting, "as many results as calls, directly behind, in order"
        assert not (content["role"] == "model" and results)
        if calls:
            assert content["role"] == "model"
            assert before == "user", "a call follows what the user, or a function, said"
        assert content["role"] == "user" or before != "model", "turns of the model are merged"
        for entry in results:
            assert isinstance(entry["response"], dict)
        waiting = [call["name"] for call in calls]
        before = content["role"]
    assert not waiting, "every call has a result"


def _choice(body: dict[str, Any]) -> None:
    declared = [d["name"] for tool in body.get("tools", ()) for d in tool.get("functionDeclarations", ())]
    assert len(declared) == len(set(declared))
    for name in declared:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", name)
    for tool in body.get("tools", ()):
        for declaration in tool.get("functionDeclarations", ()):
            assert not declaration.keys() >= {"parameters", "parametersJsonSchema"}
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = calling.get("allowedFunctionNames")
    if allowed is not None:
        assert calling["mode"] in ("ANY", "VALIDATED")
        assert set(allowed) <= set(declared)
    config = body.get("generationConfig", {})
    assert not config.keys() >= {"responseSchema", "responseJsonSchema"}
    if config.keys() & {"responseSchema", "responseJsonSchema"}:
        assert config["responseMimeType"] == "application/json"
    assert not config.get("thinkingConfig", {}).keys() >= {"thinkingBudget", "thinkingLevel"}
    assert len(config.get("stopSequences", ())) <= 5
