"""The export by boto3: a script, and a notebook of the same parts. Knows SageMaker Runtime, notebooks, and the dialects of the OpenAI API.

Those dialects are chosen because no other takes both messages and token ids, and because they pass on every character of an answer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from puna.playground.export_text import headed, python_of, shown, written
from puna.playground.exported import Exported


@dataclass(frozen=True, slots=True)
class _Part:
    """A step of the program. id: of its cell. why: in Markdown, where the program is explained."""

    id: str
    why: str
    code: str


def script(given: Exported) -> str:
    """A Python script."""
    head = headed("boto3", "pip install boto3", given)
    steps = (f"\n{part.code}" if part.code.startswith("def ") else part.code for part in _parts(given))
    return "\n\n".join((f"{head}\n{_KEYS}", *steps)) + "\n"


def notebook(given: Exported) -> str:
    """A notebook (nbformat 4.5, https://nbformat.readthedocs.io/en/latest/format_description.html, read 2026-11-28)."""
    title = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", shown(given.title[:200])) or "A prompt"
    about = (
        f"# {title}\n\nThis notebook asks the endpoint `{given.endpoint}` at `{given.root}` what the playground asked it, and streams "
        "the answer. It needs boto3 (`pip install boto3`). With the same seed the same model gives the same answer."
    )
    cells = [_cell("about", about)]
    for part in _parts(given):
        cells += [_cell(f"why-{part.id}", part.why), _cell(part.id, part.code, code=True)]
    value = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(value, indent=1) + "\n"


def _cell(name: str, source: str, *, code: bool = False) -> dict[str, object]:
    first: dict[str, object] = {"cell_type": "code" if code else "markdown", "id": name, "metadata": {}}
    run: dict[str, object] = {"execution_count": None, "outputs": []} if code else {}
    return first | run | {"source": re.findall(r"[^\n]*\n|[^\n]+", source)}


_KEYS = """\
# Keys are boto3's own affair: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, and so on. PUNA_AUTH_TOKEN, where it is set, is
# sent in place of a signature."""


def _parts(given: Exported) -> tuple[_Part, ...]:
    text = 'choice["text"]' if given.ids else 'choice["delta"].get("content") or ""'
    body = python_of(given.asked | given.arguments | {"stream": True})
    what = "the tokens of the prompt, as they are" if given.ids else "the messages"
    return (
        _Part(
            "imports",
            "## The endpoint",
            _IMPORTS + f"\nURL = {python_of(given.root)}\nENDPOINT = {python_of(given.endpoint)}",
        ),
        _Part(
            "body",
            f"## The request\n\nIts body has {what}, and every parameter of sampling, so that no default can change the answer.",
            f"{written(given)}BODY = {body}",
        ),
        _Part(
            "client",
            "## The client\n\nKeys are boto3's own affair (environment, `~/.aws`); `PUNA_AUTH_TOKEN`, where it is set, is sent in place of "
            "a signature.",
            _client(given),
        ),
        _Part(
            "reader",
            "## The answer's pieces\n\nThe answer is a stream of lines, `data: {...}`. A frame may end anywhere, also inside a character, so "
            "lines are put together from bytes before they are read.",
            _READER.replace("TEXT", text),
        ),
        _Part("ask", "## Asking", _ASK),
    )


_IMPORTS = """\
import json
import os

import boto3
from botocore import UNSIGNED
from botocore.config import Config
"""


def _client(given: Exported) -> str:
    local = "# Where there are no keys, a request to this machine goes unsigned, which will do unless the endpoint checks.\n"
    unsigned = "bool(token) or session.get_credentials() is None" if given.local else "bool(token)"
    proxy = ", proxies={}" if given.local else ""
    return f"""\
session = boto3.Session()
token = os.environ.get("PUNA_AUTH_TOKEN")
{local if given.local else ""}unsigned = {unsigned}
runtime = session.client(
    "sagemaker-runtime",
    endpoint_url=URL,
    region_name=session.region_name or "us-east-1",
    config=Config(signature_version=UNSIGNED if unsigned else None{proxy}),
)

if token:
    runtime.meta.events.register(
        "before-send.sagemaker-runtime",
        lambda request, **_: request.headers.update(Authorization=f"Bearer {{token}}"),
    )"""


_READER = '''\
def texts(events):
    """The answer's pieces, as they come."""
    rest = b""
    for event in events:
        *lines, rest = (rest + event["PayloadPart"]["Bytes"]).split(b"\\n")
        for line in lines:
            name, _, data = line.partition(b":")
            if name != b"data":
                continue
            if data.strip() == b"[DONE]":
                return
            for choice in json.loads(data)["choices"]:
                yield TEXT
    raise EOFError("the stream broke off; what came of the answer stands above")
'''

_ASK = """\
answer = runtime.invoke_endpoint_with_response_stream(
    EndpointName=ENDPOINT, ContentType="application/json", Body=json.dumps(BODY)
)
for text in texts(answer["Body"]):
    print(text, end="", flush=True)
print()"""
