"""Which API a server at an address speaks: one question, where the address does not tell. Knows no prompts."""

from __future__ import annotations

import asyncio

import httpx

from puna.engines.remote import client, lost
from puna.engines.strangers import first_bytes, stranger
from puna.engines.timeouts import DEFAULTS, Timeouts
from puna.errors import EndpointError, RefusedError, UnreachableError
from puna.wire import strictjson

PUNA = "puna"
"""Who owns the models that an endpoint of puna's lists."""


MAX_LIST = 2**22
"""Bytes of a list of models that are read: gateways that have thousands of models tell some 500 bytes of each."""

QUESTION_SECONDS = 5.0
"""Longest wait for the list: nothing has to be computed for it."""


async def owner(url: str, key: str | None, timeouts: Timeouts = DEFAULTS) -> str | None:
    """Who owns the models that ``/v1/models`` lists, "" where that is not told; None where there is no such list: no OpenAI API.

    Raises:
        UnreachableError: nothing answers. RefusedError: a key is wanted. EndpointError: what answers is no server of models.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else None
    seconds = min(QUESTION_SECONDS, timeouts.first)
    waits = Timeouts(min(timeouts.connect, seconds), seconds, seconds)
    async with client(url, headers, waits) as http:
        try:
            async with asyncio.timeout(2 * seconds):  # a head or a body may also come byte by byte
                async with http.stream("GET", f"{url}/v1/models") as answer:
                    said = await first_bytes(answer, MAX_LIST) if answer.status_code == httpx.codes.OK else b""
        except TimeoutError:
            raise UnreachableError(
                f"{url}/v1/models was not told whole within {2 * seconds:g} s; is it such a server?"
            ) from None
        except httpx.HTTPError as error:
            raise lost(url, error, UnreachableError, waits) from error
    if (
        answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
        and "x-amzn-requestid" not in answer.headers
    ):
        raise RefusedError(
            f"{url} wants a key to tell what it is ({answer.status_code}); give the key, or say --api openai or --api sagemaker",
            answer.status_code,
        )
    if answer.status_code != httpx.codes.OK:
        return None
    return _owner(url, answer, said)


def _owner(url: str, answer: httpx.Response, body: bytes) -> str:
    if strange := stranger(url, answer, body):
        raise strange
    try:
        said = strictjson.loads(body)
    except ValueError:
        said = None
    match said:
        case {"data": [*entries]} if all(isinstance(entry, dict) for entry in entries):
            owners = {str(entry.get("owned_by") or "") for entry in entries}
            return owners.pop() if len(owners) == 1 else ""
    media = answer.headers.get("content-type", "no media type")
    raise EndpointError(
        f"{url}/v1/models must list models as the OpenAI API does, but answered with {media}; is it such a server, or a web page?"
    )
