"""Each place in a request where Gemini takes only certain things: good requests, and what is wrong with others."""

import re
from typing import Any

from tests.testing.changed import MISSING, ODD, changed
from tests.testing.driver import PNG
from tests.testing.gemini.cases import PLACE, item, path
from tests.testing.test_strict_gemini import OLD

_SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1}}}
_BLOB = {"mimeType": "image/png", "data": PNG}
CONTENT: dict[str, Any] = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "a"},
                {"inlineData": _BLOB},
                {"fileData": {"fileUri": "https://a.example", "mimeType": "a/b"}},
            ],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": _BLOB}]}}],
        },
        {
            "role": "model",
            "parts": [
                {"executableCode": {"language": "PYTHON", "code": "1"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"toolCall": {"id": "1", "toolType": "a"}},
                {"toolResponse": {"id": "1", "toolType": "a"}},
            ],
        },
        {"role": "user", "parts": [{"text": "a"}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": _SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {
        "thinkingConfig": {"includeThoughts": True},
        "responseModalities": ["TEXT"],
        "responseLogprobs": True,
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "serviceTier": "flex",
}
VERTEX: dict[str, Any] = {
    **{name: value for name, value in CONTENT.items() if name != "serviceTier"},
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "streamFunctionCallArguments": True}},
    "generationConfig": {"audioTimestamp": True},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}],
}
GOOD: dict[str, tuple[str, Any]] = {
    "content": (path("generateContent", OLD), CONTENT),
    "Vertex": (f"{PLACE}/models/{OLD}:generateContent", VERTEX),
    "batch": (path("batchEmbedContents"), {"requests": [item(embedContentConfig={})]}),
    "predict": (
        f"{PLACE}/models/text-embedding-005:predict",
        {"instances": [{"content": "a", "task_type": "CLUSTERING"}], "parameters": {}},
    ),
    "paint": (
        f"{PLACE}/models/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "a"}], "parameters": {"outputOptions": {}, "addWatermark": False}},
    ),
    "count": (path("countTokens", OLD), {"contents": CONTENT["contents"]}),
}
# Values in place of what stands there.
WRONG: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
    "content": [
        ("contents.3.parts.0.executableCode.language", (ODD,)),
        ("contents.3.parts.1.codeExecutionResult.outcome", (ODD,)),
        ("tools.0.functionDeclarations.0.parameters.properties.a.type", (ODD,)),
        ("tools.0.functionDeclarations.0.parameters.properties.a.minItems", (1.5,)),
        ("toolConfig.functionCallingConfig.mode", (ODD,)),
        ("generationConfig.temperature", (-0.1, 2.1)),
        ("generationConfig.topP", (-0.1, 1.1)),
        ("generationConfig.topK", (0, 1.5)),
        ("generationConfig.candidateCount", (0, 9, 1.5)),
        ("generationConfig.maxOutputTokens", (0, 1.5)),
        ("generationConfig.stopSequences", (["a"] * 6,)),
        ("generationConfig.seed", (-(2**31) - 1, 2**31, 1.5)),
        ("generationConfig.presencePenalty", (-2.1, 2.1)),
        ("generationConfig.frequencyPenalty", (-2.1, 2.1)),
        ("generationConfig.logprobs", (-1, 21, 1.5)),
        ("generationConfig.responseMimeType", (ODD,)),
        ("generationConfig.responseModalities.0", (ODD,)),
        ("generationConfig.thinkingConfig.thinkingBudget", (1.5,)),
        ("safetySettings.0.category", (ODD,)),
        ("safetySettings.0.threshold", (ODD,)),
        ("serviceTier", (ODD,)),
    ],
    "Vertex": [("safetySettings.0.method", (ODD,))],
    "batch": [
        ("requests", ([], [item()] * 101)),
        ("requests.0.taskType", (ODD,)),
        ("requests.0.outputDimensionality", (0, 1.5)),
    ],
    "predict": [
        ("instances", ([], [{"content": "a"}] * 251)),
        ("instances.0.content", ("",)),
        ("instances.0.task_type", (ODD,)),
        ("parameters.outputDimensionality", (0, 1.5)),
    ],
    "paint": [
        ("instances", ([], [{"prompt": "a"}] * 2)),
        ("instances.0.prompt", ("",)),
        ("parameters.sampleCount", (0, 5, 1.5)),
        ("parameters.aspectRatio", (ODD,)),
        ("parameters.sampleImageSize", (ODD,)),
        ("parameters.personGeneration", (ODD,)),
        ("parameters.safetySetting", (ODD,)),
        ("parameters.guidanceScale", (-0.1,)),
        ("parameters.seed", (0, 2**31, 1.5)),
        ("parameters.outputOptions.mimeType", (ODD,)),
        ("parameters.outputOptions.compressionQuality", (-1, 101, 1.5)),
    ],
}
# What has to be there.
NEEDED: dict[str, tuple[str, ...]] = {
    "content": (
        "contents.0.parts.1.inlineData.mimeType",
        "contents.0.parts.1.inlineData.data",
        "contents.0.parts.2.fileData.fileUri",
        "contents.1.parts.0.functionCall.name",
        "contents.2.parts.0.functionResponse.name",
        "contents.2.parts.0.functionResponse.response",
        "contents.3.parts.0.executableCode.code",
        "contents.3.parts.1.codeExecutionResult.outcome",
        "tools.0.functionDeclarations.0.name",
        "safetySettings.0.category",
        "safetySettings.0.threshold",
    ),
    "Vertex": ("safetySettings.0.category", "safetySettings.0.threshold"),
    "batch": ("requests", "requests.0.content"),
    "predict": ("instances", "instances.0.content"),
    "paint": ("instances", "instances.0.prompt"),
}
# What takes no further member.
CLOSED: dict[str, tuple[str, ...]] = {
    "content": (
        "",
        "contents.0",
        "contents.0.parts.0",
        "contents.0.parts.1.inlineData",
        "contents.0.parts.2.fileData",
        "contents.1.parts.0.functionCall",
        "contents.2.parts.0.functionResponse",
        "contents.2.parts.0.functionResponse.parts.0",
        "contents.3.parts.0.executableCode",
        "contents.3.parts.1.codeExecutionResult",
        "contents.3.parts.2.toolCall",
        "contents.3.parts.3.toolResponse",
        "tools.0",
        "tools.0.functionDeclarations.0",
        "tools.0.functionDeclarations.0.parameters",
        "toolConfig",
        "toolConfig.functionCallingConfig",
        "generationConfig",
        "generationConfig.thinkingConfig",
        "safetySettings.0",
    ),
    "Vertex": ("", "toolConfig", "toolConfig.functionCallingConfig", "generationConfig", "safetySettings.0"),
    "batch": ("", "requests.0", "requests.0.embedContentConfig"),
    "predict": ("", "instances.0", "parameters"),
    "paint": ("", "instances.0", "parameters", "parameters.outputOptions"),
    "count": ("",),
}


