"""The sub-command `serve`: every fake on one port, until it is interrupted.

What does not live here: the HTTP interface (`admin.py`), the form of scripts (`steps.py`).
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compatgw_testing.doors.environ import VENDORS, Redirect, environ, exports
from compatgw_testing.fakes import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.fakes.openai.habits import HABITS
from compatgw_testing.llm import DIALECTS
from compatgw_testing.script import ScriptError
from compatgw_testing.serve.admin import PREFIX, Admin
from compatgw_testing.serve.steps import apply, entries_of
from compatgw_testing.server import FakeServer, stand

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from compatgw_testing.fakes import Fake
    from compatgw_testing.fakes.delivery import Pace

FAMILY = tuple(name for name in HABITS if name != "openai")


class Mistake(Exception):
    """What the user asked for cannot be done; the message says why.

    Attributes:
        code: Exit code: 2 for what was asked, 1 for what happened.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class Options(NamedTuple):
    """What `serve` was asked for; `add` says what each is."""

    host: str
    port: int
    dialects: tuple[str, ...]
    habits: tuple[str, ...]
    key: str | None
    script: Path | None
    seed: str
    rate: float | None
    lenient: bool
    print_env: bool


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = commands.add_parser(
        "serve",
        help="serve the fakes on a port, for applications in any language",
        description="Serves a fake of each vendor on one port, until Ctrl-C. Nothing is sent anywhere.",
        epilog=f"Scripts and journals are at {PREFIX}/NAME/script and {PREFIX}/NAME/calls; {PREFIX}/health tells more.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        *("--dialect", "-d"),
        action="append",
        choices=(*DIALECTS, "all"),
        default=[],
        help="serve only this dialect; may be repeated (default: all, and every habit)",
    )
    parser.add_argument(
        "--habit",
        action="append",
        choices=FAMILY,
        default=[],
        help="serve this vendor with OpenAI's protocol; may be repeated",
    )
    parser.add_argument("--key", help="the one key that every fake accepts (default: each fake's own)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="answers, as .toml or .json: a list for each name")
    parser.add_argument("--seed", default="0", help="from which ids and made-up texts follow (default: %(default)s)")
    parser.add_argument(
        "--tokens-per-second", type=float, metavar="N", help="events of a stream a second (default: at once)"
    )
    parser.add_argument("--lenient", action="store_true", help="also serve requests that the vendor would refuse")
    parser.add_argument(
        "--print-env", action="store_true", help="only print the variables for --port, for a shell's eval, and end"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted; gives the exit code."""
    try:
        options = _options(arguments)
        fakes = make_fakes(options)
        if options.print_env:
            if options.port == 0:
                raise Mistake("--print-env needs --port: a free port is only known once the server runs")
            host = f"[{options.host}]" if ":" in options.host else options.host
            change = _redirect(f"http://{host}:{options.port}", fakes)
            lines = [*exports(change), f"unset {' '.join(change.unset)}"]
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            return 0
        serve(options, fakes)
    except (Mistake, ScriptError) as wrong:
        sys.stderr.write(f"compatgw-testing serve: {wrong}\n")
        return wrong.code if isinstance(wrong, Mistake) else 2
    return 0


def make_fakes(options: Options) -> dict[str, Fake]:
    """The fakes by name, with their script.

    Raises:
        Mistake: The script's file cannot be read.
        ScriptError: It is no script.
    """
    pace = None if options.rate is None else _paced(options.rate)
    kinds: dict[str, type[Fake]] = {"anthropic": FakeAnthropic, "gemini": FakeGemini, "cohere": FakeCohere}
    fakes: dict[str, Fake] = {}
    for name in (*options.dialects, *options.habits):
        habit = {"habit": name} if name in options.habits else {}
        kind: Callable[..., Fake] = kinds.get(name, FakeOpenAI)
        fakes[name] = kind(options.key, seed=options.seed, strict=not options.lenient, pace=pace, **habit)
    if options.script is not None:
        for name, value in _document(options.script).items():
            if name not in fakes:
                raise Mistake(f"{options.script} has a script for {name!r}; there is {', '.join(fakes)}")
            apply(entries_of(value, where=f"{options.script}, {name}"), fakes[name])
    return fakes


def _redirect(origin: str, fakes: Mapping[str, Fake]) -> Redirect:
    return environ(origin, {name: fake.api_key for name, fake in fakes.items() if name in VENDORS})


def serve(options: Options, fakes: Mapping[str, Fake]) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises:
        Mistake: The port cannot be had.
    """
    try:
        server = FakeServer({**fakes, PREFIX: Admin(fakes, about())}, host=options.host, port=options.port)
    except OSError as refused:
        place, why = f"{options.host}:{options.port}", refused.strerror or refused
        raise Mistake(f"cannot listen on {place}: {why}; --port 0 takes a free port", 1) from refused
    stand(server, lambda origin: welcome(origin, fakes))
    calls = sum(len(fake.calls) for fake in fakes.values())
    sys.stdout.write(f"\n{calls} call{'' if calls == 1 else 's'} served.\n")


def welcome(origin: str, fakes: Mapping[str, Fake]) -> str:
    """What a user is told: addresses, variables, and something to try."""
    width = max(len(name) for name in fakes)
    lines = [f"{about()['name']} {about()['version']} serves on {origin} - Ctrl-C ends it", ""]
    lines += [
        f"  {name:<{width}}  {origin}/{name}{_sdk_path(fake)}   key {fake.api_key}" for name, fake in fakes.items()
    ]
    shown = {name: fake for name, fake in fakes.items() if name in DIALECTS} or fakes
    lines += ["", "Variables for an application (all of them: serve --port N --print-env):", ""]
    lines += [f"  {line}" for line in exports(_redirect(origin, shown))]
    name, fake = next(iter(fakes.items()))
    lines += ["", "Try:", "", f"  {_curl(origin, name, fake)}", ""]
    lines += [f"Scripts: POST {origin}{PREFIX}/NAME/script   Calls: GET {origin}{PREFIX}/NAME/calls", ""]
    return "\n".join(lines) + "\n"


def about() -> dict[str, str]:
    """Name and version of what runs."""
    try:
        number = version("compatgw")
    except PackageNotFoundError:
        number = "0"
    return {"name": "compatgw-testing", "version": number}


def _options(arguments: argparse.Namespace) -> Options:
    dialects, habits = tuple(dict.fromkeys(arguments.dialect)), tuple(dict.fromkeys(arguments.habit))
    if "all" in dialects or not (dialects or habits):
        dialects, habits = DIALECTS, habits or FAMILY
    if arguments.tokens_per_second is not None and arguments.tokens_per_second <= 0:
        raise Mistake(f"--tokens-per-second is above 0, got {arguments.tokens_per_second:g}")
    if not 0 <= arguments.port <= 65535:
        raise Mistake(f"--port is from 0 to 65535, got {arguments.port}")
    if arguments.key == "":
        raise Mistake("--key is empty; leave it away for each fake's own")
    return Options(
        host=arguments.host,
        port=arguments.port,
        dialects=dialects,
        habits=habits,
        key=arguments.key,
        script=arguments.script,
        seed=arguments.seed,
        rate=arguments.tokens_per_second,
        lenient=arguments.lenient,
        print_env=arguments.print_env,
    )


def _document(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
        document: object = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as missing:
        raise Mistake(f"cannot read {path}: {missing.strerror or missing}") from missing
    except ValueError as wrong:
        form = "TOML" if path.suffix == ".toml" else "JSON"
        raise Mistake(f"{path} is no {form}: {wrong}") from wrong
    if not isinstance(document, dict):
        raise Mistake(f"{path} is an object: a list of steps for each name, such as openai")
    return document


def _paced(rate: float) -> Pace:
    async def pace(number: int) -> None:
        if number:
            await asyncio.sleep(1 / rate)

    return pace


def _sdk_path(fake: Fake) -> str:
    return fake.sdk_path


def _curl(origin: str, name: str, fake: Fake) -> str:
    hello = [{"role": "user", "content": "Hello"}]
    base, bearer = f"{origin}/{name}", f"authorization: Bearer {fake.api_key}"
    asks: dict[str, tuple[str, Sequence[str], object]] = {
        "anthropic": (
            f"{base}/v1/messages",
            (f"x-api-key: {fake.api_key}", "anthropic-version: 2023-06-01"),
            {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": hello},
        ),
        "gemini": (
            f"{base}/v1beta/models/gemini-2.5-flash:generateContent",
            (f"x-goog-api-key: {fake.api_key}",),
            {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        ),
        "cohere": (f"{base}/v2/chat", (bearer,), {"model": "command-a-03-2025", "messages": hello}),
    }
    usual = (f"{base}{fake.base_path}/chat/completions", (bearer,), {"model": "gpt-4o-mini", "messages": hello})
    url, headers, body = asks.get(fake.dialect, usual)
    words = ["curl", "-s", url, *(word for one in headers for word in ("-H", one))]
    return shlex.join([*words, "-H", "content-type: application/json", "-d", json.dumps(body)])
