"""HTTP: the only folder, beside `gateway.py`, that knows ASGI and Starlette."""
