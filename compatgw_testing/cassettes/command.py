"""The sub-command `cassette`: lint, show, diff, prune, replay, record, import-vcr, export-vcr.

Exit codes: 0 well, 1 something was found, 2 asked for the wrong thing. What does not live here: what the commands do
(`lint.py`, `compare.py`, `prune.py`, `ext/vcr_command.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from compatgw_testing.cassettes import age
from compatgw_testing.cassettes.compare import changes
from compatgw_testing.cassettes.format import MalformedCassette, read
from compatgw_testing.cassettes.lint import lint
from compatgw_testing.cassettes.match import Matcher
from compatgw_testing.cassettes.prune import obsolete
from compatgw_testing.cassettes.replay import Replay
from compatgw_testing.cassettes.session import DUMMY_KEY, Session
from compatgw_testing.cassettes.show import shown
from compatgw_testing.doors.environ import VENDORS, environ, exports
from compatgw_testing.ext import vcr_command
from compatgw_testing.server import FakeServer, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compatgw_testing.cassettes.format import Cassette, Interaction

_SHOWN = {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "CO_API_URL"}
_KEYS = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "CO_API_KEY"}


class _Mistake(Exception):
    """What was asked for cannot be done; the text says why."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `cassette` with its own sub-commands; each sets `run`, which takes the arguments and gives the exit code."""
    parser = commands.add_parser(
        "cassette",
        help="look after recorded answers: lint, show, diff, prune, replay, record",
        description="Looks after cassettes: recorded answers of language models, chunk by chunk.",
        epilog="Example: compatgw-testing cassette lint tests/cassettes",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_lint(actions)
    _add_show(actions)
    _add_diff(actions)
    _add_prune(actions)
    _add_replay(actions)
    _add_record(actions)
    vcr_command.add(actions)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    example: str,
) -> argparse.ArgumentParser:
    description = f"{what[0].upper()}{what[1:]}."
    epilog = f"Example: compatgw-testing cassette {name} {example}"
    parser = actions.add_parser(name, help=what, description=description, epilog=epilog)
    parser.set_defaults(run=lambda arguments: _guarded(name, run, arguments))
    return parser


