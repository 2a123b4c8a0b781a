"""Sends STS calls to the endpoint of AWS_ENDPOINT_URL, also where a program names the STS address itself.

The SageMaker SDK v2 makes its STS client with an explicit https://sts.REGION.amazonaws.com, which beats
AWS_ENDPOINT_URL. botocore loads this file into each client when BOTOCORE_EXPERIMENTAL__PLUGINS names it (botocore
``plugin.py``, 2026-11-22). It runs in other people's interpreters: standard library only, nothing of puna.
"""

import os
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_STS = re.compile(r"sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")


def initialize_client_plugin(client: Any) -> None:
    """Called by botocore for each client that it makes."""
    # First, so before the request is signed.
    client.meta.events.register_first("request-created", _redirect)


def _redirect(request: Any, **_: Any) -> None:
    local = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    called = urlsplit(request.url)
    if local.netloc and _STS.fullmatch(called.hostname or ""):
        request.url = urlunsplit((local.scheme, local.netloc, *called[2:]))
