"""A hub request becomes the path and body of `generateContent` or `streamGenerateContent`.

Gemini answers 400 to members that it does not know, so the body is built anew. What is
emulated: a JSON format beside tools, custom tools, the oldest form of functions, and
`parallel_tool_calls: false`, for which the decoder keeps the first call of an answer. The
last is not reported as dropped: the caller gets what it asked for.

What does not live here: messages (`messages.py`), tools and formats (`tools.py`), thinking
(`thinking.py`), Gemini's own members (`native.py`), answers (`response.py`, `stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import Leftovers, Outgoing
from compatgw.dialects.gemini import messages, models, native, thinking, tools
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target
    from compatgw.dialects.gemini.models import Traits
    from compatgw.wire.chat import ChatRequest

MAX_STOPS = 5
_MOST = 2**31 - 1
_PENALTY_END = 1.99  # the range is half open: 2 itself is refused
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority", "fast": "priority"}
_MODALITIES = frozenset({"text", "image"})
_SPOKEN = frozenset({"wav", "pcm16"})
# Members that some function below reads; whatever else a request holds is a hint that is left out.
READ = frozenset(
    {
        *native.READ, *thinking.READ,
        "audio", "frequency_penalty", "function_call", "functions", "image_config", "logprobs",
        "max_completion_tokens", "max_tokens", "messages", "modalities", "model", "n", "parallel_tool_calls",
        "presence_penalty", "response_format", "seed", "service_tier", "stop", "stream", "stream_options",
        "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "web_search_options",
    }
)  # fmt: skip


def encode(request: ChatRequest, target: Target) -> Outgoing:
    """The request as Gemini takes it.

    Raises:
        InvalidRequest: Results that do not pair with calls, media that is not what it says.
        UnsupportedParameter: Something that would change what the caller gets cannot be carried.
    """
    members = cast("dict[str, Any]", request)
    traits = models.traits(target)
    left = Leftovers(target)
    own = native.read(members, left)
    contents = messages.translate(members["messages"], left, traits)
    chosen, memo = tools.collect(members, _built_in(members, own, left, traits), left, traits)
    config, chosen, noted = tools.formatted(members.get("response_format"), chosen, left, traits)
    memo |= noted
    if own.include:
        memo["include"] = own.include
    _limits(members, config, left, target)
    _sampling(members, config, left, traits)
    _modalities(members, config, memo, left, traits)
    if contents.resolution is not None:
        config["mediaResolution"] = contents.resolution
    config |= {name: value for name, value in own.members.items() if name in native.GENERATION}
    config.pop("thinkingConfig", None)
    if thought := thinking.config(members, own.members.get("thinkingConfig"), left, traits):
        config["thinkingConfig"] = thought
    body: dict[str, Any] = {"contents": contents.contents}
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    body |= tools.written(chosen, traits)
    if config:
        body["generationConfig"] = config
    _around(members, body, own, left, traits)
    left.semantic("n", members.get("n"), why="Send the request once for each answer.")
    for name, value in members.items():
        if name not in READ:
            left.hint(name, value)
    return Outgoing(
        path=models.path(target, "streamGenerateContent?alt=sse" if members.get("stream") else "generateContent"),
        body=orjson.dumps(body),
        dropped=tuple(left.dropped),
        clamped=tuple(left.clamped),
        memo=memo,
    )


def _built_in(
    members: Mapping[str, Any], own: native.Native, left: Leftovers, traits: Traits
) -> list[Mapping[str, Any]]:
    """Built-in tools: the caller's own, and the search that `web_search_options` asks for."""
    found: list[Mapping[str, Any]] = [tool for tool in own.members.get("tools", ()) if isinstance(tool, dict)]
    search = members.get("web_search_options")
    if search is None:
        return found
    if not traits.search:
        left.semantic("web_search_options", True, why="This model does not search.")
        return found
    for name, value in search.items():
        left.hint(f"web_search_options.{name}", value)
    if not any(traits.search in tool for tool in found):
        found.append({traits.search: {}})
    return found


# --- generationConfig ------------------------------------------------------------------------


