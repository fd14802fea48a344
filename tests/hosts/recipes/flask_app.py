"""Flask, or any WSGI application, under an ASGI server such as uvicorn."""

from a2wsgi import WSGIMiddleware
from flask import Flask

from compatgw import from_config

gateway = from_config()
flask = Flask(__name__)


@flask.get("/v1/hello")
def hello() -> dict[str, str]:
    return {"hello": "world"}


app = gateway.beside(WSGIMiddleware(flask), "/ai")