def _cases() -> dict[str, tuple[str, Any, str]]:
    found: dict[str, tuple[str, Any, str]] = {}
    for name, (where, good) in GOOD.items():
        for place, values in WRONG.get(name, ()):
            for value in values:
                text = f"{value!r}"[:40]
                # The vendor's words for a type or a bound, which no rule between members begins with.
                hint = f"'{_written(place)}' (" if isinstance(value, str) and value else f"{_written(place)}"
                found[f"{name}: {place} is {text}"] = (where, changed(good, place, value), hint)
        for place in NEEDED.get(name, ()):
            hint = f"{_written(place)}: {place.rpartition('.')[2]} is not specified"
            found[f"{name}: {place} is needed"] = (where, changed(good, place, MISSING), hint)
        for place in CLOSED.get(name, ()):
            at = f" at '{_written(place)}'" if place else ""
            wrong = changed(good, f"{place}.{ODD}" if place else ODD, 1)
            found[f"{name}: {place or 'body'} is closed"] = (
                where,
                wrong,
                f'Unknown name "{ODD}"{at}: Cannot find field',
            )
    return found


def _written(place: str) -> str:
    """As Google writes a place: `contents[0].parts`, in snake case."""
    out = ""
    for step in place.split("."):
        out += f"[{step}]" if step.isdigit() else f".{step}" if out else step
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", out)


# What is wrong: path, request, part of the message.
CASES = _cases()
