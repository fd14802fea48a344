"""What a recorded answer says, read by plain code that shares nothing with the translators.

Each `plain_*` reads a whole body, each `stream_*` the events of a stream, and gives `Said`.
The rules are those of the vendors' documents: which parts are text, which are calls for the
caller, what the finish reasons mean and what the totals count.
"""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass, field
from typing import Any

_STOP = {
    None: "stop", "": "stop", "stop": "stop", "eos": "stop", "end_turn": "stop", "length": "length",
    "tool_calls": "tool_calls", "function_call": "function_call", "content_filter": "content_filter",
}  # fmt: skip
_ANTHROPIC = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "compaction": "stop", "max_tokens": "length",
    "model_context_window_exceeded": "length", "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_GEMINI = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", 1: "stop", 2: "length"}
_BEDROCK = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
}  # fmt: skip
_COHERE = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


@dataclass
class Choice:
    """One answer.

    Attributes:
        text: Visible text; pieces that stand in it in this order, when other things may stand between.
        value: The text as JSON, where the vendor gave JSON instead of text.
        calls: Name and arguments of each call.
    """

    text: str = ""
    pieces: list[str] | None = None
    value: Any = None
    reasoning: bool = False
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""


@dataclass
class Said:
    """A recorded answer: its choices and totals, or that it is a failure."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: tuple[int, int] | None = None
    total: int | None = None
    cached: int = 0
    failed: bool = False

    def choice(self, index: int) -> Choice:
        """The choice at `index`, made when it is new."""
        return self.choices.setdefault(index, Choice())


def events(body: bytes) -> list[Any]:
    """The JSON of each `data:` line; only one-line events were recorded."""
    lines = body.decode().replace("\r\n", "\n").split("\n")
    data = (line[5:].strip() for line in lines if line.startswith("data:"))
    return [json.loads(text) for text in data if text and text != "[DONE]"]


def arguments(value: Any) -> Any:
    """Arguments as a JSON value, however the vendor wrote them."""
    if isinstance(value, str):
        return json.loads(value) if value.strip() else {}
    return {} if value is None else value


# --- OpenAI-like -----------------------------------------------------------------------------


def plain_openai(body: bytes) -> Said:
    """A completion of any OpenAI-like vendor."""
    value = json.loads(body)
    said = Said()
    if "error" in value and not value.get("choices"):
        said.failed = True
    for n, found in enumerate(value.get("choices", ())):
        message = found["message"]
        choice = said.choice(found.get("index", n))
        _openai_content(choice, message.get("content"))
        choice.reasoning |= _reasons(message)
        calls = [c["function"] for c in message.get("tool_calls") or ()]
        if (message.get("function_call") or {}).get("name"):
            calls = [message["function_call"]]
        choice.calls = [(c["name"], arguments(c["arguments"])) for c in calls]
        choice.finish = _finish(_STOP.get(found.get("finish_reason"), "stop"), choice)
    _openai_usage(said, value.get("usage"))
    return said


def _openai_content(choice: Choice, content: Any) -> None:
    if isinstance(content, str):
        choice.text += content
    elif isinstance(content, list):
        for part in content:
            if part["type"] == "text":
                choice.text += part["text"]
            elif part["type"] == "thinking":
                choice.reasoning = True
    elif content is not None:
        choice.value = content


def _finish(word: str, choice: Choice) -> str:
    if choice.calls and word == "stop":
        return "tool_calls"
    return "stop" if word == "tool_calls" and not choice.calls else word


def _openai_usage(said: Said, usage: Any) -> None:
    if not usage:
        return
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    total = usage.get("total_tokens", prompt + completion)
    if total == prompt + completion + thought:  # this vendor counts reasoning apart
        completion += thought
    said.usage, said.total = (prompt, completion), total
    flat = next((usage[n] for n in ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens") if n in usage), 0)
    said.cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or flat


def _reasons(message: dict[str, Any]) -> bool:
    details = message.get("reasoning_details") or ()
    return any(message.get(name) for name in ("reasoning_content", "reasoning")) or any(
        d.get("text") or d.get("summary") for d in details
    )


def stream_openai(body: bytes) -> Said:
    """A stream of any OpenAI-like vendor."""
    said = Said()
    calls: dict[int, list[dict[str, Any]]] = {}
    words: dict[int, str] = {}
    usage: Any = None
    for chunk in events(body):
        said.failed |= bool(chunk.get("error"))
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for found in chunk.get("choices") or ():
            index = found.get("index", 0)
            delta = found.get("delta") or {}
            usage = found.get("usage") or usage
            choice = said.choice(index)
            _openai_content(choice, delta.get("content"))
            choice.reasoning |= _reasons(delta)
            for call in delta.get("tool_calls") or ():
                _openai_call(calls.setdefault(index, []), call)
            if found.get("finish_reason"):
                words.setdefault(index, found["finish_reason"])
    for index, choice in said.choices.items():
        choice.calls = [(c["name"], arguments(c["arguments"])) for c in calls.get(index, ())]
        choice.finish = _finish(_STOP[words.get(index)], choice)
    _openai_usage(said, usage)
    return said


def _openai_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    function = call.get("function") or {}
    index, given = call.get("index"), call.get("id")
    if given:
        known = [c for c in calls if c["key"] == (index, given)]
    elif index is not None:
        known = [c for c in calls if c["key"][0] == index]
    else:  # neither: a name begins a call, all else goes on with the last one
        known = [] if function.get("name") else calls
    if not known:
        known = [{"key": (index, given), "name": "", "arguments": ""}]
        calls += known
    mine = known[-1]
    mine["name"] = mine["name"] or function.get("name") or ""
    part = function.get("arguments")
    mine["arguments"] += part if isinstance(part, str) else json.dumps(part) if part is not None else ""


# --- Anthropic -------------------------------------------------------------------------------


def plain_anthropic(body: bytes) -> Said:
    """A message."""
    value = json.loads(body)
    said = Said()
    choice = said.choice(0)
    for block in value["content"]:
        if block["type"] == "text":
            choice.text += block["text"]
        elif block["type"] == "tool_use":
            choice.calls.append((block["name"], block["input"]))
        elif block["type"] == "thinking":
            choice.reasoning |= bool(block["thinking"])
    choice.finish = _finish(_ANTHROPIC[value["stop_reason"]], choice)
    _anthropic_usage(said, value["usage"])
    return said


def _anthropic_usage(said: Said, usage: dict[str, Any]) -> None:
    said.cached = usage.get("cache_read_input_tokens") or 0
    prompt = usage["input_tokens"] + said.cached + (usage.get("cache_creation_input_tokens") or 0)
    said.usage, said.total = (prompt, usage["output_tokens"]), prompt + usage["output_tokens"]


def stream_anthropic(body: bytes) -> Said:
    """The events of one message."""
    said = Said()
    choice = said.choice(0)
    usage: dict[str, Any] = {}
    ids: set[str] = set()
    whole: list[tuple[str, Any]] = []
    inputs: dict[int, list[str]] = {}
    names: dict[int, str] = {}
    for event in events(body):
        delta = event.get("delta") or {}
        match event["type"]:
            case "message_start":
                message = event["message"]
                said.failed |= bool(ids - {message["id"]})  # two answers are spliced into one stream
                ids.add(message["id"])
                usage.update(message["usage"])
                # A message whose calls were made by code that ran at the vendor comes whole.
                choice.finish = _ANTHROPIC.get(message["stop_reason"], "")
                whole = [(b["name"], b["input"]) for b in message["content"] if b["type"] == "tool_use"]
            case "content_block_start":
                block = event["content_block"]
                if block["type"] == "tool_use":
                    names[event["index"]] = block["name"]
                    # Fixtures may give the whole input here instead of fragments.
                    inputs[event["index"]] = [json.dumps(block["input"])] if block.get("input") else []
                choice.text += block.get("text", "") if block["type"] == "text" else ""
            case "content_block_delta" if delta["type"] == "text_delta":
                choice.text += delta["text"]
            case "content_block_delta" if delta["type"] == "thinking_delta":
                choice.reasoning |= bool(delta["thinking"])
            case "content_block_delta" if delta["type"] == "input_json_delta" and event["index"] in inputs:
                inputs[event["index"]].append(delta["partial_json"])
            case "message_delta":
                choice.finish = _ANTHROPIC.get(delta["stop_reason"], "")
                usage.update({k: v for k, v in event["usage"].items() if v is not None})
            case "error":
                said.failed = True
    said.failed |= not choice.finish  # no reason was ever given: the answer did not end
    if not said.failed:
        choice.calls = [*whole, *((names[i], arguments("".join(parts))) for i, parts in inputs.items())]
        choice.finish = _finish(choice.finish, choice)
        _anthropic_usage(said, usage)
    return said


# --- Gemini ----------------------------------------------------------------------------------


def plain_gemini(body: bytes) -> Said:
    """One response."""
    return _gemini([json.loads(body)])


def stream_gemini(body: bytes) -> Said:
    """A stream of responses."""
    return _gemini(events(body))


def _gemini(responses: list[dict[str, Any]]) -> Said:
    said = Said()
    usage: dict[str, Any] = {}
    streamed = _StreamedCalls()
    words: dict[int, Any] = {}
    for response in responses:
        said.failed |= "error" in response or "blockReason" in (response.get("promptFeedback") or {})
        if response.get("usageMetadata", {}).get("promptTokenCount"):
            usage = response["usageMetadata"]
        for candidate in response.get("candidates", ()):
            index = candidate.get("index", 0)
            choice = said.choice(index)
            for part in (candidate.get("content") or {}).get("parts", ()):
                _gemini_part(choice, part, streamed)
            words[index] = candidate.get("finishReason") or words.get(index)
    for index, choice in said.choices.items():
        choice.finish = _finish(_GEMINI[words[index]], choice)
    if usage:
        said.cached = usage.get("cachedContentTokenCount", 0)
        prompt = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
        completion = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        said.usage, said.total = (prompt, completion), usage["totalTokenCount"]
    return said


def _gemini_part(choice: Choice, part: dict[str, Any], streamed: _StreamedCalls) -> None:
    if part.get("thought"):
        choice.reasoning |= bool(part.get("text"))
    elif "functionCall" in part:
        streamed.add(choice, part["functionCall"])
    elif "text" in part:
        choice.text += part["text"]
        if choice.pieces is not None and part["text"]:
            choice.pieces.append(part["text"])
    elif "executableCode" in part or "codeExecutionResult" in part:
        choice.pieces = choice.pieces if choice.pieces is not None else [choice.text]


class _StreamedCalls:
    """Calls that come whole, or in `partialArgs` until one without `willContinue`."""

    def __init__(self) -> None:
        self.open: dict[str, Any] | None = None

    def add(self, choice: Choice, call: dict[str, Any]) -> None:
        if self.open is None:
            if "name" not in call:
                return
            self.open = dict(call.get("args") or {})
            choice.calls.append((call["name"], self.open))
        for item in call.get("partialArgs", ()):
            _put(self.open, item)
        if not call.get("willContinue"):
            self.open = None


def _put(target: Any, item: dict[str, Any]) -> None:
    """Sets or appends the value at a path such as `$.a.b[0].c`."""
    keys: list[Any] = []
    for name in item["jsonPath"].removeprefix("$.").split("."):
        head, *indexes = name.split("[")
        keys += [*([head] if head else []), *(int(i.rstrip("]")) for i in indexes)]
    for key, following in itertools.pairwise(keys):
        fresh: Any = [] if isinstance(following, int) else {}
        if isinstance(target, list):
            if key == len(target):
                target.append(fresh)
            target = target[key]
        else:
            target = target.setdefault(key, fresh)
    value = next((v for k, v in item.items() if k.endswith("Value")), None)
    last = keys[-1]
    if isinstance(target, list):
        if last == len(target):
            target.append(value)
        elif isinstance(value, str):
            target[last] += value
    elif isinstance(target.get(last), str) and isinstance(value, str):
        target[last] += value
    else:
        target[last] = value


# --- Cohere ----------------------------------------------------------------------------------


def plain_cohere(body: bytes) -> Said:
    """A version 2 answer."""
    value = json.loads(body)
    message = value["message"]
    said = Said()
    choice = said.choice(0)
    for part in message.get("content") or ():
        choice.text += part.get("text", "")
        choice.reasoning |= bool(part.get("thinking"))
    choice.reasoning |= bool(message.get("tool_plan"))
    choice.calls = [
        (c["function"]["name"], arguments(c["function"]["arguments"]) or {}) for c in message.get("tool_calls") or ()
    ]
    choice.finish = _finish(_COHERE[value["finish_reason"]], choice)
    _cohere_usage(said, value.get("usage") or {})
    return said


def _cohere_usage(said: Said, usage: dict[str, Any]) -> None:
    if tokens := usage.get("tokens") or usage.get("billed_units"):
        said.usage = (int(tokens["input_tokens"]), int(tokens["output_tokens"]))
        said.total = sum(said.usage)
        said.cached = int(usage.get("cached_tokens") or 0)


def stream_cohere(body: bytes) -> Said:
    """The events of one message."""
    said = Said()
    choice = said.choice(0)
    calls: list[list[str]] = []
    word = None
    for event in events(body):
        message = (event.get("delta") or {}).get("message") or {}
        match event["type"]:
            case "content-start" | "content-delta":
                choice.text += message["content"].get("text", "")
                choice.reasoning |= bool(message["content"].get("thinking"))
            case "tool-plan-delta":
                choice.reasoning |= bool(message["tool_plan"])
            case "tool-call-start":
                function = message["tool_calls"]["function"]
                calls.append([function["name"], function["arguments"]])
            case "tool-call-delta":
                calls[-1][1] += message["tool_calls"]["function"]["arguments"]
            case "message-end":
                word = event["delta"]["finish_reason"]
                _cohere_usage(said, event["delta"].get("usage") or {})
    said.failed = word not in _COHERE
    choice.calls = [(name, arguments(text) or {}) for name, text in calls]
    choice.finish = _finish(_COHERE.get(word or "", ""), choice)
    return said


# --- Bedrock ---------------------------------------------------------------------------------


def plain_bedrock(body: bytes) -> Said:
    """An answer of Converse."""
    value = json.loads(body)
    said = Said()
    choice = said.choice(0)
    for block in value["output"]["message"]["content"]:
        choice.text += block.get("text", "")
        choice.reasoning |= bool((block.get("reasoningContent") or {}).get("reasoningText", {}).get("text"))
        use = block.get("toolUse")
        if use and use.get("type") != "server_tool_use":
            choice.calls.append((use["name"], use["input"]))
    choice.finish = _finish(_BEDROCK[value["stopReason"]], choice)
    _bedrock_usage(said, value["usage"])
    return said


def _bedrock_usage(said: Said, usage: dict[str, Any]) -> None:
    said.cached = usage.get("cacheReadInputTokens") or 0
    prompt = usage["inputTokens"] + said.cached + (usage.get("cacheWriteInputTokens") or 0)
    said.usage, said.total = (prompt, usage["outputTokens"]), usage["totalTokens"]


def messages_of(body: bytes) -> list[tuple[dict[str, str], Any]]:
    """Headers and JSON of each message of an AWS event stream."""
    found: list[tuple[dict[str, str], Any]] = []
    while body:
        total, size = struct.unpack(">II", body[:8])
        rest, payload = body[12 : 12 + size], body[12 + size : total - 4]
        headers: dict[str, str] = {}
        while rest:
            name = rest[1 : 1 + rest[0]].decode()
            rest = rest[2 + rest[0] :]  # all that were recorded are strings
            length = int.from_bytes(rest[:2], "big")
            headers[name], rest = rest[2 : 2 + length].decode(), rest[2 + length :]
        found.append((headers, json.loads(payload)))
        body = body[total:]
    return found


def stream_bedrock(body: bytes) -> Said:
    """The events of one message."""
    said = Said()
    choice = said.choice(0)
    inputs: dict[int, list[str]] = {}
    names: dict[int, str] = {}
    for headers, event in messages_of(body):
        index = event.get("contentBlockIndex", -1)
        delta = event.get("delta") or {}
        match headers[":event-type"]:
            case "contentBlockStart":
                use = event["start"].get("toolUse")
                if use and use.get("type") != "server_tool_use":
                    names[index], inputs[index] = use["name"], []
            case "contentBlockDelta":
                choice.text += delta.get("text", "")
                choice.reasoning |= bool((delta.get("reasoningContent") or {}).get("text"))
                if index in inputs:
                    inputs[index].append(delta["toolUse"]["input"])
            case "messageStop":
                choice.finish = _BEDROCK[event["stopReason"]]
            case "metadata":
                _bedrock_usage(said, event["usage"])
    choice.calls = [(names[index], arguments("".join(parts))) for index, parts in inputs.items()]
    choice.finish = _finish(choice.finish, choice)
    return said


PLAIN = {
    "openai": plain_openai, "anthropic": plain_anthropic, "gemini": plain_gemini, "cohere": plain_cohere,
    "bedrock": plain_bedrock,
}  # fmt: skip
STREAM = {
    "openai": stream_openai, "anthropic": stream_anthropic, "gemini": stream_gemini, "cohere": stream_cohere,
    "bedrock": stream_bedrock,
}  # fmt: skip
