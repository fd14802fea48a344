"""The command `compatgw-testing`: what it says, and a server that programs in other languages drive."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import cohere
import httpx
import openai
import pytest
from google import genai

from compatgw_testing import FakeAnthropic, FakeOpenAI, Raw, ScriptError, ToolCall, Turn
from compatgw_testing.cli import main
from compatgw_testing.doors import inprocess
from compatgw_testing.serve.admin import Admin
from compatgw_testing.serve.steps import apply, entries_of
from tests.testing.driver import ask, credentials, question


@contextmanager
def serving(*words: str) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    """`compatgw-testing serve` in a process: its origin, the process, and the lines of its welcome."""
    command = [sys.executable, "-W", "error", "-m", "compatgw_testing", "serve", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("Scripts: "):
                    break
            found = re.search(r"serves on (http://\S+) ", "\n".join(lines))
            assert found, (lines, process.stderr and process.stderr.read())
            yield found[1], process, lines
        finally:
            process.kill()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    output, errors = capsys.readouterr()
    return code, output, errors


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without importing what they need; the version is the package's."""
    code, output, _ = run(capsys, "--help")

    assert code == 0
    assert all(name in output for name in ("serve", "check", "cassette"))
    assert re.fullmatch(r"compatgw-testing \d+\.\d+.*\n", run(capsys, "--version")[1])


def test_only_the_command_that_is_asked_for_is_imported() -> None:
    """Help costs no server, no fake and no HTTP library."""
    code = """
import sys
from compatgw_testing.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"uvicorn", "httpx", "httpx2", "faker", "pytest", "asyncio", "compatgw", "compatgw_testing.fakes"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr


def test_a_package_that_is_missing_is_named() -> None:
    """With how to get it, rather than a traceback."""
    code = """
import sys
sys.modules["uvicorn"] = None
from compatgw_testing.cli import main
sys.exit(main(["serve"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stderr) == (
        1,
        "compatgw-testing: uvicorn is missing; pip install 'compatgw[testing]' has it\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "required: COMMAND"),
        (("serv",), "invalid choice: 'serv'"),
        (("serve", "--dialect", "latin"), "invalid choice: 'latin'"),
        (("serve", "--print-env"), "--print-env needs --port"),
        (("serve", "--tokens-per-second", "0"), "--tokens-per-second is above 0, got 0"),
        (("serve", "--port", "70000"), "--port is from 0 to 65535, got 70000"),
        (("serve", "--key", ""), "--key is empty"),
        (("serve", "--script", "no-such-file.json"), "cannot read no-such-file.json: No such file"),
    ],
)
def test_a_mistake_is_told_in_a_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    """Exit code 2, and no traceback."""
    code, _, errors = run(capsys, *words)

    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.toml", "= 1", "is no TOML"),
        ("a.json", "[]", "is an object: a list of steps for each name"),
        ("a.json", '{"groqq": []}', "has a script for 'groqq'; there is openai, anthropic"),
        ("a.json", '{"openai": [{"replay": "x"}]}', "a.json, openai: an entry names exactly one of reply, tool_call"),
        ("a.json", '{"openai": {"fail": "nonsense"}}', "openai has no failure named 'nonsense'"),
    ],
)
def test_a_wrong_script_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, text: str, message: str
) -> None:
    """With the file and the part of it."""
    path = tmp_path / name
    path.write_text(text)

    code, _, errors = run(capsys, "serve", "--script", str(path))

    assert code == 2
    assert message in errors


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1: what was asked for is right, but cannot be had."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, errors = run(capsys, "serve", "--port", str(taken.getsockname()[1]))

    assert (code, "cannot listen on 127.0.0.1:" in errors, "in use" in errors) == (1, True, True)


