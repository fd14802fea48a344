"""The dialect matrix: client surface by upstream dialect by scenario, against any gateway.

    from compatgw_testing.harness import gateway_over
    from compatgw_testing.matrix import Target, cases

    target = Target.in_process(gateway_over)
    for case in cases(upstreams=["anthropic"], scenarios=["tool_call", "cut"]):
        case.run_sync(target)

A gateway elsewhere is configured with the addresses of the fakes:

    with Target.at("http://127.0.0.1:4000/v1", key="sk-1", port=9700) as target:
        print(target.addresses)  # {"anthropic": ("http://127.0.0.1:9700/anthropic", "..."), ...}

What does not live here: pytest (`plugin.py` has the marker), a gateway of our own (`harness.py`).
"""

from compatgw_testing.matrix.asked import Asked, Seen
from compatgw_testing.matrix.case import SCENARIOS, Case, MatrixFailure, cases
from compatgw_testing.matrix.scenario import Scenario
from compatgw_testing.matrix.surfaces import SURFACES
from compatgw_testing.matrix.target import Target
from compatgw_testing.matrix.upstreams import UPSTREAMS, Upstream

__all__ = [
    "SCENARIOS",
    "SURFACES",
    "UPSTREAMS",
    "Asked",
    "Case",
    "MatrixFailure",
    "Scenario",
    "Seen",
    "Target",
    "Upstream",
    "cases",
]
