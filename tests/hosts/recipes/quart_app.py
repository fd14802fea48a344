"""Quart."""

from quart import Quart

from compatgw import from_config

gateway = from_config()
quart = Quart(__name__)


@quart.get("/v1/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


app = gateway.beside(quart, "/ai")
