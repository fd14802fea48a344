"""Flask, or any WSGI application, under a WSGI server with threads."""

from a2wsgi import ASGIMiddleware
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from compatgw import from_config

gateway = from_config()
flask = Flask(__name__)


@flask.get("/v1/hello")
def hello() -> dict[str, str]:
    return {"hello": "world"}


app = DispatcherMiddleware(flask.wsgi_app, {"/ai": ASGIMiddleware(gateway)})
