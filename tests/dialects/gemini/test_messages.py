"""Messages as contents: the ten rules of roles and parts, results behind their calls, media."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.gemini.messages import sent_name
from compatgw.errors import InvalidRequest, UnsupportedParameter

from .asking import FLASH, HI, NEW, PNG, call, calling, contents, result, send, sent, user

SYSTEM = {"role": "system", "content": "Be brief."}


def response(content: Any, **more: Any) -> dict[str, Any]:
    """What a tool's result becomes."""
    found = contents(user("a"), calling(call("c1")), {**result("c1", content), **more})
    answer: dict[str, Any] = found[2]["parts"][0]["functionResponse"]["response"]
    return answer


# --- roles -----------------------------------------------------------------------------------


def test_system_and_developer_messages_become_the_instruction() -> None:
    """From anywhere, in order, joined by blank lines; contents hold the rest."""
    body = sent(
        messages=[
            SYSTEM,
            *HI,
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Now."}]},
        ]
    )

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief.\n\nBe kind.\n\nNow."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_lone_instruction_is_said_by_the_user() -> None:
    """Without contents a request is refused."""
    body = sent(messages=[SYSTEM])

    assert "systemInstruction" not in body
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Be brief."}]}]


def test_models_without_instruction_hear_it_from_the_user() -> None:
    """Gemma knows no `systemInstruction`."""
    assert contents(SYSTEM, *HI, model="gemma-3-27b-it") == [
        {"role": "user", "parts": [{"text": "Be brief."}, {"text": "Hi"}]}
    ]


def test_neighbours_of_one_role_are_one_content() -> None:
    """Parts are put behind each other, never joined into one."""
    found = contents(user("a"), user("b"), {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"})

    assert found == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]},
    ]


def test_messages_that_say_nothing_are_left_out() -> None:
    """Empty text is refused; what stood around it is one turn."""
    found = contents(
        user("a"), {"role": "assistant", "content": ""}, user(""), user([{"type": "text", "text": ""}]), user("b")
    )

    assert found == [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]


def test_a_request_that_says_nothing_at_all_says_a_space() -> None:
    """Contents must not be empty."""
    assert contents(user("")) == [{"role": "user", "parts": [{"text": " "}]}]


def test_a_history_may_begin_with_the_assistants_text() -> None:
    """That is legal as it is."""
    assert [c["role"] for c in contents({"role": "assistant", "content": "a"}, user("b"))] == ["model", "user"]


def test_a_call_is_never_the_first_thing_said() -> None:
    """A blank of the user's goes before it."""
    found = contents(calling(call("c1")), result("c1"))

    assert found[0] == {"role": "user", "parts": [{"text": " "}]}
    assert [c["role"] for c in found] == ["user", "model", "user"]


def test_names_of_speakers_are_left_out_and_reported() -> None:
    """Gemini knows two speakers."""
    body, outgoing = send({"messages": [{**user("a"), "name": "Ann"}]})

    assert body["contents"] == [{"role": "user", "parts": [{"text": "a"}]}]
    assert outgoing.dropped == ("messages.name",)


def test_refusals_are_text_and_reasoning_is_left_out() -> None:
    """A thought without its signature is worthless there."""
    found = contents(
        user("a"),
        {"role": "assistant", "content": None, "refusal": "No.", "reasoning_content": "hm"} | {"content": ""},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "x"}, {"type": "refusal", "refusal": "Never."}],
        },
        user("b"),
    )

    assert found[1] == {"role": "model", "parts": [{"text": "No."}, {"text": "Never."}]}


# --- calls and results -----------------------------------------------------------------------


def test_results_of_one_turn_are_one_content_in_the_order_of_the_calls() -> None:
    """OpenAI has a message for each, in any order."""
    found = contents(
        user("a"),
        calling(call("c1"), call("c2", "time", "{}"), content="Let me see."),
        result("c2", "noon"),
        result("c1"),
    )

    assert found[1]["parts"][0] == {"text": "Let me see."}
    assert [p["functionCall"]["name"] for p in found[1]["parts"][1:]] == ["weather", "time"]
    assert found[2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "4 C"}}},
            {"functionResponse": {"id": "c2", "name": "time", "response": {"output": "noon"}}},
        ],
    }


def test_a_missing_result_is_made_up_as_an_error() -> None:
    """As many results as calls are wanted."""
    found = contents(user("a"), calling(call("c1"), call("c2")), result("c2"), user("b"))

    assert found[2]["parts"][0]["functionResponse"] == {
        "id": "c1",
        "name": "weather",
        "response": {"error": "no result"},
    }


def test_steps_of_calls_stay_steps() -> None:
    """A second call after a result is a turn of its own."""
    found = contents(
        user("a"),
        calling(call("c1")),
        result("c1"),
        calling(call("c2")),
        result("c2"),
        {"role": "assistant", "content": "b"},
    )

    assert [c["role"] for c in found] == ["user", "model", "user", "model", "user", "model"]


