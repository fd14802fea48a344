"""The operations of the management API, each with the shapes that `admin/` reads and answers.

What does not live here: what they do (`admin/api.py`).
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from compatgw.admin import documents, shapes
from compatgw.admin.documents import ListDocument
from compatgw.openapi.operation import Answer, Operation, Parameter

ROOT = "/api/admin"
_PLACE = re.compile(r"\{(\w+)\}")
_TAG = {"ETag": "The version of the record, for `If-Match`."}
_NEW = {**_TAG, "Location": "Where the record is."}
_SPAN = ("since", "until")
_TEXTS = {
    "since": "ISO 8601, or seconds since 1970.",
    "until": "ISO 8601, or seconds since 1970.",
    "cursor": "`next_cursor` of the page before.",
    "limit": "Rows of a page, 1 to 1000; 50 without it.",
    "group": "One or more of hour, day, model, team, key, provider, endpoint and code, with commas between them.",
    "percentiles": "`true` adds `p50` and `p95`, in seconds, of the calls that were answered.",
    "failed": "`true`: only those with a status from 400 on. `false`: only the others.",
}
_CALLS = ("team", "key", "model", "provider", "endpoint", "code", "status", "failed")
_INTEGERS = ("limit", "status")

Method = Literal["get", "post", "put", "patch", "delete"]


class Resealed(TypedDict):
    """How many provider keys were sealed anew."""

    object: Literal["provider_keys.resealed"]
    count: int


class Totals(TypedDict):
    """Sums over calls, and the span that they are of."""

    object: Literal["list"]
    data: list[documents.UsageTotalDocument]
    has_more: bool
    next_cursor: None
    since: str
    until: str
    group: list[str]


def _of(
    route: str,
    id: str,
    text: str,
    answer: Any,
    *,
    body: Any = None,
    optional: bool = False,
    query: tuple[str, ...] = (),
    status: tuple[int, ...] = (200,),
    tagged: bool = False,
    condition: bool = False,
    money: bool = False,
) -> Operation:
    method, _, rest = route.partition(" ")
    path = f"{ROOT}/{rest}"
    parameters = [
        Parameter(name=name, text=f"The {name} that is meant.", where="path", required=True)
        for name in _PLACE.findall(path)
    ]
    for name in query:
        text_of, kind = _TEXTS.get(name, f"Only those with this {name}."), "integer" if name in _INTEGERS else "string"
        parameters.append(Parameter(name=name, text=text_of, kind=cast("Literal['integer', 'string']", kind)))
    if condition:
        parameters.append(Parameter(name="If-Match", text="The `ETag` that the change must find.", where="header"))
    if money:
        parameters.append(Parameter(name="Idempotency-Key", text="The same key moves money once.", where="header"))
    headers = {200: _TAG, 201: _NEW} if tagged else {}
    return Operation(
        method=cast("Method", method.lower()),
        path=path,
        id=id,
        tag="Management",
        text=text,
        body=body,
        body_required=not optional,
        parameters=tuple(parameters),
        answers={
            code: Answer(text="Made." if code == 201 else "Done.", json=answer, headers=headers.get(code, {}))
            for code in status
        },
        security="admin",
        errors=(400, 401, 403, 404, 409, 412, 413, 415, 503) if method != "GET" else (400, 401, 403, 404, 503),
    )


_LIST = ("cursor", "limit")
_D = documents

OPERATIONS: tuple[Operation, ...] = (
    _of(
        "GET teams",
        "listTeams",
        "All teams.",
        ListDocument[_D.TeamDocument],
        query=("name", "active", "plan", *_SPAN, *_LIST),
    ),
    _of("POST teams", "createTeam", "Makes a team.", _D.TeamDocument, body=shapes.NewTeam, status=(201,), tagged=True),
    _of("GET teams/{team}", "getTeam", "A team.", _D.TeamDocument, tagged=True),
    _of(
        "PATCH teams/{team}",
        "changeTeam",
        "Changes a team.",
        _D.TeamDocument,
        body=shapes.TeamChanges,
        tagged=True,
        condition=True,
    ),
    _of("GET teams/{team}/wallet", "getWallet", "A team's wallet.", _D.WalletDocument, tagged=True),
    _of(
        "POST teams/{team}/wallet",
        "openWallet",
        "Opens a wallet.",
        _D.WalletDocument,
        body=shapes.Nothing,
        optional=True,
        status=(201,),
        tagged=True,
    ),
    _of(
        "POST teams/{team}/wallet/topups",
        "topUpWallet",
        "Puts money in.",
        _D.EntryDocument,
        body=shapes.Movement,
        status=(200, 201),
        money=True,
    ),
    _of(
        "POST teams/{team}/wallet/corrections",
        "correctWallet",
        "Moves money either way.",
        _D.EntryDocument,
        body=shapes.Movement,
        status=(200, 201),
        money=True,
    ),
    _of(
        "GET teams/{team}/wallet/entries",
        "listEntries",
        "The movements of a wallet.",
        ListDocument[_D.EntryDocument],
        query=("kind", "by", "idempotency_key", *_SPAN, *_LIST),
    ),
    _of(
        "GET teams/{team}/provider-keys",
        "listProviderKeys",
        "A team's own provider keys.",
        ListDocument[_D.ProviderKeyDocument],
        query=("provider", *_LIST),
    ),
    _of(
        "PUT teams/{team}/provider-keys/{provider}",
        "storeProviderKey",
        "Seals a team's own provider key.",
        _D.ProviderKeyDocument,
        body=shapes.SecretBody,
        status=(200, 201),
        tagged=True,
        condition=True,
    ),
    _of(
        "DELETE teams/{team}/provider-keys/{provider}",
        "removeProviderKey",
        "Removes a team's own provider key.",
        _D.DeletedDocument,
    ),
    _of(
        "GET keys",
        "listKeys",
        "All keys.",
        ListDocument[_D.KeyDocument],
        query=("team", "name", "plan", *_SPAN, *_LIST),
    ),
    _of(
        "POST keys",
        "mintKey",
        "Makes a key; it is shown this once.",
        _D.MintedDocument,
        body=shapes.NewKey,
        status=(201,),
        tagged=True,
    ),
    _of("GET keys/{key}", "getKey", "A key.", _D.KeyDocument, tagged=True),
    _of(
        "PATCH keys/{key}",
        "changeKey",
        "Changes a key.",
        _D.KeyDocument,
        body=shapes.KeyChanges,
        tagged=True,
        condition=True,
    ),
    _of(
        "POST keys/{key}/rotate",
        "rotateKey",
        "Gives a key another text; the old one works a while longer.",
        _D.MintedDocument,
        body=shapes.Rotation,
        optional=True,
        tagged=True,
    ),
    _of(
        "POST keys/{key}/revoke",
        "revokeKey",
        "Ends a key at once.",
        _D.KeyDocument,
        body=shapes.Nothing,
        optional=True,
        tagged=True,
    ),
    _of("GET plans", "listPlans", "All plans.", ListDocument[_D.PlanDocument], query=_LIST),
    _of("GET plans/{plan}", "getPlan", "A plan.", _D.PlanDocument, tagged=True),
    _of(
        "PUT plans/{plan}",
        "storePlan",
        "Stores a plan.",
        _D.PlanDocument,
        body=shapes.PlanBody,
        status=(200, 201),
        tagged=True,
        condition=True,
    ),
    _of("DELETE plans/{plan}", "removePlan", "Removes a plan.", _D.DeletedDocument),
    _of(
        "POST provider-keys/reseal",
        "resealProviderKeys",
        "Seals all provider keys with the newest ring key.",
        Resealed,
        body=shapes.Nothing,
        optional=True,
    ),
    _of(
        "GET prompts",
        "listPrompts",
        "All versions of all prompts.",
        ListDocument[_D.PromptRow],
        query=("name", "by", *_SPAN, *_LIST),
    ),
    _of(
        "POST prompts",
        "addPrompt",
        "Adds a version of a prompt.",
        _D.PromptDocument,
        body=shapes.NewPrompt,
        status=(201,),
        tagged=True,
    ),
    _of(
        "GET prompts/{prompt}",
        "listVersions",
        "The versions of a prompt.",
        ListDocument[_D.PromptRow],
        query=(*_SPAN, *_LIST),
    ),
    _of("DELETE prompts/{prompt}", "removePrompt", "Removes a prompt.", _D.DeletedDocument),
    _of(
        "GET prompts/{prompt}/{number}",
        "getPrompt",
        "A version, by its number or label.",
        _D.PromptDocument,
        tagged=True,
    ),
    _of("DELETE prompts/{prompt}/{number}", "removeVersion", "Removes a version.", _D.DeletedDocument),
    _of(
        "PUT prompts/{prompt}/labels/{label}",
        "labelPrompt",
        "Gives a label to a version.",
        _D.PromptDocument,
        body=shapes.Labelled,
        tagged=True,
    ),
    _of(
        "DELETE prompts/{prompt}/labels/{label}", "unlabelPrompt", "Takes a label away.", _D.PromptDocument, tagged=True
    ),
    _of(
        "GET usage",
        "listUsage",
        "Calls.",
        ListDocument[_D.UsageDocument],
        query=("request", *_CALLS, *_SPAN, *_LIST),
    ),
    _of("GET usage/{call}", "getUsage", "One call.", _D.UsageDocument),
    _of(
        "GET usage/totals",
        "sumUsage",
        "Sums over calls.",
        Totals,
        query=("group", "percentiles", *_CALLS, *_SPAN),
    ),
    _of(
        "GET audit",
        "listAudit",
        "What was changed, by whom.",
        ListDocument[_D.AuditDocument],
        query=("by", "kind", "subject", "action", *_SPAN, *_LIST),
    ),
)
