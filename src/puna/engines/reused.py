"""Tells a connection that a server had closed meanwhile from a server that does not answer. Knows httpx's trace; nothing of requests.

Servers close connections that were idle, some at the very moment at which the next request is sent. Nothing of that request was read, so it
may be sent once more at once, over another connection.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

_CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class Sending:
    """One request on its way. extensions: to be given to httpx with it."""

    def __init__(self) -> None:
        self._fresh = False
        self.extensions: Mapping[str, object] = {"trace": self._trace}

    async def _trace(self, event: str, _: Mapping[str, object]) -> None:
        if event.startswith("connection.connect_"):
            self._fresh = True

    def stale(self, error: httpx.HTTPError) -> bool:
        """Whether it went over a connection that had been used before, and was cut. Only asked where no answer had begun."""
        return not self._fresh and isinstance(error, _CUT)
