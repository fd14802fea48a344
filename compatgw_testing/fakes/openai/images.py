"""OpenAI's images: rules, answers plain and streamed, the routes.

A rule of the script may say what the model made of the prompt:
`fake.on(surface="images").reply("a cat, oil on canvas")` is the `revised_prompt`.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing.fakes.answer import Answer, Frame, Json
from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.form import Upload
from compatgw_testing.fakes.media import media_type_of
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import count_of, members_of, refuse
from compatgw_testing.fakes.pictures import jpeg, png, webp
from compatgw_testing.fakes.shape import Bool, Free, Num, Str
from compatgw_testing.request import Message, Request
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Turn

_FORMATS = {"png": png, "jpeg": jpeg, "webp": webp}
FIELDS: dict[str, Shape] = {
    "prompt": Str(low=1, high=32_000),
    "model": Str(),
    "background": Str(("transparent", "opaque", "auto")),
    "moderation": Str(("low", "auto")),
    "n": Num(1, 10, whole=True),
    "output_compression": Num(0, 100, whole=True),
    "output_format": Str(tuple(_FORMATS)),
    "partial_images": Num(0, 3, whole=True),
    "quality": Str(("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")),
    "response_format": Str(("url", "b64_json")),
    "safety_identifier": Str(),
    "size": Str(),
    "stream": Bool(),
    "style": Str(("vivid", "natural")),
    "user": Str(),
}
_EDITS: dict[str, Shape] = {**FIELDS, "image": Free(), "mask": Free(), "input_fidelity": Str(("high", "low"))}
# Of each family: the longest prompt, the most images, the sizes, and the members that only others take.
_FAMILIES: Mapping[str, tuple[int, int, tuple[str, ...], tuple[str, ...]]] = {
    "gpt-image": (32_000, 10, ("auto", "1024x1024", "1536x1024", "1024x1536"), ("response_format", "style")),
    "dall-e-3": (4000, 1, ("1024x1024", "1792x1024", "1024x1792"), ()),
    "dall-e-2": (1000, 10, ("256x256", "512x512", "1024x1024"), ("style",)),
}
_NEW = ("background", "moderation", "output_compression", "output_format", "partial_images", "stream")
_QUALITIES = {"gpt-image": ("auto", "low", "medium", "high"), "dall-e-3": ("standard", "hd"), "dall-e-2": ("standard",)}


def family_of(model: str) -> str | None:
    """`gpt-image`, `dall-e-3`, `dall-e-2`; None for a model of no family that is known."""
    if model.startswith(("gpt-image", "chatgpt-image")):
        return "gpt-image"
    return model if model in _FAMILIES else None


def check_image(body: Any, habit: Habit, *, edits: bool = False) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    body = members_of(body, _EDITS if edits else FIELDS, ("prompt", "image") if edits else ("prompt",), habit)
    if "partial_images" in body and not body.get("stream"):
        raise refuse("'partial_images' is only allowed when 'stream' is enabled.", "partial_images")
    if habit.models_rules:
        _family(body)
    if edits:
        _uploads(body)


def _family(body: Json) -> None:
    model = body.get("model", "dall-e-2")
    family = family_of(model)
    if family is None:
        raise refuse(f"Invalid value: '{model}' is no image model.", "model", "invalid_value")
    longest, most, sizes, others = _FAMILIES[family]
    for name in (*others, *(() if family == "gpt-image" else _NEW)):
        if name in body:
            raise refuse(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if len(body["prompt"]) > longest:
        raise refuse(
            f"Invalid 'prompt': string too long. Expected a maximum length of {longest}, got {len(body['prompt'])}.",
            "prompt",
            "string_above_max_length",
        )
    if body.get("n", 1) > most:
        raise refuse(
            f"Invalid 'n': expected {most} or less with this model, got {body['n']}.", "n", "integer_above_max_value"
        )
    size = body.get("size", sizes[0])
    # From the second generation on any size goes.
    if size not in sizes and not (re.match(r"gpt-image-[2-9]", model) and re.fullmatch(r"[1-9]\d*x[1-9]\d*", size)):
        known = ", ".join(f"'{one}'" for one in sizes)
        raise refuse(f"Invalid value: '{size}'. Supported values are: {known}.", "size", "invalid_value")
    quality = body.get("quality")
    if quality is not None and quality not in (*_QUALITIES[family], *(("xhigh", "max") if "2.5" in model else ())):
        known = ", ".join(f"'{one}'" for one in _QUALITIES[family])
        raise refuse(f"Invalid value: '{quality}'. Supported values are: {known}.", "quality", "invalid_value")
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        raise refuse("Transparent background is not supported for jpeg.", "background", "invalid_value")


def _uploads(body: Json) -> None:
    images = body["image"] if isinstance(body["image"], list) else [body["image"]]
    for number, one in enumerate([*images, *([body["mask"]] if "mask" in body else [])]):
        name = "mask" if number == len(images) else "image"
        if not isinstance(one, Upload):
            raise refuse(f"Invalid '{name}': expected a file.", name, "invalid_type")
        if media_type_of(one.data) not in ("image/png", "image/jpeg", "image/webp"):
            raise refuse(f"Invalid image file or mode for '{name}'.", name, "invalid_image_file")
    if len(images) > 16:
        raise refuse(f"Invalid 'image': expected 16 or less, got {len(images)}.", "image", "array_above_max_length")


class ImagesSurface(Vendor):
    """`POST /images/generations` and `POST /images/edits`."""

    images_routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/images/generations", "_images"),
        Route("POST", "/images/edits", "_edits", "form"),
    )

    def _images(self, call: Call) -> Answer:
        if self.strict:
            check_image(call.body, self.habit)
        return self._painted(call, self.read(lambda: dict(call.body)), "image_generation")

    def _edits(self, call: Call) -> Answer:
        body: Json = call.body
        for name, kind in (("n", int), ("output_compression", int), ("partial_images", int)):
            if isinstance(body.get(name), str) and body[name].isdigit():
                body[name] = kind(body[name])
        if body.get("stream") in ("true", "false"):
            body["stream"] = body["stream"] == "true"
        if self.strict:
            check_image(body, self.habit, edits=True)
        return self._painted(call, body, "image_edit")

    def _painted(self, call: Call, body: Json, kind: str) -> Answer:
        model = str(body.get("model") or "dall-e-2")
        self.require_model(call, model)
        prompt = self.read(lambda: str(body["prompt"]))
        media = tuple(one.content_type for one in _files(body))
        request = Request(
            model=model,
            surface="images",
            messages=(Message(role="user", text=prompt, media=media),),
            stream=bool(body.get("stream")),
            inputs=(prompt,),
            settings={name: body[name] for name in ("n", "size", "quality", "user") if body.get(name) is not None},
            prompt=prompt,
        )

        def make(turn: Turn | None) -> Answer:
            revised = None if turn is None else turn.text
            painter = self.read(lambda: _Painter(self.seed, body, model, prompt, revised))
            if request.stream:
                headers = [*self.stream_headers(), *self.headers(call)]
                return Answer(headers=headers, frames=painter.frames(kind, self.now(call)))
            return self.json_answer(call, painter.plain(self.now(call), f"{self.ids(call).alnum('url', 24)}"))

        return self.serve(call, request, make)


def _files(body: Json) -> list[Upload]:
    given = body.get("image")
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, Upload)]


class _Painter:
    """One request for images."""

    def __init__(self, seed: int | str, body: Json, model: str, prompt: str, revised: str | None) -> None:
        self._body = body
        self._prompt = prompt
        self._revised = revised
        self._old = family_of(model) != "gpt-image"
        self._dalle3 = model == "dall-e-3"
        self._count = count_of(body.get("n"), 10)
        self._form = str(body.get("output_format") or "png")
        self._paint = _FORMATS[self._form]
        size = str(body.get("size") or "1024x1024")
        self._size = "1024x1024" if size == "auto" else size
        width, _, height = self._size.partition("x")
        self._width, self._height = count_of(width, 8192), count_of(height, 8192)
        self._parts = min(3, int(body.get("partial_images") or 0))
        self._seed = seed
        quality = str(body.get("quality") or "auto")
        background = str(body.get("background") or "auto")
        self._told: Json = {
            "background": "opaque" if background == "auto" else background,
            "output_format": self._form,
            "quality": "low" if quality == "auto" else quality,
            "size": self._size,
        }

    def plain(self, created: int, name: str) -> Json:
        """The body of an answer."""
        revised = self._revised or (self._prompt if self._dalle3 else None)
        extra: Json = {"revised_prompt": revised} if revised is not None else {}
        data: list[Json] = []
        for number in range(self._count):
            if self._old and self._body.get("response_format", "url") == "url":
                data.append({**extra, "url": f"https://images.example/{name}-{number}.png"})
            else:
                data.append({**extra, "b64_json": self._picture(number)})
        told = {} if self._old else {**self._told, "usage": self._usage()}
        return {"created": created, "data": data, **told}

    def frames(self, kind: str, created: int) -> Iterator[Frame]:
        """The events of a stream: partial images, then whole ones."""
        told = {**self._told, "created_at": created}
        for number in range(self._count):
            for part in range(self._parts):
                partial = {"b64_json": self._picture(number, part), "partial_image_index": part, **told}
                yield _event(f"{kind}.partial_image", partial)
            whole = {"b64_json": self._picture(number), **told, "usage": self._usage()}
            yield _event(f"{kind}.completed", whole, end=True)

    def _picture(self, number: int, part: int | None = None) -> str:
        text = f"{self._seed}|{self._prompt}|{number}|{part}"
        return base64.b64encode(self._paint(text, self._width, self._height)).decode()

    def _usage(self) -> Json:
        read, painted = len(self._prompt) // 4 + 1, 272 * self._count
        seen = 323 * len(_files(self._body))
        return {
            "input_tokens": read + seen,
            "input_tokens_details": {"text_tokens": read, "image_tokens": seen},
            "output_tokens": painted,
            "total_tokens": read + seen + painted,
        }


def _event(kind: str, members: Json, *, end: bool = False) -> Frame:
    return Frame(f"event: {kind}\ndata: {dump({'type': kind, **members})}\n\n".encode(), end)
