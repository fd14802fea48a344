"""Cases for surfaces beside chat: a request, and how the vendor refuses it.

What does not live here: any dialect's cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compatgw_testing import Fake
from tests.testing.driver import Reply, credentials, request


@dataclass(frozen=True)
class Case:
    """A request that is refused with this status and these words."""

    path: str
    body: Any
    hint: str
    status: int = 400
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)


async def put(fake: Fake, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> Reply:
    """Puts a request with the right credentials to a fake."""
    sent = credentials(fake) | {name.replace("_", "-"): value for name, value in headers.items()}
    return await request(fake, path, body, method=method, headers=sent)


async def refused(fake: Fake, case: Case) -> Reply:
    """The answer, which is the refusal that the case expects."""
    sent = {**credentials(fake), **case.headers}
    reply = await request(
        fake, case.path, case.body, method=case.method, headers={name: value for name, value in sent.items() if value}
    )
    assert reply.status == case.status, reply.raw
    assert case.hint in reply.raw.decode(), reply.raw
    assert fake.last.outcome == "refused"
    return reply
