"""Which pages may speak to the endpoint: its own, and no other site's. Knows the headers Host and Origin; no route's business.

A web page anywhere can make its reader's browser send requests to 127.0.0.1. Browsers say in ``Origin`` whose page it was
(https://fetch.spec.whatwg.org/#origin-header); SDKs and curl send none. A site that has its own name point to 127.0.0.1 (DNS
rebinding) looks like the same origin, but its name stands in ``Host``; so the page's own routes are for addresses and for this
machine's names only.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.types import ASGIApp, Receive, Scope, Send

from puna.server import aws
from puna.server.exchange import exchange_of

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]@/\s]+)(:[0-9]{1,5})?")


class Origins:
    """The layer that refuses foreign pages. browsed: beginnings of paths that only a browser asks for, at a known name."""

    def __init__(self, app: ASGIApp, browsed: tuple[str, ...] = ("/api/", "/static/")) -> None:
        self.app = app
        self.browsed = browsed
        self.machine = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403."""
        if scope["type"] == "http" and (why := self._foreign(scope)):
            exchange_of(scope).note = f"refused: {why}"
            await aws.error(403, "AccessDeniedException", why)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _foreign(self, scope: Scope) -> str | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in {b"host", b"origin"}}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if origin is not None and (origin.partition("://")[2] != host or not self._is_here(host)):
            return f"the page at {origin[:200]!r} may not use this endpoint; open the endpoint's own page instead"
        path: str = scope["path"]
        browsed = path.startswith(self.browsed) or (path == "/" and scope["method"] in {"GET", "HEAD"})
        if browsed and not self._is_here(host):
            return (
                f"this endpoint is not known as {host[:200]!r}; open it by its address, such as http://127.0.0.1:8080/"
            )
        return None

    def _is_here(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].lower()
        if name in {"localhost", self.machine} or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True
