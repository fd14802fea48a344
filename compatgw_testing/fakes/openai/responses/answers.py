"""OpenAI's answers to requests for responses: the object, its output items, and the events of a stream.

What does not live here: which requests are answered (`rules.py`), keeping responses (`store.py`).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.openai.responses.reading import read_response
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids
    from compatgw_testing.script import ToolCall

_REASONING = r"(?:o[134]|gpt-5|codex)(?!.*(?:chat|search))"
_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TOOL_USAGE: Json = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": 0,
    },
    "web_search": {"num_requests": 0},
}


class ResponseChat(Chat):
    """One request for a response."""

    def __init__(
        self,
        call: Call,
        ids: Ids,
        habit: Habit,
        created: int,
        items: Sequence[Json],
        keep: Callable[[Json], None],
    ) -> None:
        body: Json = call.body
        super().__init__(call, ids, read_response(body, items))
        self._habit = habit
        self._body = body
        self._created = created
        self._keep = keep
        self._include = body.get("include") or ()
        self._reasoning: Json = body.get("reasoning") or {}
        self._count = 0
        custom = [one for one in body.get("tools") or () if one.get("type") == "custom"]
        self._custom = {one["name"] for one in custom}
        self._spaces = {
            one["name"]: tool["name"]
            for tool in body.get("tools") or ()
            if tool.get("type") == "namespace"
            for one in tool["tools"]
        }
        options = body.get("stream_options") or {}
        self._obfuscates = habit.obfuscates and options.get("include_obfuscation") is not False
        self.id = f"resp_{ids.hex('id', 48)}"
        # What is repeated of the request is read here, where a request that cannot be read is still refused.
        text = body.get("text") or {}
        form = text.get("format") or {"type": "text"}
        if form["type"] == "json_schema":
            form = {"description": None, "strict": False, **form}
        self._text = {"format": form, **self._wordy(text.get("verbosity"))}
        self._tools = [_echo(one, own=habit.models_rules) for one in body.get("tools") or ()]

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        return f"call_{self.ids.alnum(f'tool{index}', 24)}"

    # The object.

    def _response(self, status: str, output: list[Json], *, error: Json | None = None) -> Json:
        body, done = self._body, status in ("completed", "incomplete")
        response: Json = {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": bool(body.get("background")),
            "completed_at": self._created + 1 if done else None,
            "error": error,
            "frequency_penalty": 0.0,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": body.get("max_tool_calls"),
            "model": body.get("model"),
            "output": output,
            "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
            "presence_penalty": 0.0,
            "previous_response_id": body.get("previous_response_id"),
            "prompt_cache_key": body.get("prompt_cache_key"),
            "prompt_cache_retention": body.get("prompt_cache_retention"),
            **({"moderation": None} if self._habit.models_rules else {}),
            "reasoning": self._thinking(),
            "safety_identifier": body.get("safety_identifier"),
            "service_tier": "default" if done else body.get("service_tier") or "auto",
            "store": body.get("store") is not False,
            "temperature": _or(body.get("temperature"), 1.0),
            "text": self._text,
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": self._tools,
            "top_logprobs": body.get("top_logprobs") or 0,
            "top_p": _or(body.get("top_p"), 1.0),
            "truncation": body.get("truncation") or "disabled",
            "usage": None,
            "user": body.get("user"),
            "metadata": body.get("metadata") or {},
            **self._habit.response_extra,
        }
        return {name: value for name, value in response.items() if name not in self._habit.response_without}

    def _finished(self, said: Said) -> Json:
        reason = _CUT.get(said.finish)
        response = self._response("completed" if reason is None else "incomplete", self._output(said))
        if reason is not None:
            response["incomplete_details"] = {"reason": reason}
            response["completed_at"] = None
        used = said.usage
        written = {"cache_write_tokens": used.cache_write} if used.cache_write else {}
        response["usage"] = {
            "input_tokens": used.input,
            "input_tokens_details": {"cached_tokens": used.cached, **written},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": min(used.reasoning, used.output)},
            "total_tokens": used.input + used.output,
            **self._habit.response_usage,
        }
        if self._habit.models_rules and "tool_usage" not in self._habit.response_without:
            response["tool_usage"] = _TOOL_USAGE
        return response

    def _thinking(self) -> Json:
        model, summary = str(self._body.get("model")), self._reasoning.get("summary")
        effort = self._reasoning.get("effort")
        if not self._habit.models_rules or not re.match(_REASONING, model):
            return {"effort": effort or self._habit.effort, "summary": summary or self._habit.summary}
        effort = effort or ("none" if re.match(r"gpt-5\.[1-5]", model) else "medium")
        return {"context": "current_turn", "effort": effort, "mode": "standard", "summary": summary}

    def _wordy(self, asked: str | None) -> Json:
        form = self._habit.verbosity
        return {} if form == "none" else {"verbosity": asked or ("medium" if form == "medium" else None)}

    def plain(self, said: Said) -> Json:
        """The body of an answer; one in the background is only queued."""
        response = self._finished(said)
        self._keep(response)
        if self._body.get("background"):
            return {**self._response("queued", []), **self._billing()}
        return {**response, **self._billing()}

    def _billing(self) -> Json:
        told = self._habit.models_rules and "billing" not in self._habit.response_without
        return {"billing": {"payer": "developer"}} if told else {}

    # Output items.

    def _output(self, said: Said) -> list[Json]:
        items = [self._thought(said)] if said.reasoning else []
        if said.text is not None or said.refusal is not None:
            items.append(self._message(said))
        status = "incomplete" if said.finish in _CUT else "completed"
        items += [self._called(index, one, one.text, status) for index, one in enumerate(said.calls)]
        return items

    def _thought(self, said: Said, *, empty: bool = False) -> Json:
        item: Json = {"id": f"rs_{self.ids.hex('reasoning', 48)}", "type": "reasoning"}
        text = "".join(said.reasoning)
        if self._habit.raw_reasoning:
            item["content"] = [] if empty else [{"type": "reasoning_text", "text": text}]
        shown = self._summarised and not empty and not self._habit.raw_reasoning
        item["summary"] = [{"type": "summary_text", "text": text}] if shown else []
        sealed_too = self._habit.models_rules or not empty
        if "reasoning.encrypted_content" in self._include and sealed_too:
            sealed = base64.urlsafe_b64encode(f"{self.ids.hex('sealed', 64)}{len(text)}".encode()).decode()
            item["encrypted_content"] = f"gAAAAA{sealed}"
        if self._habit.reasoning_status or self._habit.raw_reasoning:
            item["status"] = "in_progress" if empty else "completed"
        return item

    @property
    def _summarised(self) -> bool:
        return self._habit.always_summarises or self._reasoning.get("summary") is not None

    def _message(self, said: Said, *, empty: bool = False) -> Json:
        status = "in_progress" if empty else "incomplete" if said.finish in _CUT else "completed"
        part = self._part(said, "".join(said.text or said.refusal or ()))
        return {
            "id": f"msg_{self.ids.hex('message', 48)}",
            "type": "message",
            "status": status,
            "content": [] if empty else [part],
            **({"phase": "final_answer"} if self._phased else {}),
            "role": "assistant",
        }

    @property
    def _phased(self) -> bool:
        pattern = self._habit.phases
        return pattern is not None and re.match(pattern, str(self._body.get("model"))) is not None

    def _part(self, said: Said, text: str) -> Json:
        if said.text is None:
            return {"type": "refusal", "refusal": text}
        logprobs = self._logprobs(said.text) if text else []
        return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}

    def _logprobs(self, pieces: tuple[str, ...]) -> list[Json]:
        if "message.output_text.logprobs" not in self._include:
            return []
        found = []
        for piece in pieces:
            one = {"token": piece, "bytes": list(piece.encode()), "logprob": -0.125}
            found.append({**one, "top_logprobs": [one] * min(1, int(self._body.get("top_logprobs") or 0))})
        return found

    def _called(self, index: int, one: ToolCall, text: str, status: str) -> Json:
        custom = one.name in self._custom
        prefix = "ctc" if custom else "fc"
        space = self._spaces.get(one.name)
        return {
            "id": f"{prefix}_{self.ids.hex(f'call{index}', 48)}",
            "type": "custom_tool_call" if custom else "function_call",
            "status": status,
            "input" if custom else "arguments": text,
            "call_id": one.id,
            "name": one.name,
            **({"namespace": space} if space is not None else {}),
        }

    # Streamed.

    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a stream, numbered from 0."""
        self._count = 0
        if self._body.get("background"):
            yield self._event("response.created", response=self._response("queued", []))
            yield self._event("response.queued", response=self._response("queued", []))
        else:
            yield self._event("response.created", response=self._response("in_progress", []))
        yield self._event("response.in_progress", response=self._response("in_progress", []))
        index = 0
        if said.reasoning:
            yield from self._thinks(said, index)
            index += 1
        if said.text is not None or said.refusal is not None:
            yield from self._says(said, index)
            index += 1
        for number, one in enumerate(said.calls):
            yield from self._calls(said, number, one, index + number)
        response = self._finished(said)
        self._keep(response)
        yield self._event(f"response.{response['status']}", end=True, response=response)
        if self._habit.response_done:
            yield Frame(b"data: [DONE]\n\n", end=True)

    def _thinks(self, said: Said, index: int) -> Iterator[Frame]:
        item = self._thought(said)
        yield self._event("response.output_item.added", output_index=index, item=self._thought(said, empty=True))
        text = "".join(said.reasoning)
        if self._habit.raw_reasoning:
            at = {"item_id": item["id"], "output_index": index, "content_index": 0}
            empty = {"type": "reasoning_text", "text": ""}
            yield self._event("response.content_part.added", **at, part=empty)
            for piece in said.reasoning:
                yield self._event("response.reasoning_text.delta", **at, delta=piece)
            yield self._event("response.reasoning_text.done", **at, text=text)
            yield self._event("response.content_part.done", **at, part={**empty, "text": text})
        elif self._summarised:
            at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
            empty = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", **at, part=empty)
            for piece in said.reasoning:
                yield self._event("response.reasoning_summary_text.delta", **at, delta=piece)
            yield self._event("response.reasoning_summary_text.done", **at, text=text)
            yield self._event("response.reasoning_summary_part.done", **at, part={**empty, "text": text})
        yield self._event("response.output_item.done", output_index=index, item=item)

    def _says(self, said: Said, index: int) -> Iterator[Frame]:
        item = self._message(said)
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield self._event("response.output_item.added", output_index=index, item=self._message(said, empty=True))
        yield self._event("response.content_part.added", **at, part=self._part(said, ""))
        if said.text is not None:
            for piece in said.text:
                yield self._event("response.output_text.delta", **at, delta=piece, logprobs=self._logprobs((piece,)))
            done = {"text": "".join(said.text), "logprobs": self._logprobs(said.text)}
            yield self._event("response.output_text.done", at, done)
        else:
            for piece in said.refusal or ():
                yield self._event("response.refusal.delta", **at, delta=piece)
            yield self._event("response.refusal.done", **at, refusal="".join(said.refusal or ()))
        part = item["content"][0]
        done = {**part, "logprobs": []} if said.text is not None else part
        yield self._event("response.content_part.done", **at, part=done)
        yield self._event("response.output_item.done", output_index=index, item=item)

    def _calls(self, said: Said, number: int, one: ToolCall, index: int) -> Iterator[Frame]:
        status = "incomplete" if said.finish in _CUT else "completed"
        item = self._called(number, one, one.text, status)
        opener = self._called(number, one, "", "in_progress")
        yield self._event("response.output_item.added", output_index=index, item=opener)
        custom = item["type"] == "custom_tool_call"
        name = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        at = {"item_id": item["id"], "output_index": index}
        for piece in fragments(one.text):
            yield self._event(f"{name}.delta", **at, delta=piece)
        yield self._event(f"{name}.done", at, {"input" if custom else "arguments": one.text})
        yield self._event("response.output_item.done", output_index=index, item=item)

    def _event(self, kind: str, *more: Mapping[str, Any], end: bool = False, **members: Any) -> Frame:
        event: Json = {"type": kind, "sequence_number": self._count}
        for one in (*more, members):
            event.update(one)
        if self._obfuscates and kind.endswith(".delta") and "refusal" not in kind:
            event["obfuscation"] = self.ids.alnum(f"padding{self._count}", 1 + self._count % 16)
        self._count += 1
        return Frame(f"event: {kind}\ndata: {dump(event)}\n\n".encode(), end)

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The error event, and the failed response after it."""
        self._count = self.sent
        yield self._event("error", code=problem.code, message=problem.message, param=problem.param)
        error = {"code": problem.code or "server_error", "message": problem.message}
        failed = self._response("failed", [], error=error)
        self._keep(failed)
        yield self._event("response.failed", end=True, response=failed)

    def garbage(self) -> bytes:
        """An event that breaks off in the middle of its JSON."""
        return b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","del\n\n'


def _or(value: object, default: float) -> object:
    return default if value is None else value


def _echo(tool: Json, *, own: bool) -> Json:
    """A tool as the vendor repeats it: what was left open is filled in; by OpenAI for tools of its own, too."""
    if tool.get("type") == "namespace":
        return {**tool, "tools": [{**_echo(one, own=own), **one} for one in tool["tools"]]}
    if tool.get("type") != "function":
        return _hosted(tool) if own else tool
    strict = tool.get("strict")
    shown = {name: value for name, value in tool.items() if name != "defer_loading"}
    return {"description": None, "parameters": None, **shown, "strict": own if strict is None else strict}


_SEARCH: Json = {
    "filters": None,
    "search_context_size": "medium",
    "user_location": {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None},
}
# What the vendor fills in for tools of its own.
_FILLED: dict[str, Json] = {
    "web_search": _SEARCH,
    "web_search_preview": {name: value for name, value in _SEARCH.items() if name != "filters"},
    "file_search": {
        "filters": None,
        "max_num_results": 20,
        "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
    },
    "mcp": {"allowed_tools": None, "headers": None, "server_description": None},
    "tool_search": {"description": None, "parameters": None},
    "image_generation": {
        "background": "auto",
        "model": "gpt-image-1",
        "moderation": "auto",
        "n": 1,
        "output_compression": 100,
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    },
}
# What it does not repeat.
_UNSAID = ("input_fidelity", "partial_images", "external_web_access", "defer_loading")


def _hosted(tool: Json) -> Json:
    given = {name: value for name, value in tool.items() if value is not None and name not in _UNSAID}
    return {**_FILLED.get(tool["type"], {}), **given}