def test_a_result_that_comes_late_goes_behind_its_call() -> None:
    """The content directly after the calls has to hold it."""
    found = contents(user("a"), calling(call("c1")), user("b"), result("c1"), model=FLASH)

    assert [list(c["parts"][0]) for c in found] == [["text"], ["functionCall"], ["functionResponse"], ["text"]]


def test_ids_that_repeat_over_turns_pair_with_the_latest_open_call() -> None:
    """Some servers count their calls anew in each answer, some give none at all."""
    for id in ("call_0", ""):
        found = contents(user("a"), calling(call(id)), result(id, "1"), calling(call(id)), result(id, "2"))
        results = [c["parts"][0]["functionResponse"]["response"] for c in found if "functionResponse" in c["parts"][0]]
        assert results == [{"output": "1"}, {"output": "2"}]


@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([result("gone"), *HI], "messages[0].tool_call_id", "no tool call"),
        ([*HI, calling(call("c1")), result("c1"), result("c1")], "messages[3].tool_call_id", "answered before"),
        ([*HI, {"role": "function", "name": "gone", "content": "1"}], "messages[1].name", "no tool call"),
    ],
)
def test_a_result_without_its_call_is_refused(messages: list[Any], param: str, words: str) -> None:
    """Without the call there is no name to send."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        sent(messages=messages)

    assert caught.value.param == param


def test_what_the_user_says_beside_results_depends_on_the_generation() -> None:
    """Before Gemini 3 results stand alone in their content."""
    history = [user("a"), calling(call("c1")), result("c1"), user("b")]

    assert [len(c["parts"]) for c in contents(*history, model=FLASH)] == [1, 1, 1, 1]
    assert [len(c["parts"]) for c in contents(*history, model=NEW)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"temp": 4}', {"temp": 4}),
        ("{}", {}),
        ("4 C", {"output": "4 C"}),
        ("", {"output": ""}),
        ("4", {"output": "4"}),
        ("null", {"output": "null"}),
        ('"x"', {"output": '"x"'}),
        ("[1, 2]", {"output": [1, 2]}),
        ('{"id": 9007199254740993}', {"output": '{"id": 9007199254740993}'}),
        ('{"id": 99999999999999999999999}', {"output": '{"id": 99999999999999999999999}'}),
        ('{"x": 1.5, "y": true, "z": 9007199254740992}', {"x": 1.5, "y": True, "z": 9007199254740992}),
        ('{"x": NaN}', {"output": '{"x": NaN}'}),
        ('{"x":' * 60 + "1" + "}" * 60, {"output": '{"x":' * 60 + "1" + "}" * 60}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "a\nb"}),
    ],
)
def test_a_result_is_always_an_object(content: Any, expected: dict[str, Any]) -> None:
    """What is none is wrapped; numbers that would lose digits, and depths beyond the protocol's, stay text."""
    assert response(content) == expected


def test_a_result_marked_as_an_error_says_so() -> None:
    """`is_error` is not OpenAI's, but some clients have it."""
    assert response("boom", is_error=True) == {"error": "boom"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), ("{}", {}), ('{"a":1}', {"a": 1}), ("[1]", {"_raw": "[1]"}), ("{broken", {"_raw": "{broken"})],
)
def test_arguments_are_an_object_whatever_the_history_holds(arguments: str, expected: dict[str, Any]) -> None:
    """A history must not fail for what some model once wrote."""
    found = contents(user("a"), calling(call("c1", arguments=arguments)), result("c1"))

    assert found[1]["parts"][0]["functionCall"]["args"] == expected


def test_the_oldest_form_of_calls_pairs_by_name() -> None:
    """`function_call` and role `function` have no ids."""
    found = contents(
        user("a"),
        {"role": "assistant", "function_call": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
        {"role": "function", "name": "weather", "content": "4 C"},
        model=FLASH,
    )

    assert found[1:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "4 C"}}}]},
    ]


def test_custom_calls_have_one_argument() -> None:
    """They are sent as functions."""
    made = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}

    assert contents(user("a"), calling(made), result("c1"))[1]["parts"][0]["functionCall"] == {
        "id": "c1",
        "name": "sql",
        "args": {"input": "select 1"},
    }


@pytest.mark.parametrize("name", ["a b", "9lives", "-x", "naïve", "x" * 200, ""])
def test_stand_ins_for_names_are_stable_and_legal(name: str) -> None:
    """And differ for different names."""
    stand_in = sent_name(name, 64)

    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", stand_in)
    assert stand_in == sent_name(name, 64) != sent_name(f"{name}!", 64)


def test_names_that_are_refused_get_a_stand_in_everywhere() -> None:
    """The same one in the declaration, in calls and in results."""
    odd = "2fa check"
    tool = {"type": "function", "function": {"name": odd}}
    body, outgoing = send({"messages": [user("a"), calling(call("c1", odd)), result("c1")], "tools": [tool]})
    name = body["tools"][0]["functionDeclarations"][0]["name"]

    assert name != odd
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == name
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == name
    assert outgoing.memo == {"names": {name: odd}}


# --- media -----------------------------------------------------------------------------------


