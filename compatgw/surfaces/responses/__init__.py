"""OpenAI's Responses as a surface.

What does not live here: keeping responses, the background (`flow/conversations.py`), HTTP (`web/`).
"""

from __future__ import annotations

from compatgw.surfaces.base import Surface, envelope
from compatgw.surfaces.responses.face import ResponsesFace
from compatgw.surfaces.responses.request import SURFACE, parse

RESPONSES = Surface(name=SURFACE, scope="responses", codec="chat", parse=parse, face=ResponsesFace, envelope=envelope)

__all__ = ["RESPONSES", "ResponsesFace", "parse"]