def _guarded(name: str, run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return run(arguments)
    except (_Mistake, MalformedCassette) as wrong:
        sys.stderr.write(f"compatgw-testing cassette {name}: {wrong}\n")
        return 2 if isinstance(wrong, _Mistake) else 1


# lint


def _add_lint(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "find secrets, damage and old answers; keys in the environment are looked for, too"
    parser = _action(actions, "lint", _lint, what, "tests/cassettes --strict")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of .jsonl files")
    parser.add_argument("--max-age", type=int, default=age.MAX_AGE.days, metavar="DAYS", help="default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="a warning is an error")


def _lint(arguments: argparse.Namespace) -> int:
    files = _files(arguments.paths)
    max_age, now = timedelta(days=arguments.max_age), datetime.now(UTC)
    errors = warnings = 0
    for path in files:
        for finding in lint(path, environment=os.environ, now=now, max_age=max_age):
            errors += finding.level == "error"
            warnings += finding.level == "warning"
            sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"{_count(len(files), 'cassette')}, {_count(errors, 'error')}, {_count(warnings, 'warning')}\n")
    return 1 if errors or (warnings and arguments.strict) else 0


# show


def _add_show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "print what cassettes hold, for people"
    parser = _action(actions, "show", _show, what, "tests/cassettes/test_chat/test_stream.jsonl --chunks")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of .jsonl files")
    parser.add_argument("--body", action="store_true", help="bodies of requests and answers, too")
    parser.add_argument("--chunks", action="store_true", help="every chunk with its time")


def _show(arguments: argparse.Namespace) -> int:
    for path in _files(arguments.paths):
        sys.stdout.write(shown(path, _readable(path), body=arguments.body, chunks=arguments.chunks))
    return 0


# diff


def _add_diff(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "print how two cassettes differ in what they mean; exit code 1 if they do"
    parser = _action(actions, "diff", _diff, what, "before.jsonl after.jsonl")
    parser.add_argument("before", type=Path, metavar="BEFORE")
    parser.add_argument("after", type=Path, metavar="AFTER")
    parser.add_argument("--exact", action="store_true", help="ids and times within answers count, too")


def _diff(arguments: argparse.Namespace) -> int:
    found = changes(_readable(arguments.before), _readable(arguments.after), exact=arguments.exact)
    sys.stdout.write("".join(f"{line}\n" for line in found) or "nothing differs\n")
    return 1 if found else 0


# prune


def _add_prune(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "list cassettes whose test is gone; --delete deletes them"
    parser = _action(actions, "prune", _prune, what, "tests/cassettes --root . --delete")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of .jsonl files")
    parser.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help="what names of tests start from")
    parser.add_argument("--delete", action="store_true", help="delete them; default: only list them")


def _prune(arguments: argparse.Namespace) -> int:
    found = [(path, why) for path in _files(arguments.paths) if (why := obsolete(_readable(path), arguments.root))]
    for path, why in found:
        sys.stdout.write(f"{path}: {why}\n")
        if arguments.delete:
            path.unlink()
    done = "deleted" if arguments.delete else "to delete"
    sys.stdout.write(f"{_count(len(found), 'cassette')} {done}\n")
    return 1 if found and not arguments.delete else 0


# replay and record


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")


def _add_replay(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "serve recorded answers on a port, for applications in any language"
    parser = _action(actions, "replay", _replay, what, "cassettes/openai/stream.jsonl --port 4010 --speed 1")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of .jsonl files")
    _place(parser)
    parser.add_argument(
        "--speed", type=float, default=0.0, metavar="X", help="0 at once (default), 1 as recorded, 2 twice as fast"
    )
    parser.add_argument("--rechunk", metavar="SEED", help="cut the chunks anew, at places that follow from SEED")
    parser.add_argument("--once", action="store_true", help="give each answer once; default: the last one again")


def _replay(arguments: argparse.Namespace) -> int:
    if arguments.speed < 0:
        raise _Mistake(f"--speed is 0 or more, got {arguments.speed:g}")
    interactions: list[Interaction] = []
    for path in _files(arguments.paths):
        interactions += _readable(path).interactions
    matcher = Matcher(interactions, repeats=not arguments.once)
    app = Replay(matcher, speed=arguments.speed, rechunk=arguments.rechunk)

    def welcome(origin: str) -> str:
        lead = f"{_count(len(interactions), 'answer')} on {origin} - Ctrl-C ends it\n\n"
        variables = environ(origin, dict.fromkeys(VENDORS, DUMMY_KEY))
        return lead + _indented(exports(variables, _SHOWN | _KEYS))

    _stand(app, arguments, welcome)
    for miss in app.misses:
        sys.stdout.write(f"{miss}\n")
    sys.stdout.write(f"{_count(len(app.misses), 'request')} had no answer\n")
    return 1 if app.misses else 0


def _add_record(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "stand between an application and the vendors, and record what passes; Ctrl-C writes the file"
    parser = _action(actions, "record", _record, what, "cassettes/mine.jsonl --port 4010")
    parser.add_argument("file", type=Path, metavar="FILE", help="where to; it must not be there yet")
    _place(parser)
    parser.add_argument("--add", action="store_true", help="answer what the file has, and add what it has not")
    parser.add_argument("--rewrite", action="store_true", help="record everything anew, in place of what the file has")


def _record(arguments: argparse.Namespace) -> int:
    if arguments.add and arguments.rewrite:
        raise _Mistake("--add keeps what is there and --rewrite does not; give one of them")
    if arguments.file.exists() and not (arguments.add or arguments.rewrite):
        raise _Mistake(f"{arguments.file} is there already; --add adds to it, --rewrite replaces it")
    session = Session(arguments.file, "rewrite" if arguments.rewrite else "new_episodes")

    def welcome(origin: str) -> str:
        lead = f"recording on {origin} - Ctrl-C writes {arguments.file}\n\n"
        tail = "\nYour application keeps its real keys; they are passed on and not written down.\n"
        return lead + _indented(exports(environ(origin, dict.fromkeys(VENDORS, DUMMY_KEY)), _SHOWN)) + tail

    _stand(session, arguments, welcome)
    problems = session.finish(passed=True)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if not problems and arguments.file.exists():
        held = _count(len(read(arguments.file).interactions), "interaction")
        sys.stdout.write(f"{arguments.file}: {held}\n")
    return 1 if problems else 0


def _stand(app: Replay | Session, arguments: argparse.Namespace, welcome: Callable[[str], str]) -> None:
    if not 0 <= arguments.port <= 65535:
        raise _Mistake(f"--port is from 0 to 65535, got {arguments.port}")
    try:
        server = FakeServer(app, host=arguments.host, port=arguments.port)
    except OSError as refused:
        place, why = f"{arguments.host}:{arguments.port}", refused.strerror or refused
        raise _Mistake(f"cannot listen on {place}: {why}; --port 0 takes a free port") from refused
    stand(server, welcome)


# What they have in common.


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.rglob("*.jsonl"))
        elif path.is_file():
            found.append(path)
        else:
            raise _Mistake(f"there is no {path}; name a cassette, or a folder of them")
    if not found:
        raise _Mistake(f"there is no .jsonl file in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(found))


def _readable(path: Path) -> Cassette:
    try:
        return read(path)
    except OSError as missing:
        raise _Mistake(f"cannot read {path}: {missing.strerror or missing}") from missing


def _indented(lines: Iterable[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
