"""`python -m tests.soak`: the soak runs, one after the other.

What does not live here: the runs themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import NoReturn

from tests.bench.processes import BenchError
from tests.soak.crash import run_crash
from tests.soak.disconnects import run_disconnects
from tests.soak.gigabyte import run_gigabyte
from tests.soak.kill import run_kill
from tests.soak.limits import run_limits
from tests.soak.mounts import run_mounts
from tests.soak.outage import run_outage
from tests.soak.revoke import run_revoke
from tests.soak.rig import Options
from tests.soak.verdict import Verdict
from tests.soak.wall import run_wall
from tests.soak.wallet import run_wallet

RUNS: Mapping[str, Callable[[Verdict, Options], Coroutine[None, None, None]]] = MappingProxyType(
    {
        "limits": run_limits,
        "wallet": run_wallet,
        "kill": run_kill,
        "revoke": run_revoke,
        "outage": run_outage,
        "crash": run_crash,
        "disconnects": run_disconnects,
        "wall": run_wall,
        "gigabyte": run_gigabyte,
        "mounts": run_mounts,
    }
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    usual = Options()
    told = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    told.add_argument("runs", nargs="*", metavar="RUN", help=f"{', '.join(RUNS)} (default: all of them)")
    told.add_argument("--seconds", type=float, default=usual.seconds, help="of load (default: %(default)s)")
    told.add_argument("--seed", type=int, default=usual.seed, help="of what is random (default: %(default)s)")
    told.add_argument("--seeds", type=int, default=usual.seeds, help="seeds that wallet tries (default: %(default)s)")
    told.add_argument("--times", type=int, default=usual.times, help="of kill and revoke (default: %(default)s)")
    told.add_argument("--away", type=float, default=usual.away, help="seconds of an outage (default: %(default)s)")
    told.add_argument(
        "--disconnects", type=int, default=usual.disconnects, help="clients that leave (default: %(default)s)"
    )
    told.add_argument(
        "--mounts", type=int, default=usual.mounts, help="gateways that come and go (default: %(default)s)"
    )
    told.add_argument("--logs", metavar="FOLDER", help="keep what the processes logged there")
    return told


def main() -> int:
    """Runs what was named; 1 if a claim is broken."""
    options = parser().parse_args()
    names = options.runs or list(RUNS)
    if unknown := [name for name in names if name not in RUNS]:
        print(f"soak: there is no run {', '.join(unknown)}; there are {', '.join(RUNS)}.", file=sys.stderr)
        return 2
    given = Options(**{name: value for name, value in vars(options).items() if name != "runs"})
    signal.signal(signal.SIGTERM, _stop)
    verdict = Verdict()
    try:
        for name in names:
            asyncio.run(RUNS[name](verdict, given))
    except BenchError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("soak: stopped", file=sys.stderr)
        return 130
    print(f"\n{verdict.held} claims held, {verdict.broken} are broken.")
    return 1 if verdict.broken else 0


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
