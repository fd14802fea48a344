"""Litestar."""

from litestar import Litestar, asgi, get
from litestar.types import Receive, Scope, Send

from compatgw import from_config

gateway = from_config()


@asgi("/ai", is_mount=True, copy_scope=True)
async def ai(scope: Scope, receive: Receive, send: Send) -> None:
    await gateway(scope, receive, send)


@get("/v1/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


app = Litestar([ai, hello], lifespan=[gateway.lifespan])