def part(content: dict[str, Any], model: str = NEW) -> dict[str, Any]:
    """What one part of a user's content becomes."""
    found = contents(user([content]), model=model)[0]["parts"]
    assert len(found) == 1
    one: dict[str, Any] = found[0]
    return one


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (image(f"data:image/png;base64,{PNG}"), {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (image(f"data:;base64,{PNG}"), {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (image(f"data:image/jpeg;base64,{PNG}"), {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        ),
        (
            {"type": "file", "file": {"data": "YSxi", "media_type": "text/csv"}},
            {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
            {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=abc"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=abc", "mimeType": "video/mp4"}},
        ),
        (
            image("https://generativelanguage.googleapis.com/v1beta/files/abc"),
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
        (image("gs://bucket/a.webp"), {"fileData": {"fileUri": "gs://bucket/a.webp", "mimeType": "image/webp"}}),
        (
            {"type": "file", "file": {"file_id": "files/abc-1"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-1"}},
        ),
        (
            {"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}},
            {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_media_goes_inline_or_by_a_reference_that_gemini_resolves(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Bytes are re-encoded nowhere; the type is what they are."""
    assert part(given) == expected


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (image("https://example.com/a.png"), "messages[0].content[0].image_url.url"),
        (image("http://youtube.com.evil.example/watch?v=1"), "messages[0].content[0].image_url.url"),
        (
            {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
            "messages[0].content[0].video_url.url",
        ),
        ({"type": "file", "file": {"file_id": "file-abc"}}, "messages[0].content[0].file.file_id"),
        ({"type": "file", "file": {"file_data": "https://example.com/a.pdf"}}, "messages[0].content[0].file.file_data"),
    ],
)
def test_other_links_are_refused_with_their_path(given: dict[str, Any], param: str) -> None:
    """Nothing is fetched here, and Gemini fetches only its own."""
    with pytest.raises(UnsupportedParameter) as caught:
        part(given)

    assert (caught.value.param, caught.value.status) == (param, 400)


def test_a_model_that_fetches_links_is_given_them() -> None:
    """Configuration says which."""
    body = send({"messages": [user([image("https://example.com/a.png")])]}, traits={"links": True})[0]

    assert body["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "https://example.com/a.png", "mimeType": "image/png"}}
    ]


def test_media_that_is_none_is_refused_with_its_path() -> None:
    """The vendor's own sentence would name another place."""
    with pytest.raises(InvalidRequest) as caught:
        part(image("data:image/png;base64,*"))

    assert caught.value.param == "messages[0].content[0].image_url.url"


def test_detail_is_a_parts_resolution_or_the_requests() -> None:
    """Gemini 3 has it for each part; before, it counts only when all images agree."""
    low, high = (
        image(f"data:image/png;base64,{PNG}", detail="low"),
        image(f"data:image/png;base64,{PNG}", detail="high"),
    )

    assert part(low)["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}
    assert part(high)["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"}
    assert sent(FLASH, messages=[user([low, low])])["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert "generationConfig" not in sent(FLASH, messages=[user([low, high])])


def test_media_of_a_result_goes_into_it_or_behind_it() -> None:
    """Inside from Gemini 3 on; before, the user shows it in the next content."""
    content = [{"type": "text", "text": '{"ok":true}'}, image(f"data:image/png;base64,{PNG}", detail="low")]
    history = [user("a"), calling(call("c1")), result("c1", content)]
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}

    assert contents(*history)[2]["parts"][0]["functionResponse"]["parts"] == [inline]
    older = contents(*history, model=FLASH)
    assert older[2]["parts"] == [{"functionResponse": {"id": "c1", "name": "weather", "response": {"ok": True}}}]
    assert older[3] == {"role": "user", "parts": [{"text": "What the function weather returned:"}, inline]}


def test_images_that_the_model_drew_go_back_to_it() -> None:
    """With their signatures, for the next stroke."""
    drawn = {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{PNG}"},
        "index": 0,
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }
    found = contents(
        user("a"), {"role": "assistant", "content": "There.", "images": [drawn, {"odd": 1}, "x"]}, user("bluer")
    )

    assert found[1]["parts"] == [
        {"text": "There."},
        {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "c2ln"},
    ]


# --- what holds for any history ----------------------------------------------------------------

texts = st.sampled_from(["", "a", "b"])
ids = st.sampled_from(["x", "y", "z"])
turns = st.one_of(
    st.builds(user, texts),
    st.builds(lambda text: {"role": "system", "content": text}, texts),
    st.builds(lambda text: {"role": "assistant", "content": text}, texts),
    st.builds(
        lambda found, text: calling(*map(call, found), content=text),
        st.lists(ids, min_size=1, max_size=3, unique=True),
        texts,
    ),
    st.builds(result, ids, texts),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(turns, min_size=1, max_size=8), st.sampled_from([NEW, FLASH, "gemma-3-27b-it"]))
def test_any_history_fits_the_rules_or_is_refused_with_a_path(history: list[dict[str, Any]], model: str) -> None:
    """The judge of `sent` holds every body against the rules of roles."""
    try:
        body = sent(model, messages=history)
    except InvalidRequest as error:
        assert error.param is not None
        assert error.param.endswith(".tool_call_id")
    else:
        assert orjson.dumps(body)
