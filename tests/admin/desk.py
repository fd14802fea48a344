"""What tests of management work at: a gateway, a client with the scope `admin`, and the ledger behind both."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from compatgw import Gateway
    from compatgw.admin.office import Office
    from compatgw.state.sql import SqlLedger
    from tests.state.making import Clock

ADMIN = "of-the-operator"
RING = "k1:" + base64.b64encode(b"1" * 32).decode()
NEWER_RING = "k2:" + base64.b64encode(b"2" * 32).decode() + "," + RING
OTHER_RING = "k9:" + base64.b64encode(b"9" * 32).decode()


@dataclass
class Desk:
    """A gateway and its management."""

    gateway: Gateway
    http: httpx.AsyncClient
    ledger: SqlLedger
    clock: Clock

    @property
    def office(self) -> Office:
        """The office of the gateway."""
        records = self.gateway._standing.records
        assert records is not None
        return records.office

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """One request below `/api/admin/`; a body that is not bytes is sent as JSON."""
        content = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {**({"Content-Type": "application/json"} if content is not None else {}), **(headers or {})}
        return await self.http.request(
            method, f"/api/admin/{path}", content=content, headers=sent, params=query or None
        )

    async def done(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """The document of a request that succeeds."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, str, str | None]:
        """Status, code and param of a request that fails, in the envelope with all its members."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status_code >= 400, answer.text
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"].endswith((".", ")")), error["message"]
        return answer.status_code, error["code"], error["param"]

    async def rows(self, path: str, **query: Any) -> list[Any]:
        """The data of one page of a list."""
        found: list[Any] = (await self.done("GET", path, **query))["data"]
        return found

    async def pages(self, path: str, **query: Any) -> list[Any]:
        """The data of all pages of a list."""
        found: list[Any] = []
        while True:
            page = await self.done("GET", path, **query)
            found.extend(page["data"])
            if page["next_cursor"] is None:
                assert page["has_more"] is False
                return found
            assert page["has_more"] is True
            query["cursor"] = page["next_cursor"]

    async def team(self, id: str = "acme", **members: Any) -> Any:
        """A new team."""
        return await self.done("POST", "teams", {"id": id, "name": f"Team {id}", **members})

    async def key(self, team: str = "acme", **members: Any) -> Any:
        """A new key, with its text."""
        return await self.done("POST", "keys", {"team": team, "name": "of a test", **members})

    async def aclose(self) -> None:
        """Closes all of it."""
        await self.http.aclose()
        await self.gateway.aclose()
        await self.ledger.aclose()
