"""`compatgw-testing check`: its arguments, its run, its exit codes.

What does not live here: judging (`scorecard.py`), what is printed (`report.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, TextIO

import httpx

from compatgw_testing.check.probe import Probe, Unreachable
from compatgw_testing.check.report import as_json, as_text, painter, progress
from compatgw_testing.check.scorecard import ASSERTIONS, GROUPS, chosen, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.check.scorecard import Scorecard

OK, FAILED, UNREACHABLE = 0, 1, 2
AT_MOST = 3600.0

_ABOUT = f"""\
Judges any server that speaks OpenAI's chat protocol by {len(ASSERTIONS)} assertions on the wire. A model's wisdom is
not judged, only the protocol; a small local model will do. It takes some 200 short requests.

exit code: 0 all musts hold, 1 one does not, 2 there is no server or no model to judge"""
_EXAMPLES = f"""\
examples:
  compatgw-testing check http://127.0.0.1:8080/v1
  compatgw-testing check https://gateway.example.com/v1 --key "$GATEWAY_KEY" --model fast
  compatgw-testing check http://127.0.0.1:8080/v1 --only stream --only tools
  compatgw-testing check http://127.0.0.1:8080/v1 --only stream.done_last
  compatgw-testing check http://127.0.0.1:8080/v1 --json > scorecard.json

groups: {", ".join(GROUPS)}"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command `check`; `args.run(args)` gives the exit code."""
    parser = commands.add_parser(
        "check",
        help="a conformance scorecard for any OpenAI-compatible server",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the base URL that an SDK would take, such as http://host:8000/v1")
    parser.add_argument("--key", metavar="K", help="sent as a bearer token; without it, keys are not judged")
    parser.add_argument("--model", metavar="M", help="the model to ask (default: the first that is listed)")
    parser.add_argument("--embedding-model", metavar="M", help="the model to embed with (default: one that says so)")
    parser.add_argument(
        "--only", metavar="GROUP", action="append", default=[], help="a group or the id of one assertion; repeatable"
    )
    parser.add_argument("--timeout", metavar="S", type=_seconds, default=60.0, help="for one request (default: 60)")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judges the server that `args` names, prints the scorecard, gives the exit code."""
    return check(args, sys.stdout, sys.stderr, os.environ)


def check(args: argparse.Namespace, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> int:
    """The same, with its streams and its environment as arguments."""
    try:
        _check_url(args.url)
        card = asyncio.run(_judged(args, err))
    except (Unreachable, ValueError) as error:
        err.write(f"compatgw-testing check: {error}\n")
        return UNREACHABLE
    out.write((as_json(card) if args.json else as_text(card, painter(out, environ))) + "\n")
    return OK if card.ok else FAILED


async def _judged(args: argparse.Namespace, err: TextIO) -> Scorecard:
    assertions = chosen(args.only)
    tell = progress(err, len(assertions))
    # The probe bounds each request as a whole; httpx's own limit would end a quiet stream early.
    async with httpx.AsyncClient(timeout=args.timeout) as http:
        probe = Probe(
            http,
            args.url,
            key=args.key,
            model=args.model,
            embedding_model=args.embedding_model,
            timeout=args.timeout,
        )
        return await judge(probe, assertions, tell=tell)


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise Unreachable(f"{url!r} is no URL: begin with http:// or https://")
    try:
        host = httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        host = ""
    if not host:
        raise Unreachable("the URL cannot be read: give one such as http://127.0.0.1:8000/v1")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= AT_MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds between 0 and {AT_MOST:g}")
    return value
