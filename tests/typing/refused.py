"""What type checkers must refuse. Each line that is wrong says so; one that were accepted would be a finding itself."""

from __future__ import annotations

from compatgw import Gateway, Principal

Gateway(unsupported="sometimes")  # type: ignore[arg-type]
Gateway(tranport="httpx")  # type: ignore[call-arg]
Gateway(shutdown_grace="8")  # type: ignore[arg-type]
Gateway(authenticate=lambda connection: True)  # type: ignore[arg-type, return-value]
Gateway().client("requests")  # type: ignore[call-overload]
Gateway().client(api_key=7)  # type: ignore[call-overload]
Principal(name=7)  # type: ignore[arg-type]