def test_variables_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell reads them back as they are meant."""
    code, output, _ = run(capsys, "serve", "--port", "4010", "--print-env", "-d", "openai", "--key", "it's a key")
    shell = subprocess.run(
        ["sh", "-c", f"{output}\nenv"],
        env={"PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": "real", "HTTPS_PROXY": "p"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert code == 0
    lines = shell.stdout.splitlines()
    assert "OPENAI_BASE_URL=http://127.0.0.1:4010/openai/v1" in lines
    assert "OPENAI_API_KEY=it's a key" in lines
    assert not [line for line in lines if line.startswith("ANTHROPIC_")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told(number: signal.Signals) -> None:
    """Ctrl-C ends it in a moment, exit code 0, without a traceback, calls in flight included."""
    with serving("--dialect", "openai", "--tokens-per-second", "1") as (origin, process, _):
        body = question("openai", "a long question", stream=True)
        url, headers = f"{origin}/openai/v1/chat/completions", credentials(FakeOpenAI())
        with httpx.stream("POST", url, json=body, headers=headers) as answer:
            next(answer.iter_bytes())
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)

    assert (process.returncode, errors) == (0, "")
    assert output.endswith("1 call served.\n")


def test_the_curl_line_works() -> None:
    """What the welcome says to try, one can."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    for dialect in ("openai", "anthropic", "gemini", "cohere"):
        with serving("--dialect", dialect) as (_, _process, lines):
            line = next(line for line in lines if line.strip().startswith("curl "))
            done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30)  # noqa: S602 - it is ours

        assert "Hello" not in done.stdout
        assert not json.loads(done.stdout).get("error"), (line, done.stdout)


def test_official_clients_against_the_command(tmp_path: Path) -> None:
    """Every dialect on one port, with one key and a script from a file."""
    path = tmp_path / "script.toml"
    path.write_text(
        """
        [[openai]]
        reply = "from a file"
        usage = [12, 3]
        [[anthropic]]
        tool_call = "weather"
        arguments = { city = "Paris" }
        [[gemini]]
        always = true
        reply = "always"
        [[groq]]
        fail = 429
        retry_after = 0.5
        """
    )
    with serving("--key", "my-key", "--script", str(path)) as (origin, _, lines):
        with openai.OpenAI(base_url=f"{origin}/openai/v1", api_key="my-key") as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        with anthropic.Anthropic(base_url=f"{origin}/anthropic", api_key="my-key") as claude:
            message = claude.messages.create(
                model="claude-sonnet-4-6",
                max_tokens=99,
                messages=[{"role": "user", "content": "Hi"}],
                tools=[{"name": "weather", "input_schema": {"type": "object"}}],
            )
        gemini = genai.Client(api_key="my-key", http_options=genai.types.HttpOptions(base_url=f"{origin}/gemini"))
        texts = [gemini.models.generate_content(model="gemini-2.5-flash", contents="Hi").text for _ in range(2)]
        gemini.close()
        with cohere.ClientV2("my-key", base_url=f"{origin}/cohere") as command:
            models = command.models.list().models
        groq = openai.OpenAI(base_url=f"{origin}/groq/openai/v1", api_key="my-key", max_retries=0)
        with groq, pytest.raises(openai.RateLimitError) as limited:
            groq.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])

    assert (answer.choices[0].message.content, answer.usage and answer.usage.prompt_tokens) == ("from a file", 12)
    assert [block.type for block in message.content] == ["tool_use"]
    assert texts == ["always"] * 2
    assert models
    assert float(limited.value.response.headers["retry-after"]) == 0.5
    assert ["openai", f"{origin}/openai/v1", "key", "my-key"] in [line.split() for line in lines]
    assert f"  export OPENAI_BASE_URL={origin}/openai/v1" in lines


NODE = """
const origin = process.argv[1];
const post = (path, body, headers = {}) => fetch(origin + path, {
  method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });
const assert = (holds, what) => { if (!holds) { console.error(what); process.exit(1); } };

let answer = await post("/_fake/openai/script", [
  { reply: "One two three" },
  { fault: { cut_after: 2 }, reply: "One two three" },
  { fail: 429, retry_after: 2 },
]);
assert((await answer.json()).queued === 3, "three steps are queued");

const chat = { model: "gpt-4o", stream: true, messages: [{ role: "user", content: "Hi" }] };
const key = { authorization: "Bearer sk-fake-openai" };
const read = async (answer) => {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of answer.body) text += decoder.decode(piece, { stream: true });
  return text.split("\\n\\n").filter((one) => one.startsWith("data: {")).map((one) => JSON.parse(one.slice(6)))
    .flatMap((one) => one.choices).map((one) => one.delta.content ?? "").join("");
};
assert(await read(await post("/openai/v1/chat/completions", chat, key)) === "One two three", "the stream is whole");
let broken = false;
try { await read(await post("/openai/v1/chat/completions", chat, key)); } catch { broken = true; }
assert(broken, "the cut stream fails");
const limited = await post("/openai/v1/chat/completions", chat, key);
assert(limited.status === 429 && limited.headers.get("retry-after") === "2", "the third call is limited");

const { calls } = await (await fetch(origin + "/_fake/openai/calls")).json();
console.log(JSON.stringify(calls.map((call) => [call.status, call.outcome, call.headers.authorization])));
assert((await (await fetch(origin + "/_fake/openai/verify")).json()).ok, "everything was played");
"""


