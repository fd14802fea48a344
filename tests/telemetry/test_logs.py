"""Log lines as JSON: one object a line, about which call, with no secret and no text of a prompt."""

from __future__ import annotations

import ast
import io
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.telemetry.logs import JsonFormatter, masked
from tests.canned import ROLE, STREAM, WORD, Canned
from tests.flow.upstreams import good, post, several

PACKAGE = Path(__file__).parents[2] / "compatgw"
SECRETS = (
    "sk-proj-abcdefghijklmnop1234",
    "cgw-0123456789abcdef0123",
    "gsk_abcdefghijklmnop1234",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "AIza" + "a" * 35,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "Bearer abcdefgh12345678",
)


class Lines:
    """What a logger wrote, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (orjson.loads(line) for line in self.stream.getvalue().splitlines())

    @property
    def last(self) -> dict[str, Any]:
        """The last line."""
        return list(self)[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """All that the package logs, at its most talkative."""
    found = Lines()
    handler = logging.StreamHandler(found.stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("compatgw")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_a_call_is_one_line_with_members(lines: Lines) -> None:
    """What is known of it, and the id that its client was told."""
    got = await post(
        several({"one": good("the secret answer")}), messages=[{"role": "user", "content": "the secret prompt"}]
    )
    line = lines.last

    assert line["request_id"] == got.headers["x-request-id"]
    assert (line["level"], line["logger"]) == ("info", "compatgw.calls")
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    told = line["call"]
    assert (told["endpoint"], told["provider"], told["target"], told["status"], told["attempts"]) == (
        "chat",
        "one",
        "m",
        200,
        1,
    )
    assert (told["input_tokens"], told["output_tokens"], told["key"]) == (3, 2, "key-1")
    assert told["seconds"] >= told["upstream_seconds"] >= 0


async def test_no_prompt_no_answer_and_no_key_is_in_any_line(lines: Lines) -> None:
    """Whatever goes wrong: a refused key, a broken stream, an upstream that repeats the prompt."""
    echo = orjson.dumps({"error": {"message": "bad: the secret prompt, key one-key"}})
    prompt = [{"role": "user", "content": "the secret prompt"}]
    for up in (
        Canned(echo, 401),
        Canned(echo, 500),
        Canned(b"the secret answer"),
        Canned([ROLE, WORD], kind=STREAM, then="break"),
    ):
        for stream in (False, True):
            await post(several({"one": up}), messages=prompt, stream=stream)
    text = lines.stream.getvalue()

    assert len(list(lines)) >= 8
    assert "secret" not in text
    assert "one-key" not in text
    assert "Hello" not in text


async def test_a_failure_inside_has_its_trace_as_text(lines: Lines) -> None:
    """In the same line, which is about its request."""

    async def broken(connection: Any) -> Any:
        raise ValueError(f"cannot read {SECRETS[0]}")

    app = several({"one": good()}, authenticate=broken)
    got = await post(app)
    line = next(line for line in lines if line["level"] == "error")

    assert got.status_code == 500
    assert line["request_id"] == got.headers["x-request-id"]
    assert "Traceback" in line["exception"]
    assert "ValueError: cannot read [hidden]" in line["exception"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("where", ["message", "argument", "extra", "deep", "exception"])
def test_what_looks_like_a_credential_is_masked(secret: str, where: str) -> None:
    """Wherever it stands."""
    record = logging.LogRecord("host", logging.INFO, "f", 1, "plain", (), None)
    if where == "message":
        record.msg = f"called with {secret} today"
    elif where == "argument":
        record.msg, record.args = "called with %s today", (secret,)
    elif where == "extra":
        record.tag = secret
    elif where == "deep":
        record.tag = {"headers": [f"x {secret}"]}
    else:
        try:
            raise ValueError(secret)
        except ValueError:
            record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)

    assert secret.removeprefix("Bearer ") not in line
    assert "[hidden]" in line


def test_passwords_of_urls_are_masked() -> None:
    """And the rest of the URL is not."""
    assert masked("cannot reach postgresql://user:pass@host/name") == "cannot reach postgresql://[hidden]@host/name"
    assert masked("see https://example.com/a:b@c") == "see https://example.com/a:b@c"


# Half characters, and what has to be escaped.
TEXTS = st.text(st.sampled_from('aé€😀\ud800\udfff\\"\n\x00%'), max_size=20)


@given(text=TEXTS, value=TEXTS | st.integers() | st.binary(max_size=8) | st.floats() | st.none())
def test_any_record_is_one_line_of_json(text: str, value: Any) -> None:
    """Also one with half a character, an endless number, or bytes."""
    record = logging.LogRecord("host", logging.WARNING, "f", 1, text, (), None)
    record.tag = value
    line = JsonFormatter({"service": "shop"}).format(record)

    assert "\n" not in line
    told = orjson.loads(line)
    assert (told["level"], told["service"]) == ("warning", "shop")
    assert "tag" in told


def test_placeholders_that_do_not_fit_lose_no_line() -> None:
    """Nor does an object that cannot be shown."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    record = logging.LogRecord("host", logging.INFO, "f", 1, "%d things", ("no number",), None)
    record.tag = Odd()
    told = orjson.loads(JsonFormatter().format(record))

    assert told["message"] == "%d things ('no number',)"
    assert told["tag"] == "<Odd>"


def test_lines_of_others_have_no_request_id() -> None:
    """Their first argument is anything."""
    record = logging.LogRecord("host", logging.INFO, "f", 1, "%s came", ("ann",), None)

    assert "request_id" not in orjson.loads(JsonFormatter().format(record))


def test_lines_about_a_call_begin_with_its_id() -> None:
    """All over the package: what follows `%s ` at the beginning is an id, or no single word."""
    ids = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            text = node.args[0] if node.args else None
            if "_log" not in ast.unparse(node.func) or not isinstance(text, ast.Constant) or len(node.args) < 2:
                continue
            if str(text.value).startswith("%s "):
                ids.append(ast.unparse(node.args[1]))

    assert len(ids) > 10
    assert {name for name in ids if name not in ("call.id", "visit.id", "self._call.id")} <= {
        "error",
        "failure.message",
    }
