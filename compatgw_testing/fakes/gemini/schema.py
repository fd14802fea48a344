"""The fields of Gemini's generate request, as data, under their camelCase names.

What does not live here: what ties fields together (`rules.py`).
"""

from __future__ import annotations

from compatgw_testing.fakes.shape import Arr, Bool, Free, Map, Num, Obj, Shape, Str

_WHOLE = Num(whole=True)
_INT32 = Num(-(2**31), 2**31 - 1, whole=True)
_STRUCT = Map(Free())
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")

# The OpenAPI subset; it contains itself.
_SCHEMA_FIELDS: dict[str, Shape] = {
    "type": Str((*_TYPES, *(name.lower() for name in _TYPES))),
    "format": Str(),
    "title": Str(),
    "description": Str(),
    "nullable": Bool(),
    "default": Free(),
    "example": Free(),
    "enum": Arr(Str()),
    "minItems": _WHOLE,
    "maxItems": _WHOLE,
    "minLength": _WHOLE,
    "maxLength": _WHOLE,
    "minProperties": _WHOLE,
    "maxProperties": _WHOLE,
    "pattern": Str(),
    "minimum": Num(),
    "maximum": Num(),
    "required": Arr(Str()),
    "propertyOrdering": Arr(Str()),
    "$ref": Str(),
}
SCHEMA = Obj(_SCHEMA_FIELDS)
_SCHEMA_FIELDS |= {
    "items": SCHEMA,
    "anyOf": Arr(SCHEMA),
    "properties": Map(SCHEMA),
    "$defs": Map(SCHEMA),
}

_BLOB = Obj({"mimeType": Str(), "data": Str(), "displayName": Str()}, ("mimeType", "data"))
_FILE = Obj({"mimeType": Str(), "fileUri": Str(), "displayName": Str()}, ("fileUri",))
_CODE = Obj({"id": Str(), "language": Str(("PYTHON", "LANGUAGE_UNSPECIFIED")), "code": Str()}, ("code",))
_OUTCOMES = Str(("OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED", "OUTCOME_UNSPECIFIED"))
DATA: dict[str, Shape] = {
    "text": Str(),
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": Obj({"id": Str(), "name": Str(), "args": _STRUCT}, ("name",)),
    "functionResponse": Obj(
        {
            "id": Str(),
            "name": Str(),
            "response": _STRUCT,
            "parts": Arr(Obj({"inlineData": _BLOB, "fileData": _FILE})),
            "willContinue": Bool(),
            "scheduling": Str(),
        },
        ("name", "response"),
    ),
    "executableCode": _CODE,
    "codeExecutionResult": Obj({"id": Str(), "outcome": _OUTCOMES, "output": Str()}, ("outcome",)),
    "toolCall": Obj({"id": Str(), "toolType": Str(), "args": _STRUCT}),
    "toolResponse": Obj({"id": Str(), "toolType": Str(), "response": _STRUCT}),
}
PART = Obj(
    {
        **DATA,
        "thought": Bool(),
        "thoughtSignature": Str(),
        "videoMetadata": Free(),
        "mediaResolution": Free(),
        "partMetadata": Free(),
    }
)
CONTENT = Obj({"role": Str(), "parts": Arr(PART, single=True)})
DECLARATION = Obj(
    {
        "name": Str(),
        "description": Str(),
        "parameters": SCHEMA,
        "parametersJsonSchema": Free(),
        "response": SCHEMA,
        "responseJsonSchema": Free(),
        "behavior": Str(),
    },
    ("name",),
)
BUILT_IN = (
    *("googleSearch", "codeExecution", "urlContext", "googleMaps", "fileSearch", "computerUse"),
    *("googleSearchRetrieval", "mcpServers"),
)
_GENERATION: dict[str, Shape] = {
    "temperature": Num(0, 2),
    "topP": Num(0, 1),
    "topK": Num(1, whole=True),
    "candidateCount": Num(1, 8, whole=True),
    "maxOutputTokens": Num(1, whole=True),
    "stopSequences": Arr(Str(), high=5),
    "seed": _INT32,
    "presencePenalty": Num(-2, 2),
    "frequencyPenalty": Num(-2, 2),
    "responseLogprobs": Bool(),
    "logprobs": Num(0, 20, whole=True),
    "responseMimeType": Str(("text/plain", "application/json", "text/x.enum")),
    "responseSchema": SCHEMA,
    "responseJsonSchema": Free(),
    "responseModalities": Arr(Str(("TEXT", "IMAGE", "AUDIO", "MODALITY_UNSPECIFIED"))),
    "thinkingConfig": Obj({"includeThoughts": Bool(), "thinkingBudget": _WHOLE, "thinkingLevel": Str()}),
    "imageConfig": Free(),
    "speechConfig": Free(),
    "mediaResolution": Str(),
    "enableEnhancedCivicAnswers": Bool(),
}
GENERATION = Obj(_GENERATION)
_CATEGORIES = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
_THRESHOLDS = ("OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE")
_SETTING: dict[str, Shape] = {
    "category": Str(tuple(f"HARM_CATEGORY_{name}" for name in _CATEGORIES)),
    "threshold": Str(_THRESHOLDS),
}
_CALLING: dict[str, Shape] = {
    "mode": Str(("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")),
    "allowedFunctionNames": Arr(Str()),
}
_CONFIG: dict[str, Shape] = {"functionCallingConfig": Obj(_CALLING), "retrievalConfig": Free()}
_FIELDS: dict[str, Shape] = {
    "model": Str(),
    "contents": Arr(CONTENT, single=True),
    "systemInstruction": CONTENT,
    "tools": Arr(
        Obj({"functionDeclarations": Arr(DECLARATION, single=True), **dict.fromkeys(BUILT_IN, Free())}),
        single=True,
    ),
    "toolConfig": Obj({**_CONFIG, "includeServerSideToolInvocations": Bool()}),
    "generationConfig": GENERATION,
    "safetySettings": Arr(Obj(_SETTING, ("category", "threshold"))),
    "cachedContent": Str(),
    "serviceTier": Str(("standard", "flex", "priority")),
    "labels": Map(Str()),
    "store": Bool(),
    "continuationToken": Str(),
}
REQUEST = Obj(_FIELDS)
# What only Vertex takes, and what it does not take.
VERTEX = Obj(
    {
        **_FIELDS,
        "toolConfig": Obj(
            {**_CONFIG, "functionCallingConfig": Obj({**_CALLING, "streamFunctionCallArguments": Bool()})}
        ),
        "generationConfig": Obj(
            {**_GENERATION, "audioTimestamp": Bool(), "routingConfig": Free(), "modelSelectionConfig": Free()}
        ),
        "modelArmorConfig": Free(),
        "safetySettings": Arr(Obj({**_SETTING, "method": Str(("SEVERITY", "PROBABILITY"))}, ("category", "threshold"))),
    }
)
COUNTED = Obj({"contents": Arr(CONTENT, single=True), "generateContentRequest": REQUEST})
