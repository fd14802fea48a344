"""Thought signatures: read from every place, put back on their own part, replaced where history is foreign."""

from __future__ import annotations

from typing import Any

import pytest

from .asking import FLASH, NEW, SIGNATURE, call, calling, contents, result, user

DUMMY = "skip_thought_signature_validator"
HELD = {"google": {"thought_signature": SIGNATURE}}


def parts(message: dict[str, Any], *more: dict[str, Any], model: str = NEW) -> list[dict[str, Any]]:
    """The parts that an assistant's message becomes, in the current turn."""
    found: list[dict[str, Any]] = contents(user("a"), message, *more, model=model)[1]["parts"]
    return found


@pytest.mark.parametrize(
    ("made", "details", "answered"),
    [
        (call("c1", extra_content=HELD), None, "c1"),
        (call("c1"), [{"type": "reasoning.encrypted", "data": SIGNATURE, "id": "c1", "format": "google-gemini-v1", "index": 0}], "c1"),
        ({"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}", "thought_signature": SIGNATURE}}, None, "c1"),
        (call("c1", provider_specific_fields={"thought_signature": SIGNATURE}), None, "c1"),
        (call(f"c1__thought__{SIGNATURE}"), None, f"c1__thought__{SIGNATURE}"),
        (call(f"c1__thought__{SIGNATURE}"), None, "c1"),
    ],
    ids=["extra_content", "reasoning_details", "function", "provider_specific_fields", "id", "id cut by the client"],
)  # fmt: skip
def test_a_signature_is_read_from_every_place_that_has_one(made: dict[str, Any], details: Any, answered: str) -> None:
    """And the id that is sent never carries one."""
    more = {"reasoning_details": details} if details else {}
    found = parts(calling(made, **more), result(answered))

    assert found[0]["thoughtSignature"] == SIGNATURE
    assert found[0]["functionCall"]["id"] == "c1"


def test_the_first_place_wins() -> None:
    """`extra_content` is what we write ourselves."""
    made = call("c1", extra_content=HELD, provider_specific_fields={"thought_signature": "b3RoZXI="})

    assert parts(calling(made), result("c1"))[0]["thoughtSignature"] == SIGNATURE


def test_signatures_stay_with_their_own_call() -> None:
    """Of parallel calls the one that had it gets it back, found by its id."""
    details = [{"type": "reasoning.encrypted", "data": SIGNATURE, "id": "c2", "format": "google-gemini-v1", "index": 0}]
    found = parts(calling(call("c1"), call("c2"), reasoning_details=details), result("c1"), result("c2"), model=FLASH)

    assert [part.get("thoughtSignature") for part in found] == [None, SIGNATURE]


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "reasoning.text", "text": "t", "signature": SIGNATURE, "id": "c1", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": SIGNATURE, "id": "c1"},
        {"type": "reasoning.encrypted", "data": 3, "id": "c1", "format": "google-gemini-v1"},
        "nonsense",
    ],
)
def test_signatures_of_other_vendors_are_never_sent(entry: Any) -> None:
    """A wrong signature is an error, a missing one is not."""
    found = parts(calling(call("c1"), reasoning_details=[entry]), result("c1"), model=FLASH)

    assert "thoughtSignature" not in found[0]


def test_a_text_gets_its_signature_back() -> None:
    """On its last part, or on an empty one when it came with none."""
    assert parts({"role": "assistant", "content": "b", "extra_content": HELD}) == [
        {"text": "b", "thoughtSignature": SIGNATURE}
    ]
    assert parts({"role": "assistant", "content": "", "extra_content": HELD}) == [
        {"text": "", "thoughtSignature": SIGNATURE}
    ]
    details = [{"type": "reasoning.encrypted", "data": SIGNATURE, "format": "google-gemini-v1", "index": 0}]
    assert (
        parts({"role": "assistant", "content": "b", "reasoning_details": details})[0]["thoughtSignature"] == SIGNATURE
    )


def test_signed_text_is_not_joined_with_other_text() -> None:
    """Neighbouring messages stay parts of their own."""
    found = contents(
        user("a"), {"role": "assistant", "content": "b", "extra_content": HELD}, {"role": "assistant", "content": "c"}
    )

    assert found[1]["parts"] == [{"text": "b", "thoughtSignature": SIGNATURE}, {"text": "c"}]


def test_foreign_calls_of_the_current_turn_get_the_dummy_on_the_first_of_each_step() -> None:
    """Gemini 3 refuses the whole request otherwise."""
    found = contents(
        user("a"), calling(call("c1"), call("c2")), result("c1"), result("c2"), calling(call("c3"), content="And:"), result("c3")
    )  # fmt: skip
    marks = [[part.get("thoughtSignature") for part in c["parts"]] for c in found if c["role"] == "model"]

    assert marks == [[DUMMY, None], [None, DUMMY]]


def test_own_calls_keep_their_signature_beside_foreign_ones() -> None:
    """A step that has one needs no dummy."""
    found = contents(
        user("a"), calling(call("c1")), result("c1"), calling(call("c2", extra_content=HELD)), result("c2")
    )

    assert [c["parts"][0].get("thoughtSignature") for c in found if c["role"] == "model"] == [DUMMY, SIGNATURE]


def test_earlier_turns_and_other_models_need_no_dummy() -> None:
    """The check begins with what the user said last; 2.5 and image models do not check at all."""
    earlier = [user("a"), calling(call("c1")), result("c1"), {"role": "assistant", "content": "b"}, user("c")]
    current = [user("a"), calling(call("c1")), result("c1")]

    assert all("thoughtSignature" not in p for c in contents(*earlier) for p in c["parts"])
    for model in (FLASH, "gemini-2.0-flash", "gemini-3-pro-image-preview"):
        assert all("thoughtSignature" not in p for c in contents(*current, model=model) for p in c["parts"])


def test_what_the_user_says_beside_results_may_not_begin_a_new_turn() -> None:
    """Where both share a content, the calls before it get the dummy as well: it is never wrong."""
    found = contents(user("a"), calling(call("c1")), result("c1"), user("quick"))

    assert found[1]["parts"][0]["thoughtSignature"] == DUMMY
