"""Starlette."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from compatgw import from_config

gateway = from_config()


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": "world"})


app = Starlette(routes=[Route("/v1/hello", hello), Mount("/ai", gateway)], lifespan=gateway.lifespan)
