"""FastAPI."""

from fastapi import FastAPI

from compatgw import from_config

gateway = from_config()  # compatgw.toml and the environment; or Gateway(providers=..., keys=[...])
app = FastAPI(lifespan=gateway.lifespan)  # or `async with gateway.lifespan():` inside a lifespan of your own


@app.get("/v1/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


app.mount("/ai", gateway)  # behind the routes of your own
