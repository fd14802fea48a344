"""The operations that are about the gateway itself: models, the caller's key, calls, health, its settings.

What does not live here: the shapes (`answers.py`, `web/status.py`, `admin/reload.py`).
"""

from __future__ import annotations

from compatgw.admin.reload import Reloaded
from compatgw.openapi import answers
from compatgw.openapi.operation import Answer, Operation, Parameter
from compatgw.web.status import StatusDocument

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/v1/models",
        id="listModels",
        tag="Models",
        text="The models that the caller may call.",
        answers={200: Answer(text="The list.", json=answers.ModelList)},
        errors=(401, 403),
    ),
    Operation(
        method="get",
        path="/v1/models/{id}",
        id="getModel",
        tag="Models",
        text="One model; its id may hold slashes, raw or as `%2F`.",
        parameters=(Parameter(name="id", text="`provider/model`, or any other name.", where="path", required=True),),
        answers={200: Answer(text="The model.", json=answers.ModelRow)},
        errors=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/v1/key",
        id="getOwnKey",
        tag="Account",
        text="The caller's own key: what it may do, what is left of its limits and of its money.",
        answers={200: Answer(text="The key.", json=answers.OwnKey)},
        errors=(401, 403),
    ),
    Operation(
        method="get",
        path="/v1/generation",
        id="getGeneration",
        tag="Account",
        text="What one call came to, about a second after its end.",
        parameters=(Parameter(name="id", text="Its `X-Request-ID`.", required=True),),
        answers={200: Answer(text="The call.", json=answers.Generation)},
        errors=(400, 401, 403, 404),
    ),
    Operation(
        method="get",
        path="/api/status",
        id="getStatus",
        tag="Health",
        text="How the gateway is; with a key, and where its operator allows it, every upstream.",
        answers={200: Answer(text="The state.", json=StatusDocument)},
        security="optional",
    ),
    Operation(
        method="post",
        path="/api/admin/reload",
        id="reloadSettings",
        tag="Management",
        text="Reads the file and the variables of the settings again, in all processes that share counters.",
        answers={200: Answer(text="They hold now; streams under way go on by the former ones.", json=Reloaded)},
        security="admin",
        errors=(400, 401, 403),
    ),
    Operation(
        method="get",
        path="/healthz",
        id="getLiveness",
        tag="Health",
        text="The process answers.",
        answers={200: Answer(text="It does.", json=answers.Alive)},
        security="none",
    ),
    Operation(
        method="get",
        path="/readyz",
        id="getReadiness",
        tag="Health",
        text="Calls can be answered.",
        answers={
            200: Answer(text="They can.", json=answers.Ready),
            503: Answer(text="They cannot; an error envelope where a database is the cause.", json=answers.Open),
        },
        security="none",
    ),
    Operation(
        method="get",
        path="/metrics",
        id="getMetrics",
        tag="Health",
        text="The numbers of this process, for Prometheus.",
        answers={200: Answer(text="Text.", other=("text/plain", "application/openmetrics-text"))},
        security="admin",
        errors=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/openapi.json",
        id="getOpenAPI",
        tag="Health",
        text="This document.",
        answers={200: Answer(text="The document.", json=answers.Open)},
        security="none",
    ),
)
