"""`AdminApi`: the management API below `/api/admin`, for callers with the scope `admin`.

Every answer is JSON, may not be stored by anybody between, and is an error envelope when it fails.
Single records have an `ETag`; `If-Match` refuses a change to another version with 412.

What does not live here: what is changed and how (`office.py`), how requests are read (`shapes.py`), what
documents look like (`documents.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from compatgw.admin import documents, rules, shapes, usage
from compatgw.admin.prompts import subject
from compatgw.errors import InvalidRequest, MethodNotAllowed, NotFound, PreconditionFailed
from compatgw.policy import access, money
from compatgw.policy.limits import PLANS
from compatgw.state.base import (
    AuditEntry,
    BadRecord,
    Entry,
    Key,
    Plan,
    Prompt,
    ProviderSecret,
    Team,
)

if TYPE_CHECKING:
    from compatgw.admin.documents import ListDocument
    from compatgw.admin.office import Office
    from compatgw.state.base import Ledger, Listed, Wallet
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

Body = TypeVar("Body")
Document = TypeVar("Document")

ROOT = "/api/admin"
DAY = 86_400.0
_AFTER = "after:"

_TEAMS: Mapping[str, shapes.Reader] = MappingProxyType(
    {"name": shapes.text, "active": shapes.flag, "plan": shapes.text, **shapes.SPAN}
)
_KEYS: Mapping[str, shapes.Reader] = MappingProxyType(
    {"team": shapes.text, "name": shapes.text, "plan": shapes.text, **shapes.SPAN}
)
_PROMPTS: Mapping[str, shapes.Reader] = MappingProxyType({"name": shapes.text, "by": shapes.text, **shapes.SPAN})
_ENTRIES: Mapping[str, shapes.Reader] = MappingProxyType(
    {"kind": shapes.text, "by": shapes.text, "idempotency_key": shapes.text, **shapes.SPAN}
)
_AUDIT: Mapping[str, shapes.Reader] = MappingProxyType(
    {"by": shapes.text, "kind": shapes.text, "subject": shapes.text, "action": shapes.text, **shapes.SPAN}
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request whose route and caller are known.

    Attributes:
        visit: The request. by: The caller's name.
        args: What stands in the route's open places.
        query: Members of the query string.
    """

    visit: Visit
    by: str
    args: tuple[str, ...]
    query: Mapping[str, str]

    async def body(self, shape: type[Body]) -> Body:
        """The body, of that shape."""
        return shapes.body(shape, await self.visit.body())

    async def optional_body(self, shape: type[Body]) -> Body:
        """The body; an absent one is an empty object."""
        visit = self.visit
        if visit.header("content-length") in (None, "0") and visit.header("transfer-encoding") is None:
            return shapes.body(shape, b"{}")
        return await self.body(shape)

    def version(self) -> int | None:
        """The version that a change must find, None for whichever."""
        wanted = shapes.if_match(self.visit.header("if-match"))
        return None if wanted == "*" else wanted

    def location(self, *path: str) -> tuple[tuple[str, str], ...]:
        """The header that says where a new record is."""
        return (("Location", "/".join((self.visit.root + ROOT, *path))),)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    document: Mapping[str, Any]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Ask], Awaitable[Answer]]


