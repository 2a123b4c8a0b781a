"""Receipts of the newest requests, by request id. Knows JSON values; nothing of HTTP but the two answers at the end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from puna.server import aws

KEPT = 1000


class Receipts:
    """The newest ``kept`` receipts, in memory; older ones go."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._receipts: OrderedDict[str, Mapping[str, object]] = OrderedDict()

    def put(self, request_id: str, receipt: Mapping[str, object]) -> None:
        """Keep a receipt."""
        self._receipts[request_id] = receipt
        while len(self._receipts) > self.kept:
            self._receipts.popitem(last=False)

    def get(self, request_id: str) -> Mapping[str, object] | None:
        """The receipt, if it is still here."""
        return self._receipts.get(request_id)

    async def show(self, request: Request) -> Response:
        """``GET /receipts/{id}``."""
        found = self.get(request.path_params["id"])
        if found is None:
            sentence = (
                f"there is no receipt of that id: the newest {self.kept} are kept, from the end of each answer on; the id "
                f"stands in an answer's header x-puna-receipt"
            )
            return aws.error(404, "ResourceNotFound", sentence)
        return Response(aws.to_json(found), media_type="application/json")


def path_of(request_id: str) -> str:
    """Where a receipt is found."""
    return f"/receipts/{request_id}"
