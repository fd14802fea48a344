"""The ways into an ASGI application: in process, on a socket (`server.py`), and by environment variables.

`inprocess` makes transports and clients for httpx and httpx2, `exchange` serves one request, `loopthread`
runs it for clients without a loop, `on_httpx` and `on_httpx2` speak each library's own types, `crossroads`
puts many applications on one address, `breakable` ends a real connection on purpose, `environ` says which
variables point applications at an address. What is served lives in `fakes/` and `cassettes/`.
"""