class AdminApi:
    """Answers everything below `/api/admin`.

    Args:
        office: Makes the changes, and has the clock.
        ledger: Is asked for everything else.
    """

    def __init__(self, office: Office, ledger: Ledger) -> None:
        self._office = office
        self._ledger = ledger
        self._routes = self._map()

    def _map(self) -> tuple[tuple[tuple[str, ...], Mapping[str, Handler]], ...]:
        """Routes below the root, `*` for an open place, and what answers each method."""
        table: dict[str, dict[str, Handler]] = {
            "teams": {"GET": self._list_teams, "POST": self._add_team},
            "teams/*": {"GET": self._get_team, "PATCH": self._change_team},
            "teams/*/wallet": {"GET": self._get_wallet, "POST": self._open_wallet},
            "teams/*/wallet/topups": {"POST": self._top_up},
            "teams/*/wallet/corrections": {"POST": self._correct},
            "teams/*/wallet/entries": {"GET": self._list_entries},
            "teams/*/provider-keys": {"GET": self._list_provider_keys},
            "teams/*/provider-keys/*": {"PUT": self._put_provider_key, "DELETE": self._remove_provider_key},
            "keys": {"GET": self._list_keys, "POST": self._mint_key},
            "keys/*": {"GET": self._get_key, "PATCH": self._change_key},
            "keys/*/rotate": {"POST": self._rotate_key},
            "keys/*/revoke": {"POST": self._revoke_key},
            "plans": {"GET": self._list_plans},
            "plans/*": {"GET": self._get_plan, "PUT": self._put_plan, "DELETE": self._remove_plan},
            "provider-keys/reseal": {"POST": self._reseal},
            "prompts": {"GET": self._list_prompts, "POST": self._add_prompt},
            "prompts/*": {"GET": self._list_versions, "DELETE": self._remove_prompt},
            "prompts/*/*": {"GET": self._get_prompt, "DELETE": self._remove_version},
            "prompts/*/labels/*": {"PUT": self._label_prompt, "DELETE": self._unlabel_prompt},
            "usage": {"GET": self._list_usage},
            "usage/totals": {"GET": self._totals},
            "usage/*": {"GET": self._get_usage},
            "audit": {"GET": self._list_audit},
        }
        return tuple([(tuple(route.split("/")), methods) for route, methods in table.items()])

    async def __call__(self, site: Site, visit: Visit) -> None:
        """Answers one request.

        Raises:
            GatewayError: It was refused. StateError: The ledger refused, or failed.
        """
        caller = await site.identify(visit)
        access.require_scope(caller, access.ADMIN)
        handler, args, writes = self._find(visit)
        query = visit.query()
        if writes:
            shapes.query(query, {})
        answer = await handler(Ask(visit, caller.name, args, query))
        headers = (("Cache-Control", "no-store"), *answer.headers)
        await visit.answer(answer.status, headers, orjson.dumps(answer.document))

    def _find(self, visit: Visit) -> tuple[Handler, tuple[str, ...], bool]:
        path = tuple(visit.route.removeprefix(ROOT + "/").split("/"))
        for route, methods in self._routes:
            if len(route) != len(path) or any(open not in ("*", part) for open, part in zip(route, path, strict=True)):
                continue
            args = tuple(part for open, part in zip(route, path, strict=True) if open == "*")
            method = "GET" if visit.method == "HEAD" else visit.method
            handler = methods.get(method)
            if handler is None:
                allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
                visit.extra.append((b"allow", allowed.encode()))
                raise MethodNotAllowed(f"{visit.method[:16]} is not allowed here. Use {allowed}.")
            if method in ("DELETE", "POST"):
                _require_no_condition(visit)
            return handler, args, method != "GET"
        raise NotFound(
            f"There is nothing at {visit.method[:16]} {visit.route[:128]} in the management API.",
            code="unknown_endpoint",
        )

    # --- teams -----------------------------------------------------------------------------------

    async def _list_teams(self, ask: Ask) -> Answer:
        return Answer(await self._list(Team, shapes.listing(ask.query, _TEAMS), documents.of_team))

    async def _add_team(self, ask: Ask) -> Answer:
        values = dict(await ask.body(shapes.NewTeam))
        id, name = values.pop("id", None), values.pop("name")
        given: dict[str, Any] = values
        team = await self._office.add_team(_text(id), str(name), **given, by=ask.by)
        return _single(documents.of_team(team), 201, ask.location("teams", team.id))

    async def _get_team(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        return _single(documents.of_team(await self._team(ask.args[0])))

    async def _change_team(self, ask: Ask) -> Answer:
        version = ask.version()
        changes = await ask.body(shapes.TeamChanges)
        team = await self._office.change_team(ask.args[0], changes, version=version, by=ask.by)
        return _single(documents.of_team(team))

    async def _team(self, id: str) -> Team:
        found = await self._ledger.find(Team, id)
        if found is None:
            raise _missing("team", id)
        return found

    # --- wallets ---------------------------------------------------------------------------------

    async def _open_wallet(self, ask: Ask) -> Answer:
        await ask.optional_body(shapes.Nothing)
        wallet = await self._office.open_wallet(ask.args[0], by=ask.by)
        return Answer(
            documents.of_wallet(wallet), 201, (_wallet_tag(wallet), *ask.location("teams", wallet.team, "wallet"))
        )

    async def _get_wallet(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        wallet = await self._wallet(ask.args[0])
        return Answer(documents.of_wallet(wallet), 200, (_wallet_tag(wallet),))

    async def _top_up(self, ask: Ask) -> Answer:
        return await self._move(ask, "topup")

    async def _correct(self, ask: Ask) -> Answer:
        return await self._move(ask, "correction")

    async def _move(self, ask: Ask, kind: Any) -> Answer:
        given = await ask.body(shapes.Movement)
        moved = await self._office.move(
            ask.args[0],
            kind,
            rules.amount(given["amount"], "amount"),
            idempotency=ask.visit.header("idempotency-key"),
            note=given.get("note", ""),
            by=ask.by,
        )
        return Answer(documents.of_entry(moved.entry), 201 if moved.new else 200)

    async def _list_entries(self, ask: Ask) -> Answer:
        listing = shapes.listing(ask.query, _ENTRIES)
        await self._wallet(ask.args[0])
        where = dict(listing.where)
        if "idempotency_key" in where:
            where["idempotency"] = where.pop("idempotency_key")
        own = listing._replace(where={**where, "team": ask.args[0]})
        return Answer(await self._list(Entry, own, documents.of_entry))

    async def _wallet(self, team: str) -> Wallet:
        found = await self._ledger.wallet(team)
        if found is None:
            await self._team(team)
            raise NotFound(f"The team '{team}' has no wallet. Open one by POST.", code="not_found")
        return found

    # --- provider keys ---------------------------------------------------------------------------

    async def _list_provider_keys(self, ask: Ask) -> Answer:
        listing = shapes.listing(ask.query, {"provider": shapes.text})
        team = await self._team(ask.args[0])
        own = listing._replace(where={**listing.where, "team": team.id})
        return Answer(await self._list(ProviderSecret, own, documents.of_provider_key))

    async def _put_provider_key(self, ask: Ask) -> Answer:
        team, provider = ask.args
        secret = (await ask.body(shapes.SecretBody))["secret"]
        there = await self._ledger.page(ProviderSecret, where={"team": team, "provider": provider}, limit=1)
        version = _put_version(ask, bool(there.items), "provider key")
        stored = await self._office.put_provider_key(team, provider, secret, version=version, by=ask.by)
        return _single(documents.of_provider_key(stored), 200 if there.items else 201)

    async def _remove_provider_key(self, ask: Ask) -> Answer:
        team, provider = ask.args
        if not await self._office.remove_provider_key(team, provider, by=ask.by):
            raise _missing("provider key", f"{team}/{provider}")
        return _deleted("provider_key", provider)

    async def _reseal(self, ask: Ask) -> Answer:
        await ask.optional_body(shapes.Nothing)
        return Answer({"object": "provider_keys.resealed", "count": await self._office.reseal(by=ask.by)})

    # --- keys ------------------------------------------------------------------------------------

    async def _list_keys(self, ask: Ask) -> Answer:
        return Answer(await self._list(Key, shapes.listing(ask.query, _KEYS), self._key_document))

    async def _mint_key(self, ask: Ask) -> Answer:
        values = shapes.values_of(await ask.body(shapes.NewKey))
        key, text = await self._office.mint_key(values.pop("team"), values.pop("name"), **values, by=ask.by)
        document = documents.of_minted(key, text, self._office.now())
        return _single(document, 201, ask.location("keys", key.id))

    async def _get_key(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        found = await self._ledger.find(Key, ask.args[0])
        if found is None:
            raise _missing("key", ask.args[0])
        return _single(self._key_document(found))

    async def _change_key(self, ask: Ask) -> Answer:
        version = ask.version()
        changes = shapes.values_of(await ask.body(shapes.KeyChanges))
        key = await self._office.change_key(ask.args[0], changes, version=version, by=ask.by)
        return _single(self._key_document(key))

    async def _rotate_key(self, ask: Ask) -> Answer:
        given = await ask.optional_body(shapes.Rotation)
        grace = rules.grace(given.get("grace_s", DAY), "grace_s")
        key, text = await self._office.rotate_key(ask.args[0], grace=grace, by=ask.by)
        return _single(documents.of_minted(key, text, self._office.now()))

    async def _revoke_key(self, ask: Ask) -> Answer:
        await ask.optional_body(shapes.Nothing)
        return _single(self._key_document(await self._office.revoke_key(ask.args[0], by=ask.by)))

    def _key_document(self, key: Key) -> documents.KeyDocument:
        return documents.of_key(key, self._office.now())

    # --- plans -----------------------------------------------------------------------------------

    async def _list_plans(self, ask: Ask) -> Answer:
        """Those of the ledger, the newest first, then those of the settings that none of the ledger stands before."""
        listing = shapes.listing(ask.query, {})
        rows: list[documents.PlanDocument] = []
        after = ""
        if listing.cursor is not None and listing.cursor.startswith(_AFTER):
            after = listing.cursor.removeprefix(_AFTER)
        else:
            stored = await self._list(Plan, listing, _plan_document)
            rows.extend(stored["data"])
            if stored["has_more"]:
                return Answer(stored)
        for id in sorted(self._office.plans):
            if id <= after or await self._ledger.find(Plan, id) is not None:
                continue
            if len(rows) == listing.limit:
                return Answer(_listed(rows, _AFTER + after))
            rows.append(self._known(self._office.plans[id]))
            after = id
        return Answer(_listed(rows, None))

    async def _get_plan(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        id = ask.args[0]
        stored = await self._ledger.find(Plan, id)
        if stored is not None:
            return _single(_plan_document(stored))
        if id not in self._office.plans:
            raise _missing("plan", id)
        return _single(self._known(self._office.plans[id]))

    async def _put_plan(self, ask: Ask) -> Answer:
        id = ask.args[0]
        limits = await ask.body(shapes.PlanBody)
        there = await self._ledger.find(Plan, id) is not None
        version = _put_version(ask, there, "plan")
        plan = await self._office.put_plan(id, **limits, version=version, by=ask.by)
        return _single(_plan_document(plan), 200 if there else 201)

    async def _remove_plan(self, ask: Ask) -> Answer:
        id = ask.args[0]
        if not await self._office.remove_plan(id, by=ask.by):
            if id in self._office.plans:
                raise NotFound(
                    f"The plan '{id}' comes from the settings, and none of the ledger stands before it.",
                    code="not_found",
                )
            raise _missing("plan", id)
        return _deleted("plan", id)

    def _known(self, plan: Plan) -> documents.PlanDocument:
        return documents.of_plan(plan, "built-in" if PLANS.get(plan.id) == plan else "configuration")

    # --- prompts ---------------------------------------------------------------------------------

    async def _list_prompts(self, ask: Ask) -> Answer:
        listing = shapes.listing(ask.query, _PROMPTS)
        return Answer(await self._prompts(listing))

    async def _list_versions(self, ask: Ask) -> Answer:
        listing = shapes.listing(ask.query, shapes.SPAN)
        found = await self._prompts(listing._replace(where={**listing.where, "name": ask.args[0]}))
        if not found["data"] and listing.cursor is None and not listing.where:
            raise _missing("prompt", ask.args[0])
        return Answer(found)

    async def _prompts(self, listing: shapes.Listing) -> ListDocument[documents.PromptRow]:
        there = listing._replace(where={**listing.where, "removed": False})
        return await self._list(Prompt, there, documents.of_prompt_row)

    async def _add_prompt(self, ask: Ask) -> Answer:
        given = await ask.body(shapes.NewPrompt)
        prompt = await self._office.prompts.add(
            given["name"],
            text=given.get("text"),
            messages=given.get("messages"),
            labels=given.get("labels", ()),
            by=ask.by,
        )
        place = ask.location("prompts", prompt.name, str(prompt.number))
        return _single(documents.of_prompt(prompt), 201, place)

    async def _get_prompt(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        name, version = ask.args
        return _single(documents.of_prompt(await self._office.prompts.find(name, version)))

    async def _remove_prompt(self, ask: Ask) -> Answer:
        await self._office.prompts.remove_all(ask.args[0], by=ask.by)
        return _deleted("prompt", ask.args[0])

    async def _remove_version(self, ask: Ask) -> Answer:
        name, version = ask.args
        removed = await self._office.prompts.remove(name, shapes.number(version, "number"), by=ask.by)
        return _deleted("prompt", subject(removed))

    async def _label_prompt(self, ask: Ask) -> Answer:
        _require_no_condition(ask.visit)
        name, label = ask.args
        number = (await ask.body(shapes.Labelled))["number"]
        return _single(documents.of_prompt(await self._office.prompts.label(name, label, number, by=ask.by)))

    async def _unlabel_prompt(self, ask: Ask) -> Answer:
        name, label = ask.args
        return _single(documents.of_prompt(await self._office.prompts.unlabel(name, label, by=ask.by)))

    # --- what happened ---------------------------------------------------------------------------

    async def _list_usage(self, ask: Ask) -> Answer:
        page = await usage.calls(self._ledger, ask.query)
        return Answer(_listed([documents.of_usage(row) for row in page.items], page.cursor))

    async def _get_usage(self, ask: Ask) -> Answer:
        shapes.query(ask.query, {})
        return Answer(documents.of_usage(await usage.call(self._ledger, ask.args[0])))

    async def _totals(self, ask: Ask) -> Answer:
        found = await usage.totals(self._ledger, ask.query, self._office.now())
        listed = _listed([documents.of_total(total, found.group) for total in found.rows], None)
        listed["has_more"] = found.more
        span = {"since": documents.instant(found.since), "until": documents.instant(found.until)}
        return Answer({**listed, **span, "group": list(found.group)})

    async def _list_audit(self, ask: Ask) -> Answer:
        return Answer(await self._list(AuditEntry, shapes.listing(ask.query, _AUDIT), documents.of_audit))

    async def _list(
        self, kind: type[Listed], listing: shapes.Listing, document: Callable[[Listed], Document]
    ) -> ListDocument[Document]:
        try:
            page = await self._ledger.page(kind, where=listing.where, cursor=listing.cursor, limit=listing.limit)
        except BadRecord:
            # All else was looked at before.
            raise shapes.wrong_cursor() from None
        return _listed([document(item) for item in page.items], page.cursor)


def _require_no_condition(visit: Visit) -> None:
    if visit.header("if-match") is not None:
        raise InvalidRequest(
            f"{visit.method} takes no If-Match here: it would be done whatever was changed meanwhile.",
            param="If-Match",
        )


def _listed(rows: list[Document], cursor: str | None) -> ListDocument[Document]:
    return {"object": "list", "data": rows, "has_more": cursor is not None, "next_cursor": cursor}


def _single(document: Mapping[str, Any], status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(document, status, (("ETag", shapes.etag(document["version"])), *headers))


def _wallet_tag(wallet: Wallet) -> tuple[str, str]:
    # Its version does not count calls, which move it all the time: its tag is what is in it.
    return ("ETag", f'"{money.text(wallet.balance)}-{money.text(wallet.reserved)}"')


def _deleted(kind: str, id: str) -> Answer:
    document: documents.DeletedDocument = {"object": f"{kind}.deleted", "id": id, "deleted": True}
    return Answer(document)


def _plan_document(plan: Plan) -> documents.PlanDocument:
    return documents.of_plan(plan, "ledger")


def _put_version(ask: Ask, there: bool, what: str) -> int | None:
    """The version that a PUT must find; `*` wants any, but one."""
    wanted = shapes.if_match(ask.visit.header("if-match"))
    if wanted != "*":
        return wanted
    if not there:
        raise PreconditionFailed(f"There is no such {what} yet. Leave If-Match out to store one.")
    return None


def _missing(kind: str, id: str) -> NotFound:
    return NotFound(f"There is no {kind} '{id[:80]}'.", code="not_found")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
