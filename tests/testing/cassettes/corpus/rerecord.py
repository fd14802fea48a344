"""`scripts/record`: records shipped cassettes anew, from the vendor itself or from another server with its protocol."""

from __future__ import annotations

import argparse
import sys

from tests.testing.cassettes.corpus.making import CORPUS, LIVE, ROOT, recorded, scenarios_in


def main() -> int:
    """Runs one command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/record", description="Records cassettes from a real server.")
    folders = (*CORPUS, *LIVE)
    parser.add_argument("folder", choices=folders, metavar="SERVICE", help=", ".join(folders))
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all that a server can be asked for")
    parser.add_argument("--model", help="the model to ask; default: each scenario's own")
    parser.add_argument("--server", default="", help="what the files call the server; default: its host")
    arguments = parser.parse_args()
    service, known = scenarios_in(arguments.folder)
    wanted = arguments.scenarios or [name for name, one in known.items() if one.live]
    if unknown := sorted(set(wanted) - set(known)):
        parser.error(f"{arguments.folder} has no scenario {unknown[0]}; it has {', '.join(known)}")
    failed = 0
    for name in wanted:
        path = ROOT / arguments.folder / f"{name}.jsonl"
        model = arguments.model or known[name].model
        try:
            said = recorded(path, service, known[name], model=model, server=arguments.server)
        except Exception as failure:  # noqa: BLE001 - one that fails shall not keep the others from being recorded
            failed += 1
            print(f"{name}: not recorded: {type(failure).__name__}: {failure}")
        else:
            print(f"{name}: {path.relative_to(ROOT.parent)}: {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
