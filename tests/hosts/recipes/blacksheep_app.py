"""BlackSheep."""

from blacksheep import Application, Router

from compatgw import from_config

gateway = from_config()
blacksheep = Application(router=Router())


@blacksheep.router.get("/v1/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


app = gateway.beside(blacksheep, "/ai")
