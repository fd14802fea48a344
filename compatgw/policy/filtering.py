"""What speaks against a candidate: the caller's rights, what the request needs, what the caller asks for.

A need that the request only shows takes out what is known not to meet it; a `require_*` takes out whatever is
not known to. The catalogue knows what a model takes in where it has a row for it. That a model calls no tools,
or follows no JSON schema, it does not know: there only a provider's quirks speak for sure.

What does not live here: what candidates there are (`directory.py`), whether they answer at the moment (`plan.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.policy import access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.policy.directory import Candidate, Deployment
    from compatgw.policy.plan import Question, Reason


def against(candidate: Candidate, question: Question) -> tuple[Reason, str] | None:
    """The first thing that speaks against `candidate`, None when nothing does."""
    if not access.sees(question.caller, candidate.names):
        return "not_visible", "the team, which does not see it,"
    if not access.may_use(question.caller, candidate.names):
        return "not_for_this_key", "this key, which may not use it,"
    if not has_endpoint(candidate.deployment, question.codec):
        return "no_endpoint", f"the endpoint '{question.codec}', which its provider does not have,"
    return _lacks_ability(candidate, question) or _lacks_input(candidate, question) or _below_tier(candidate, question)


def has_endpoint(deployment: Deployment, codec: str) -> bool:
    """True when calls of this kind can go to `deployment` at all."""
    found = getattr(deployment.dialect, codec)
    return found is not None and bool(found.serves(deployment.quirks))


def _lacks_ability(candidate: Candidate, question: Question) -> tuple[Reason, str] | None:
    options, needs, known = question.options, question.needs, candidate.known
    quirks = candidate.deployment.quirks
    if options.require_tools and not (quirks.tools and known is not None and known.tools):
        return "no_tools", "require_tools"
    # Under "drop" the caller has said that it would rather go without.
    refuses = question.unsupported != "drop"
    if needs.tools and not quirks.tools and refuses:
        return "no_tools", "a tool in the request"
    # A JSON object and an instruction may stand in for it.
    emulated = quirks.json_object and question.unsupported != "reject"
    if needs.json_schema and refuses and not (quirks.json_schema or emulated):
        return "no_json_schema", "a JSON schema in the request"
    if options.require_streaming and not (known is not None and known.streaming):
        return "no_streaming", "require_streaming"
    if needs.streaming and known is not None and not known.streaming:
        return "no_streaming", "the stream that is asked for"
    return None


def _lacks_input(candidate: Candidate, question: Question) -> tuple[Reason, str] | None:
    options, needs = question.options, question.needs
    if options.require_vision and not candidate.takes("image"):
        return "no_vision", "require_vision"
    if needs.images and not question.vision_helper and candidate.takes("image") is False:
        return "no_vision", "an image in the request"
    if needs.pdfs and candidate.takes("pdf") is False:
        return "no_pdf", "a PDF in the request"
    if needs.audio and candidate.takes("audio") is False:
        return "no_audio", "audio in the request"
    if candidate.context is not None and needs.least > candidate.context:
        return "context_too_small", f"the prompt, of about {needs.input} tokens,"
    return None


TIERS: Mapping[str | None, int] = MappingProxyType({"fast": 0, "moderate": 1, "slow": 2, None: 3})
"""Speed tiers, the fastest first; one that is not known is the last."""


def _below_tier(candidate: Candidate, question: Question) -> tuple[Reason, str] | None:
    options = question.options
    if options.trust_level > (candidate.trust or 0):
        return ("trust_unknown" if candidate.trust is None else "trust_too_low"), f"trust_level {options.trust_level}"
    if options.speed is not None and options.speed != "slow":
        tier = candidate.known.speed if candidate.known is not None else None
        if TIERS[tier] > TIERS[options.speed]:
            return ("speed_unknown" if tier is None else "too_slow"), f"speed '{options.speed}'"
    return None
