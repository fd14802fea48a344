"""`scripts/cassettes`: makes the shipped cassettes that are written from documents, or looks whether they are up to date."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.testing.cassettes.corpus.making import CORPUS, ROOT, each, made, may_be_made


def main() -> int:
    """Runs one command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/cassettes", description="Makes cassettes with the fakes.")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"default: all; {', '.join(CORPUS)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.services) - set(CORPUS)):
        parser.error(f"there is no {unknown[0]}; there are {', '.join(CORPUS)}")
    count, stale = 0, []
    with tempfile.TemporaryDirectory() as place:
        for service, name, scenario in each():
            target = ROOT / service / f"{name}.jsonl"
            if (arguments.services and service not in arguments.services) or not may_be_made(target):
                continue
            count += 1
            path, _ = made(Path(place), service, name, scenario)
            if target.exists() and target.read_bytes() == path.read_bytes():
                continue
            stale.append(f"{service}/{name}")
            if not arguments.check:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    print(
        f"{count} cassettes, {len(stale)} {'out of date' if arguments.check else 'written'}: {' '.join(stale) or '-'}"
    )
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