def test_a_node_program_drives_it() -> None:
    """Scripts, a stream, a broken one, an error and the journal, from Node's own fetch."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    with serving() as (origin, _, _lines):
        command = [node, "--input-type=module", "-e", NODE, origin]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[200, "completed", "***"], [200, "faulted", "***"], [429, "failed", "***"]]


# The interface of a running server, in process.


@pytest.fixture
def fakes() -> dict[str, Any]:
    """Two fakes."""
    return {"openai": FakeOpenAI(), "claude": FakeAnthropic()}


@pytest.fixture
async def admin(fakes: dict[str, Any]) -> Any:
    """A client of the interface."""
    async with inprocess.client(Admin(fakes, {"version": "1"})) as client:
        yield client


async def test_health(admin: Any) -> None:
    """What runs."""
    assert (await admin.get("/health")).json() == {"ok": True, "fakes": ["openai", "claude"], "version": "1"}


async def test_script_calls_verify_reset(admin: Any, fakes: dict[str, Any]) -> None:
    """Steps are queued and played, the journal shows the calls without their keys, and all can be forgotten."""
    queued = (await admin.post("/openai/script", json={"reply": "Hello", "times": 2})).json()
    before = (await admin.get("/openai/verify")).json()
    replies = [await ask(fakes["openai"]) for _ in range(2)]
    (call, _), after = (await admin.get("/openai/calls")).json()["calls"], (await admin.get("/openai/verify")).json()
    await admin.post("/openai/reset")

    assert queued == {"ok": True, "queued": 2}
    assert [reply.json["choices"][0]["message"]["content"] for reply in replies] == ["Hello"] * 2
    assert (before["ok"], after) == (False, {"ok": True})
    assert "never played" in before["complaint"]
    assert (call["ordinal"], call["path"], call["status"], call["outcome"], call["scripted"]) == (
        *(1, "/v1/chat/completions", 200, "completed"),
        True,
    )
    assert call["headers"]["authorization"] == call["headers"]["api-key"] == "***"
    assert call["body"] == question("openai")
    assert not fakes["openai"].calls


async def test_reset_of_all(admin: Any, fakes: dict[str, Any]) -> None:
    """Every fake forgets."""
    for fake in fakes.values():
        fake.reply("a")
    assert (await admin.post("/reset")).json() == {"ok": True}
    assert not any(fake.unused for fake in fakes.values())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/nothing", b"", 404, "there is no GET /_fake/nothing; the interface is GET /_fake/health"),
        ("GET", "/gemini/calls", b"", 404, "there is no fake 'gemini'; there are openai, claude"),
        ("POST", "/openai/calls", b"", 405, "calls does not take POST"),
        ("POST", "/openai/script", b"{", 400, "the body is no JSON"),
        ("POST", "/openai/script", b"[1]", 400, "an object is expected, got int"),
        ("POST", "/claude/script", b'{"fail": "context"}', 400, "anthropic has no failure named 'context'"),
        ("POST", "/openai/script", b" " * 5_000_000, 413, "the body is larger than"),
    ],
)
async def test_a_wrong_request_is_told(
    admin: Any, method: str, path: str, body: bytes, status: int, message: str
) -> None:
    """One sentence."""
    answer = await admin.request(method, path, content=body)

    assert answer.status_code == status
    assert message in answer.json()["error"]


# The form of scripts.

STEPS: list[tuple[dict[str, Any], Any]] = [
    ({"reply": "a"}, Turn(text="a")),
    ({"reply": None, "chunks": ["a", "b"], "usage": [3, 2], "finish": "length", "rate": 9}, None),
    ({"reply": "a", "calls": [{"name": "f", "arguments": {"x": 1}, "id": "i"}]}, None),
    ({"tool_call": "f", "arguments": {"x": 1}}, Turn(calls=(ToolCall("f", {"x": 1}),))),
    ({"tool_calls": [{"name": "f"}, {"name": "g", "arguments": "{"}], "text": "t"}, None),
    ({"refuse": "no"}, Turn(refusal="no")),
    ({"raw": ["a", "é"], "status": 207}, Raw(pieces=(b"a", "é".encode()), status=207)),
]


@pytest.mark.parametrize(
    ("entry", "expected"), STEPS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
def test_a_step_is_what_it_says(entry: dict[str, Any], expected: Any) -> None:
    """Each verb, with members of its own."""
    ((planned,), _), *rest = entries_of(entry)

    assert not rest
    if expected is not None:
        assert planned.step == expected
    else:
        assert isinstance(planned.step, Turn)
        assert planned.step.text in {"ab", "a", "t"}


async def test_conditions_and_standing_answers() -> None:
    """Rules by what a request says, with steps of their own; a standing answer for the rest."""
    fake = FakeOpenAI()
    script = [
        {"when": {"user": {"contains": "weather"}}, "steps": [{"reply": "Rain."}, {"reply": "Sun.", "always": True}]},
        {"when": {"model": {"glob": "gpt-5*"}}, "reply": "Five."},
        {"when": {"user": {"regex": "^[0-9]+$"}}, "fault": {"html": 502}},
        {"always": True, "reply": "Whatever."},
    ]
    assert apply(entries_of({"steps": script}), fake) == 5

    asked = ["the weather?", "any weather?", "42", "hm"]
    replies = [await ask(fake, question("openai", text)) for text in asked]
    replies.append(await ask(fake, {**question("openai"), "model": "gpt-5-mini"}))

    texts = [reply.json["choices"][0]["message"]["content"] for reply in replies if reply.status == 200]
    assert texts == ["Rain.", "Sun.", "Whatever.", "Five."]
    assert replies[2].status == 502


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([], None),
        (5, "the script: an object is expected, got int"),
        ([{"reply": "a"}, {}], "the script, entry 2: an entry names exactly one of reply,"),
        ({"reply": "a", "fail": 500}, "got fail, reply"),
        ({"reply": "a", "word": 1}, "'word' is not known here; there are reply, chunks"),
        ({"reply": 5}, "`reply` is a text or null, got 5"),
        ({"reply": "a", "times": 0}, "`times` is a number from 1, got 0"),
        ({"reply": "a", "times": True}, "`times` is a number from 1, got True"),
        ({"reply": "a", "always": 1}, "`always` is true or false, got 1"),
        ({"reply": "a", "usage": [1, 2, 9, 9, 9]}, "usage does not add up"),
        ({"reply": "a", "usage": {"inputs": 1}}, "`reply` cannot be read"),
        ({"reply": "a", "chunks": "crumbs"}, "'crumbs' is no way of cutting"),
        ({"fail": None}, "`fail` is an HTTP status or a name, got None"),
        ({"fault": {"cut": 1}}, "there is no fault 'cut'; there are bad_utf8_after"),
        ({"fault": {"cut_after": "1"}}, "the fault `cut_after` takes a whole number, got '1'"),
        ({"fault": {"cut_after": True}}, "the fault `cut_after` takes a whole number, got True"),
        ({"fault": {"truncated": 1}}, "the fault `truncated` takes true or false, got 1"),
        ({"fault": {"error_after": 1, "error": None}}, "the fault `error` takes a status or a name, got None"),
        ({"fault": {}}, "a fault goes wrong in exactly one way, 0 were given"),
        ({"fault": {"empty": True}, "fail": 500}, "a fault happens to an answer"),
        ({"raw": 5}, "`raw` is a text or a list of texts"),
        ({"raw": "a", "status": "200"}, "`status` is a number, got '200'"),
        ({"tool_call": "f", "arguments": 5}, "a tool call has a `name`, and `arguments`"),
        ({"tool_calls": {}}, "tool calls are a list"),
        ({"when": {"mood": "good"}, "reply": "a"}, "when: 'mood' is not known here; there are model"),
        ({"when": {"user": {"like": "x"}}, "reply": "a"}, "`user` is a text, or one of contains, regex, glob"),
        ({"when": {}, "steps": [], "reply": "a"}, "beside a list of `steps` an entry has `when`"),
        ({"when": {}, "steps": [{"reply": 5}]}, "the script, step 1: `reply` is a text or null"),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) else "",
)
def test_what_is_no_script_is_told(script: object, message: str | None) -> None:
    """Which part, and what it may be."""
    if message is None:
        assert entries_of(script) == []
        return
    with pytest.raises(ScriptError, match=re.escape(message)):
        entries_of(script)