def _limits(members: Mapping[str, Any], config: dict[str, Any], left: Leftovers, target: Target) -> None:
    limit = members.get("max_completion_tokens", members.get("max_tokens"))
    if limit is not None:
        most = min(_MOST, target.max_output or _MOST)
        if limit > most:
            left.clamp("max_tokens", most)
        config["maxOutputTokens"] = min(limit, most)
    stops = members.get("stop")
    stops = [stops] if isinstance(stops, str) else stops
    stops = [stop for stop in stops or () if stop]
    if len(stops) > MAX_STOPS:
        left.semantic("stop", stops, why=f"At most {MAX_STOPS} stop sequences can be sent.")
    if stops:
        config["stopSequences"] = stops[:MAX_STOPS]


def _sampling(members: Mapping[str, Any], config: dict[str, Any], left: Leftovers, traits: Traits) -> None:
    for name, sent_as in (("temperature", "temperature"), ("top_p", "topP")):
        if members.get(name) is not None:
            config[sent_as] = members[name]
    top_k = members.get("top_k")
    if top_k is not None:
        if isinstance(top_k, bool) or not isinstance(top_k, int | float):
            raise InvalidRequest("'top_k' must be a whole number.", param="top_k", code="invalid_type")
        if top_k >= 1:  # 0 and -1 are other servers' words for no limit
            config["topK"] = int(min(top_k, _MOST))
    seed = members.get("seed")
    if seed is not None:
        config["seed"] = seed % (_MOST + 1)
        if config["seed"] != seed:
            left.clamp("seed", config["seed"])
    for name, sent_as in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        penalty = members.get(name)
        if not penalty:
            continue
        if not traits.penalties:
            left.hint(name, penalty)
            continue
        config[sent_as] = min(penalty, _PENALTY_END)
        if config[sent_as] != penalty:
            left.clamp(name, config[sent_as])
    if members.get("logprobs") and not traits.logprobs:
        left.semantic("logprobs", True, why="This model does not give log probabilities.")
    elif members.get("logprobs"):
        config["responseLogprobs"] = True
        if members.get("top_logprobs"):
            config["logprobs"] = members["top_logprobs"]


def _modalities(
    members: Mapping[str, Any], config: dict[str, Any], memo: dict[str, Any], left: Leftovers, traits: Traits
) -> None:
    wanted = [word.lower() for word in members.get("modalities") or ()]
    image = members.get("image_config")
    if image is not None and not isinstance(image, dict):
        raise InvalidRequest("'image_config' must be an object.", param="image_config", code="invalid_type")
    if image:
        renamed = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}
        config["imageConfig"] = {sent_as: image[name] for name, sent_as in renamed.items() if name in image}
    if traits.speech:
        config["responseModalities"] = ["AUDIO"]  # it has no other
        _voice(members, config, memo, left)
        return
    odd = [word for word in wanted if word not in _MODALITIES]
    if odd:
        left.semantic("modalities", members["modalities"], why=f"This model answers with text or images, not {odd[0]}.")
    left.hint("audio", members.get("audio"))
    kept = [word.upper() for word in wanted if word in _MODALITIES]
    if kept and kept != ["TEXT"]:
        config["responseModalities"] = kept


def _voice(members: Mapping[str, Any], config: dict[str, Any], memo: dict[str, Any], left: Leftovers) -> None:
    audio = members.get("audio") or {}
    form = audio.get("format", "pcm16" if members.get("stream") else "wav")
    if form not in _SPOKEN or (form == "wav" and members.get("stream")):
        raise left.refusal("audio.format", "Spoken answers come as 'wav', and as 'pcm16' when they are streamed.")
    memo["audio"] = form
    voice = audio.get("voice")
    voice = voice.get("id") if isinstance(voice, dict) else voice
    if isinstance(voice, str):
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}


# --- around it -------------------------------------------------------------------------------


def _around(
    members: Mapping[str, Any], body: dict[str, Any], own: native.Native, left: Leftovers, traits: Traits
) -> None:
    body |= {name: value for name, value in own.members.items() if name in native.AROUND}
    if traits.safety_settings and "safetySettings" not in body:
        body["safetySettings"] = list(traits.safety_settings)
    if "cachedContent" in body:
        why = "The cached content holds its own; leave it out beside 'cached_content'."
        for name, member in (("systemInstruction", "messages"), ("tools", "tools"), ("toolConfig", "tool_choice")):
            if name in body:
                left.semantic(member, True, why=why)
                del body[name]
    tier = members.get("service_tier")
    if tier in _TIERS:
        body["serviceTier"] = _TIERS[tier]
    else:
        left.hint("service_tier", tier)
