"""OpenAI's moderations: rules, answers, the route.

A text is flagged for words of a short list, or as a rule of the script says:
`fake.on(surface="moderations", input=contains("x")).reply("violence, hate")` flags these
categories, `.reply("none")` flags none, `.refuse()` flags `illicit`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing.fakes.answer import Answer, Json
from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import members_of, refuse
from compatgw_testing.fakes.shape import Arr, Either, Free, Obj, Str, Tagged
from compatgw_testing.request import Request

if TYPE_CHECKING:
    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Turn

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
# What an image is judged for.
_SEEN = ("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic")
_WORDS = {
    "violence": r"\b(?:kill|murder|stab|shoot|strangle|bomb)",
    "violence/graphic": r"\b(?:gore|dismember|behead)",
    "harassment": r"\b(?:idiot|moron|worthless)\b",
    "harassment/threatening": r"\bi(?:'ll| will) (?:kill|hurt|find) you\b",
    "hate": r"\bsubhuman",
    "illicit": r"\b(?:launder money|pick a lock|counterfeit)",
    "self-harm": r"\b(?:suicide|hurt myself|kill myself)\b",
    "self-harm/intent": r"\bi want to (?:die|kill myself)\b",
    "sexual": r"\b(?:porn|erotic)",
}
_PART = Tagged(
    "type",
    {
        "text": Obj({"type": Str(), "text": Str()}, ("text",)),
        "image_url": Obj({"type": Str(), "image_url": Obj({"url": Str()}, ("url",))}, ("image_url",)),
    },
)
FIELDS: dict[str, Shape] = {
    "input": Either({"string": Str(), "array": Arr(Either({"string": Str(), "object": _PART}), low=1)}),
    "model": Str(),
    "user": Free(),
}


def check_moderation(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    body = members_of(body, FIELDS, ("input",), habit)
    model = body.get("model", "omni-moderation-latest")
    parts = [one for one in body["input"] if isinstance(one, dict)] if isinstance(body["input"], list) else []
    if parts and len(parts) != len(body["input"]):
        raise refuse("'input' has to hold either texts or parts.", "input", "invalid_type")
    if habit.models_rules and not re.match("(?:omni|text)-moderation", model):
        raise refuse(f"Invalid value for 'model' = {model}. It is no moderation model.", "model")
    if parts and model.startswith("text-moderation"):
        raise refuse("This model takes text only; use 'omni-moderation-latest' for images.", "input", "invalid_value")
    if sum(one["type"] == "image_url" for one in parts) > 1:
        raise refuse("Too many images: at most 1 is supported.", "input", "invalid_value")


class ModerationsSurface(Vendor):
    """`POST /moderations`."""

    moderations_routes: ClassVar[tuple[Route, ...]] = (Route("POST", "/moderations", "_moderations"),)

    def _moderations(self, call: Call) -> Answer:
        if self.strict:
            check_moderation(call.body, self.habit)
        model = self.read(lambda: str(call.body.get("model") or "omni-moderation-latest"))
        self.require_model(call, model)
        given = self.read(lambda: call.body["input"])
        judged = self.read(lambda: _judged(given))
        request = Request(model=model, surface="moderations", inputs=tuple(text for text, _ in judged), prompt=given)

        def make(turn: Turn | None) -> Answer:
            results = [
                _result(self._flags(call, turn, text), images=images, omni=not model.startswith("text-"))
                for text, images in judged
            ]
            shown = model.replace("-latest", "-007" if model.startswith("text-") else "-2024-09-26")
            id = f"modr-{self.ids(call).alnum('id', 29)}"
            return self.json_answer(call, {"id": id, "model": shown, "results": results})

        return self.serve(call, request, make)

    def _flags(self, call: Call, turn: Turn | None, text: str) -> set[str]:
        """The categories that a text is flagged for."""
        if turn is None:
            return {name for name, words in _WORDS.items() if re.search(words, text, re.IGNORECASE)}
        if turn.refusal is not None:
            return {"illicit"}
        named = {one for one in re.split(r"[,\s]+", turn.text or "") if one and one != "none"}
        if unknown := sorted(named - set(CATEGORIES)):
            complaint = f"call #{call.ordinal}: {unknown[0]!r} is no category; there are {', '.join(CATEGORIES)}"
            self.complaints.append(complaint)
            raise refuse(f"compatgw_testing: {complaint}", None, "bad_script")
        return named


def _judged(given: Any) -> list[tuple[str, bool]]:
    """What gets a result of its own: its text, and whether an image is there."""
    if isinstance(given, str):
        return [(given, False)]
    if all(isinstance(one, str) for one in given):
        return [(one, False) for one in given]
    text = "\n".join(one["text"] for one in given if one["type"] == "text")
    return [(text, any(one["type"] == "image_url" for one in given))]


def _result(flags: set[str], *, images: bool, omni: bool) -> Json:
    known = CATEGORIES if omni else [name for name in CATEGORIES if not name.startswith("illicit")]
    result: Json = {
        "flagged": bool(flags),
        "categories": {name: name in flags for name in known},
        "category_scores": {name: 0.97 if name in flags else 0.0001 for name in known},
    }
    if omni:
        result["category_applied_input_types"] = {
            name: ["text", "image"] if images and name in _SEEN else ["text"] for name in known
        }
    return result
