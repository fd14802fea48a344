"""Gateways for the matrix: the one of this house, and the same behind a proxy that loses something.

What does not live here: how answers are bent (`tests/testing/check/broken.py`, `bending.py`).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from compatgw.providers.table import PROVIDERS
from compatgw_testing import Fake
from compatgw_testing.harness import gateway_over
from compatgw_testing.matrix import Case, Target, cases
from tests.testing.check.broken import Bend, Bent

KNOWN = frozenset(row.name for row in PROVIDERS.values() if row.base_url)


def make(fakes: Mapping[str, Fake]) -> Any:
    """The gateway over fakes, at the addresses that it knows; of the others it is told one."""
    providers = {}
    for name, fake in fakes.items():
        providers[name] = {"app": fake, "api_key": fake.api_key}
        if name not in KNOWN:
            providers[name]["base_url"] = f"https://{name}.example.com{fake.base_path}"
    return gateway_over(options={"providers": providers})


def ours() -> Target:
    """The gateway of this house."""
    return Target.in_process(make)


def lossy(bend: Bend) -> Target:
    """The same behind a proxy that bends its answers."""
    return Target.in_process(lambda fakes: Bent(make(fakes), bend))


class Forgetful:
    """A proxy that changes requests before the gateway sees them."""

    def __init__(self, app: Any, change: Any) -> None:
        self.app = app
        self.change = change

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = (await receive())["body"]
        body = self.change(raw)
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        asked = False

        async def again() -> Any:
            nonlocal asked
            if asked:
                return await receive()
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app({**scope, "headers": headers}, again, send)


def forgetful(change: Any) -> Target:
    """The gateway behind a proxy that changes requests."""
    return Target.in_process(lambda fakes: Forgetful(make(fakes), change))


def without(name: str) -> Callable[[bytes], bytes]:
    """A change of requests that takes a member out of the body."""

    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        body.pop(name, None)
        return json.dumps(body).encode()

    return change


def found(id: str) -> Case:
    """The case of this id."""
    client, upstream, rest = id.split("-", 2)
    scenario, _, mode = rest.rpartition("-")
    return next(case for case in cases([client], [upstream], [scenario]) if case.mode == mode)
