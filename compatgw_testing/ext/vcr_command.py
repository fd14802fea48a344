"""`compatgw-testing cassette import-vcr` and `export-vcr`.

What does not live here: the conversion (`vcr.py`), the other commands for cassettes (`cassettes/command.py`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from compatgw_testing.cassettes import format as tape_format
from compatgw_testing.cassettes.format import MalformedCassette
from compatgw_testing.cassettes.scrub import LiveKeyFound
from compatgw_testing.ext.vcr import export_vcr, import_vcr
from compatgw_testing.ext.vcr_convert import NotConvertible, url_of
from compatgw_testing.ext.vcr_traps import recorded_twice

if TYPE_CHECKING:
    from collections.abc import Callable


def add(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both commands; each sets `run`, which takes the arguments and gives the exit code."""
    importer = subcommands.add_parser("import-vcr", help="make cassettes of vcrpy's YAML or JSON")
    exporter = subcommands.add_parser("export-vcr", help="make vcrpy's YAML of cassettes")
    for parser, suffix, run in ((importer, ".jsonl", _import), (exporter, ".yaml", _export)):
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--to", type=Path, metavar="FOLDER", help=f"where to; default: beside each file, as {suffix}"
        )
        parser.add_argument("--force", action="store_true", help="overwrite what is there")
        parser.set_defaults(run=run)
    exporter.add_argument(
        "--leave-out-broken",
        action="store_true",
        help="leave out answers that broke off, which vcrpy would replay as whole; default: convert nothing",
    )


def _import(arguments: argparse.Namespace) -> int:
    def convert(source: Path, target: Path) -> str | None:
        cassette = import_vcr(source)
        tape_format.write(target, cassette)
        return recorded_twice(url_of(one.request) for one in cassette.interactions)

    return _each(arguments, ".jsonl", convert)


def _export(arguments: argparse.Namespace) -> int:
    def convert(source: Path, target: Path) -> str | None:
        text = export_vcr(tape_format.read(source), leave_out_broken=arguments.leave_out_broken)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        return None

    return _each(arguments, ".yaml", convert)


def _each(arguments: argparse.Namespace, suffix: str, convert: Callable[[Path, Path], str | None]) -> int:
    """Converts file by file; one that cannot be converted does not keep the others from it. 1 if there was one."""
    failed = 0
    for source in arguments.files:
        folder = source.parent if arguments.to is None else arguments.to
        target = folder / f"{source.stem}{suffix}"
        try:
            if target.exists() and not arguments.force:
                raise FileExistsError(f"{target} is there already; --force overwrites it")
            warning = convert(source, target)
        except (OSError, MalformedCassette, NotConvertible, LiveKeyFound) as problem:
            failed = 1
            sys.stderr.write(f"{source}: {problem}\n")
            continue
        sys.stdout.write(f"{target}\n")
        if warning is not None:
            sys.stderr.write(f"{source}: {warning}\n")
    return failed
