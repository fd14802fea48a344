"""What OpenAI refuses on each surface but chat, one case for each rule: surface, request, param, a hint.

What does not live here: chat (`tests/testing/test_strict_openai.py`), running the cases (`test_strict.py`).
"""

from dataclasses import replace
from typing import Any, NamedTuple

from compatgw_testing.fakes.openai import HABITS, Habit
from tests.testing.driver import PNG, SCHEMA
from tests.testing.openai.forms import PNG_START, File

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_a", "output": "1"}
CUSTOM = {"type": "custom_tool_call", "call_id": "call_c", "name": "g", "input": "x"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
TOOL = {"type": "function", "name": "f", "parameters": SCHEMA}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}


class Case(NamedTuple):
    """A request that is refused. `{id}` in the path is the id of a response that was made before."""

    path: str
    body: Any
    param: str | None
    hint: str
    status: int = 400
    form: bool = False
    method: str = "POST"
    habit: str | Habit = "openai"


def respond(*items: Any, **members: Any) -> dict[str, Any]:
    """A request for a response."""
    return {"model": "gpt-4o", "input": list(items) if items else "Hi", **members}


def said(*parts: Any, role: str = "user") -> dict[str, Any]:
    """A request whose only message has these parts."""
    return respond({"role": role, "content": list(parts)})


def response(body: Any, param: str | None, hint: str, status: int = 400) -> Case:
    """A case of `/responses`."""
    return Case("/responses", body, param, hint, status)


