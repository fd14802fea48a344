"""The client surface of OpenAI's Responses: writes requests, reads answers, notes what breaks its protocol.

A client of this surface keeps its conversation itself (`store: false`) and sends back the items that
it was given, or leaves both to the server. What does not live here: the grammar of its streams
(`responses_stream.py`), sending (`case.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.reading import answered
from compatgw_testing.matrix.responses_stream import Stream, check_response, finished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw_testing.matrix.asked import Asked, Entry, Mode, Seen
    from compatgw_testing.matrix.reading import Json


class Responses:
    """`POST /responses`."""

    path = "/responses"
    # Stop sequences are no member of the request.
    cannot = frozenset({"stop"})

    def headers(self, key: str) -> dict[str, str]:
        """What a client sends beside its body."""
        return {"authorization": f"Bearer {key}"}

    # Requests.

    def write(self, asked: Asked, model: str, mode: Mode, more: Sequence[Json] = (), after: str = "") -> Json:
        """The body of the request; `more` follows the conversation, which the server keeps up to `after`."""
        entries = list(asked.entries)
        body: Json = {"model": model, "store": asked.kept}
        # The first of several instructions stands apart, as SDKs and agents write it.
        if entries[0].role == "system":
            body["instructions"] = entries.pop(0).text
        if after:
            body |= {"previous_response_id": after, "input": list(more)}
        else:
            body["input"] = [*(item for one in entries for item in _items(one)), *more]
        if mode == "stream":
            body["stream"] = True
        if asked.tools:
            body["tools"] = [_tool(one.name, one.parameters) for one in asked.tools]
        if asked.choice in ("auto", "none", "required"):
            body["tool_choice"] = asked.choice
        elif asked.choice is not None:
            body["tool_choice"] = {"type": "function", "name": asked.choice}
        if asked.schema is not None:
            schema = {"type": "json_schema", "name": "answer", "strict": True, "schema": dict(asked.schema)}
            body["text"] = {"format": schema}
        elif asked.json:
            body["text"] = {"format": {"type": "json_object"}}
        if asked.effort is not None:
            body["reasoning"] = {"effort": asked.effort, "summary": "auto"}
            body["include"] = ["reasoning.encrypted_content"]
        if asked.limit is not None:
            body["max_output_tokens"] = asked.limit
        if asked.temperature is not None:
            body["temperature"] = asked.temperature
        return body

    def answered(self, asked: Asked, seen: Seen, results: Sequence[str], user: str) -> list[Json]:
        """The items that were seen, unless the server keeps them; an output for each call; what the user says next."""
        called = zip(seen.calls, results, strict=False)
        outputs = [{"type": "function_call_output", "call_id": one.id, "output": text} for one, text in called]
        return [*([] if asked.kept else seen.kept), *outputs, *([{"role": "user", "content": user}] if user else [])]

    # Answers.

    def read(self, seen: Seen, mode: Mode) -> Seen:
        """Fills in `seen` from its status, headers and raw body."""
        return answered(seen, mode, self._plain, lambda: Stream(seen).read())

    @staticmethod
    def _plain(value: Json, seen: Seen) -> None:
        check_response(value, seen)
        if value.get("status") not in ("completed", "incomplete"):
            seen.problems.append(f"the status is {value.get('status')!r}")
        finished(value, seen)
        seen.ended = "whole"


def _items(entry: Entry) -> list[Json]:
    if entry.answers is not None:
        output: Any = entry.text
        if entry.image is not None:
            output = [{"type": "input_text", "text": entry.text}, _picture(entry.image)]
        return [{"type": "function_call_output", "call_id": entry.answers, "output": output}]
    kind = "output_text" if entry.role == "assistant" else "input_text"
    texts = entry.pieces or ((entry.text,) if entry.text else ())
    parts: list[Json] = [{"type": kind, "text": text} for text in texts]
    if entry.image is not None:
        parts.append(_picture(entry.image))
    if entry.document is not None:
        data = f"data:application/pdf;base64,{entry.document}"
        parts.append({"type": "input_file", "filename": "report.pdf", "file_data": data})
    items: list[Json] = [{"type": "message", "role": entry.role, "content": parts}] if parts else []
    items += [
        {"type": "function_call", "call_id": one.id, "name": one.name, "arguments": one.text} for one in entry.calls
    ]
    return items


def _picture(data: str) -> Json:
    return {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"}


def _tool(name: str, parameters: object) -> Json:
    tool = {"type": "function", "name": name, "description": f"The tool {name}.", "parameters": parameters}
    return {**tool, "strict": False}
