"""HTTP: the only folder that knows Starlette, and what stands between ASGI and calls."""