RESPONSES = {
    "responses: body is an object": response([1], None, "object"),
    "responses: model is needed": response({"input": "Hi"}, "model", "missing_required_parameter"),
    "responses: input is needed": response({"model": "gpt-4o"}, "input", "missing_required_parameter"),
    "responses: unknown member": response(respond(messages=[]), "messages", "unknown_parameter"),
    "responses: input is text or items": response({"model": "gpt-4o", "input": 5}, "input", "invalid_type"),
    "responses: items are objects": response(respond("Hi"), "input[0]", "invalid_type"),
    "responses: items have a type": response(respond({"text": "Hi"}), "input[0].type", "missing_required_parameter"),
    "responses: unknown type": response(respond({"type": "tool_call"}), "input[0].type", "invalid_value"),
    "responses: unknown role": response(respond({"role": "tool", "content": "a"}), "input[0].role", "invalid_value"),
    "responses: unknown member of an item": response(
        respond({**USER, "name": "a"}), "input[0].name", "unknown_parameter"
    ),
    "responses: ids of messages": response(
        respond({**USER, "type": "message", "id": "call_1"}), "input[0].id", "begins with 'msg'"
    ),
    "responses: ids of calls": response(respond({**CALL, "id": "call_1"}, RESULT), "input[0].id", "begins with 'fc'"),
    "responses: parts have a type": response(
        said({"text": "a"}), "input[0].content[0].type", "missing_required_parameter"
    ),
    "responses: parts of chat": response(said({"type": "text", "text": "a"}), "input[0].content[0]", "'input_text'"),
    "responses: parts of the assistant": response(
        said({"type": "input_text", "text": "a"}, role="assistant"), "input[0].content[0]", "'output_text'"
    ),
    "responses: parts are whole": response(
        said({"type": "input_text"}), "input[0].content[0].text", "missing_required_parameter"
    ),
    "responses: results have parts": response(
        respond(CALL, {**RESULT, "output": [{"type": "text", "text": "a"}]}), "input[1].output[0]", "'input_text'"
    ),
    "responses: image by address or id": response(
        said({"type": "input_image"}), "input[0].content[0]", "missing_required_parameter"
    ),
    "responses: image data URL": response(
        said({"type": "input_image", "image_url": f"data:application/pdf;base64,{PNG}"}),
        "input[0].content[0].image_url",
        "base64-encoded data URL",
    ),
    "responses: image URL": response(
        said({"type": "input_image", "image_url": "ftp://a/b.png"}), "input[0].content[0].image_url", "valid URL"
    ),
    "responses: image URL is flat": response(
        said({"type": "input_image", "image_url": {"url": "https://a/b"}}),
        "input[0].content[0].image_url",
        "invalid_type",
    ),
    "responses: one source of a file": response(
        said({"type": "input_file", "filename": "a.pdf"}), "input[0].content[0]", "missing_required_parameter"
    ),
    "responses: file data URL": response(
        said({"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0="}),
        "input[0].content[0].file_data",
        "data URL",
    ),
    "responses: file of a wrong type": response(
        said({"type": "input_file", "filename": "a.mp3", "file_data": "data:audio/mpeg;base64,AAAA"}),
        "input",
        "unsupported_file",
    ),
    "responses: file URL of a wrong type": response(
        said({"type": "input_file", "file_url": "https://a.example/b.mp3"}), "input", "unsupported_file"
    ),
    "responses: every call has a result": response(respond(USER, CALL), "input", "No tool output found"),
    "responses: every custom call has a result": response(respond(USER, CUSTOM), "input", "custom tool call call_c"),
    "responses: every result has a call": response(respond(USER, RESULT), "input", "No tool call found"),
    "responses: thought is followed": response(respond(USER, THOUGHT), "input", "required following item"),
    "responses: thought is followed by what it led to": response(
        respond(USER, THOUGHT, {"role": "assistant", "content": "changed"}, USER), "input", "required following item"
    ),
    "responses: unknown tool": response(respond(tools=[{"type": "python"}]), "tools[0].type", "invalid_value"),
    "responses: tools are flat": response(
        respond(tools=[{"type": "function", "function": {"name": "f"}}]), "tools[0].function", "unknown_parameter"
    ),
    "responses: tools have names": response(
        respond(tools=[{"type": "function", "parameters": SCHEMA}]), "tools[0].name", "missing_required_parameter"
    ),
    "responses: strict tools": response(
        respond(tools=[{**TOOL, "parameters": LOOSE, "strict": True}]),
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    "responses: required needs tools": response(respond(tool_choice="required"), "tool_choice", "'tools' parameter"),
    "responses: tool_choice names a tool": response(
        respond(tools=[TOOL], tool_choice={"type": "function", "name": "g"}), "tool_choice", "not found"
    ),
    "responses: json_object needs the word": response(
        respond(text={"format": {"type": "json_object"}}), "input", "word 'json'"
    ),
    "responses: format is flat": response(
        respond(text={"format": {"type": "json_schema", "json_schema": {}}}),
        "text.format.json_schema",
        "unknown_parameter",
    ),
    "responses: strict schemas": response(
        respond(text={"format": {"type": "json_schema", "name": "a", "schema": LOOSE, "strict": True}}),
        "text.format.schema",
        "invalid_json_schema",
    ),
    "responses: stream_options need stream": response(
        respond(stream_options={"include_obfuscation": False}), "stream_options", "only allowed"
    ),
    "responses: no include_usage": response(
        respond(stream=True, stream_options={"include_usage": True}),
        "stream_options.include_usage",
        "unknown_parameter",
    ),
    "responses: background needs store": response(respond(background=True, store=False), "background", "store"),
    "responses: one kind of history": response(
        respond(conversation="conv_1", previous_response_id="resp_1"), None, "Mutually exclusive"
    ),
    "responses: unknown conversation": response(respond(conversation="conv_1"), "conversation", "not found", 404),
    "responses: unknown prompt": response(respond(prompt={"id": "pmpt_1"}), "prompt", "not found", 404),
    "responses: unknown previous": response(
        respond(previous_response_id="resp_1"), "previous_response_id", "previous_response_not_found"
    ),
    "responses: unknown reference": response(
        respond({"type": "item_reference", "id": "msg_1"}), "input", "Item with id 'msg_1'", 404
    ),
    "responses: top_logprobs need include": response(respond(top_logprobs=2), "top_logprobs", "include"),
    "responses: metadata keys": response(respond(metadata={"a" * 65: "b"}), "metadata", "64"),
    "responses: unknown include": response(respond(include=["usage"]), "include[0]", "invalid_value"),
    "responses: fewest tokens": response(respond(max_output_tokens=5), "max_output_tokens", "integer_below_min_value"),
    "responses: effort of a model without": response(
        respond(reasoning={"effort": "low"}), "reasoning.effort", "unsupported_parameter"
    ),
    "responses: effort of a model with others": response(
        respond(model="o4-mini", reasoning={"effort": "minimal"}), "reasoning.effort", "unsupported_value"
    ),
    "responses: temperature of a model that thinks": response(
        respond(model="gpt-5", temperature=0), "temperature", "unsupported_parameter"
    ),
    "responses: top_p of a model that thinks": response(
        respond(model="o3", top_p=0.5), "top_p", "unsupported_parameter"
    ),
}


TOGETHER = respond(USER, CALL, {"role": "assistant", "content": "a"}, {**CALL, "call_id": "b"}, RESULT)
STORED = {
    "stored: unknown": Case("/responses/resp_1", None, None, "'resp_1' not found", 404, method="GET"),
    "stored: unknown, to delete": Case("/responses/resp_1", None, None, "'resp_1' not found", 404, method="DELETE"),
    "stored: unknown, to cancel": Case("/responses/resp_1/cancel", None, None, "'resp_1' not found", 404),
    "stored: nothing to cancel": Case("/responses/{id}/cancel", None, None, "synchronous"),
    "stored: limit": Case("/responses/{id}/input_items?limit=0", None, "limit", "invalid_value", method="GET"),
    "deepseek: calls stand together": Case(
        "/responses",
        {**TOGETHER, "input": [*TOGETHER["input"], {**RESULT, "call_id": "b"}]},
        None,
        "No tool output found for tool call call_a",
        habit="deepseek",
    ),
}


def embed(given: Any, **members: Any) -> dict[str, Any]:
    """A request for embeddings."""
    return {"model": "text-embedding-3-small", "input": given, **members}


TEXTS = replace(HABITS["openai"], embedding_tokens=False)
EMBEDDINGS = {
    "embeddings: body is an object": Case("/embeddings", 5, None, "object"),
    "embeddings: input is needed": Case("/embeddings", {"model": "a"}, "input", "missing_required_parameter"),
    "embeddings: model is needed": Case("/embeddings", {"input": "a"}, "model", "missing_required_parameter"),
    "embeddings: unknown member": Case("/embeddings", embed("a", task="b"), None, "Unrecognized request argument"),
    "embeddings: empty list": Case("/embeddings", embed([]), "input", "empty_array"),
    "embeddings: empty text": Case("/embeddings", embed(["a", ""]), "input", "empty string"),
    "embeddings: no token ids where texts are wanted": Case(
        "/embeddings", embed([5, 6]), "input", "has to hold texts", habit=TEXTS
    ),
    "embeddings: one empty text": Case("/embeddings", embed(""), "input", "empty string"),
    "embeddings: at most 2048": Case("/embeddings", embed(["a"] * 2049), "input", "array_above_max_length"),
    "embeddings: one kind": Case("/embeddings", embed(["a", 5]), "input", "one kind"),
    "embeddings: tokens are whole": Case("/embeddings", embed([1.5]), "input[0]", "invalid_type"),
    "embeddings: at most 8192 tokens": Case("/embeddings", embed("abcd " * 8000), None, "context_length_exceeded"),
    "embeddings: at most 8192 token ids": Case("/embeddings", embed([5] * 8193), "input", "array_above_max_length"),
    "embeddings: format": Case("/embeddings", embed("a", encoding_format="int8"), "encoding_format", "invalid_value"),
    "embeddings: dimensions of ada": Case(
        "/embeddings", embed("a", model="text-embedding-ada-002", dimensions=512), "dimensions", "does not support"
    ),
    "embeddings: too many dimensions": Case("/embeddings", embed("a", dimensions=2000), "dimensions", "1536"),
    "embeddings: no dimensions": Case("/embeddings", embed("a", dimensions=0), "dimensions", "integer_below_min_value"),
}
SEEN = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
MODERATIONS = {
    "moderations: input is needed": Case("/moderations", {}, "input", "missing_required_parameter"),
    "moderations: unknown member": Case("/moderations", {"input": "a", "n": 1}, None, "Unrecognized"),
    "moderations: empty list": Case("/moderations", {"input": []}, "input", "empty_array"),
    "moderations: unknown part": Case("/moderations", {"input": [{"type": "audio"}]}, "input[0].type", "invalid_value"),
    "moderations: texts or parts": Case("/moderations", {"input": ["a", SEEN]}, "input", "either texts or parts"),
    "moderations: model": Case("/moderations", {"input": "a", "model": "gpt-4o"}, "model", "no moderation model"),
    "moderations: images with the text model": Case(
        "/moderations", {"input": [SEEN], "model": "text-moderation-latest"}, "input", "text only"
    ),
    "moderations: one image": Case("/moderations", {"input": [SEEN, SEEN]}, "input", "Too many images"),
}


def paint(**members: Any) -> dict[str, Any]:
    """A request for an image."""
    return {"model": "gpt-image-1.5", "prompt": "a cat", **members}


def edit(**members: Any) -> dict[str, Any]:
    """A form for another image."""
    return paint(image=File("a.png", PNG_START, "image/png"), **members)


PAINT = "/images/generations"
IMAGES = {
    "images: prompt is needed": Case(PAINT, {"model": "dall-e-2"}, "prompt", "missing_required_parameter"),
    "images: prompt is not empty": Case(PAINT, paint(prompt=""), "prompt", "string_below_min_length"),
    "images: unknown member": Case(PAINT, paint(seed=1), None, "Unrecognized"),
    "images: no image model": Case(PAINT, paint(model="gpt-4o"), "model", "no image model"),
    "images: response_format of new ones": Case(
        PAINT, paint(response_format="url"), "response_format", "unknown_parameter"
    ),
    "images: style of new ones": Case(PAINT, paint(style="vivid"), "style", "unknown_parameter"),
    "images: style of the oldest": Case(PAINT, paint(model="dall-e-2", style="vivid"), "style", "unknown_parameter"),
    "images: background of old ones": Case(
        PAINT, paint(model="dall-e-3", background="auto"), "background", "unknown_parameter"
    ),
    "images: stream of old ones": Case(PAINT, paint(model="dall-e-3", stream=True), "stream", "unknown_parameter"),
    "images: long prompt": Case(PAINT, paint(model="dall-e-2", prompt="a" * 1001), "prompt", "1000"),
    "images: several": Case(PAINT, paint(model="dall-e-3", n=2), "n", "integer_above_max_value"),
    "images: size of new ones": Case(PAINT, paint(size="256x256"), "size", "'1536x1024'"),
    "images: size of old ones": Case(PAINT, paint(model="dall-e-3", size="auto"), "size", "'1792x1024'"),
    "images: quality of new ones": Case(PAINT, paint(quality="hd"), "quality", "'low'"),
    "images: quality of old ones": Case(PAINT, paint(model="dall-e-3", quality="low"), "quality", "'hd'"),
    "images: transparent": Case(
        PAINT, paint(background="transparent", output_format="jpeg"), "background", "not supported for jpeg"
    ),
    "images: partial images need stream": Case(PAINT, paint(partial_images=2), "partial_images", "only allowed"),
    "images: edits need an image": Case("/images/edits", paint(), "image", "missing_required_parameter", form=True),
    "images: edits need a file": Case("/images/edits", paint(image="a"), "image", "expected a file", form=True),
    "images: edits need a picture": Case(
        "/images/edits", paint(image=File("a.png", b"no picture")), "image", "invalid_image_file", form=True
    ),
    "images: the mask is a picture": Case(
        "/images/edits", edit(mask=File("m.png", b"no picture")), "mask", "invalid_image_file", form=True
    ),
    "images: at most 16": Case(
        "/images/edits", paint(image=[File("a.png", PNG_START)] * 17), "image", "array_above_max_length", form=True
    ),
    "images: a form is a form": Case("/images/edits", {"prompt": "a"}, None, "not valid"),
}


def hear(**members: Any) -> dict[str, Any]:
    """A form for a transcription."""
    return {"model": "whisper-1", "file": File("a.wav"), **members}


def heard(param: str | None, hint: str, path: str = "transcriptions", **members: Any) -> Case:
    """A case of a transcription."""
    return Case(f"/audio/{path}", hear(**members), param, hint, form=True)


def speak(param: str | None, hint: str, **members: Any) -> Case:
    """A case of speech."""
    body = {"model": "gpt-4o-mini-tts", "input": "Hi", "voice": "alloy", **members}
    return Case("/audio/speech", {name: one for name, one in body.items() if one is not None}, param, hint)


AUDIO = {
    "speech: input is needed": speak("input", "missing_required_parameter", input=None),
    "speech: voice is needed": speak("voice", "missing_required_parameter", voice=None),
    "speech: unknown voice": speak("voice", "invalid_value", voice="ada"),
    "speech: input is not empty": speak("input", "string_below_min_length", input=""),
    "speech: at most 4096": speak("input", "string_above_max_length", input="a" * 4097),
    "speech: format": speak("response_format", "invalid_value", response_format="ogg"),
    "speech: speed": speak("speed", "below_min_value", speed=0.1),
    "speech: instructions of old models": speak(
        "instructions", "unsupported_parameter", model="tts-1", instructions="a"
    ),
    "speech: events of old models": speak("stream_format", "not supported", model="tts-1-hd", stream_format="sse"),
    "speech: unknown member": speak(None, "Unrecognized", volume=1),
    "hearing: a file is a file": heard("file", "expected a file", file="a"),
    "hearing: unknown format": heard("file", "Invalid file format", file=File("a.txt")),
    "hearing: too short": heard("file", "audio_too_short", file=File("a.wav", b"RIFF")),
    "hearing: unknown member": heard(None, "Unrecognized", seed="1"),
    "hearing: granularities": heard("timestamp_granularities", "verbose_json", timestamp_granularities=["word"]),
    "hearing: temperature": heard("temperature", "above_max_value", temperature="1.5"),
    "hearing: formats of new models": heard(
        "response_format", "not compatible", model="gpt-4o-transcribe", response_format="srt"
    ),
    "hearing: speakers with the old model": heard("response_format", "not compatible", response_format="diarized_json"),
    "hearing: logprobs of the old model": heard("include", "unsupported_parameter", include=["logprobs"]),
    "hearing: translating with a new model": heard(
        "model", "does not translate", path="translations", model="gpt-4o-transcribe"
    ),
    "hearing: translating from a language": heard(None, "Unrecognized", path="translations", language="de"),
    "hearing: a form is a form": Case("/audio/transcriptions", {"model": "whisper-1"}, None, "not valid"),
}


def complete(param: str | None, hint: str, status: int = 400, **members: Any) -> Case:
    """A case of `/completions`."""
    return Case("/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "a", **members}, param, hint, status)


COMPLETIONS = {
    "completions: model is needed": Case("/completions", {"prompt": "a"}, "model", "missing_required_parameter"),
    "completions: unknown member": complete(None, "Unrecognized", messages=[]),
    "completions: prompt is text or tokens": complete("prompt", "invalid_type", prompt={"a": 1}),
    "completions: logprobs are a number": complete("logprobs", "invalid_type", logprobs=True),
    "completions: at most 5 logprobs": complete("logprobs", "integer_above_max_value", logprobs=6),
    "completions: stream_options need stream": complete(
        "stream_options", "only allowed", stream_options={"include_usage": True}
    ),
    "completions: best_of at least n": complete("best_of", "at least 'n'", n=3, best_of=2),
    "completions: best_of without a stream": complete("best_of", "when streaming", best_of=2, stream=True),
    "completions: a chat model": complete("model", "v1/chat/completions", 404, model="gpt-4o"),
}
CASES: dict[str, Case] = {**RESPONSES, **STORED, **EMBEDDINGS, **MODERATIONS, **IMAGES, **AUDIO, **COMPLETIONS}
