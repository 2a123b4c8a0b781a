"""The export as a Python script by the openai package, or by puna's own client."""

from __future__ import annotations

from puna.playground.export_text import headed, keywords, python_of, written
from puna.playground.exported import Exported

_BEYOND = ("top_k", "min_p", "repetition_penalty")
"""Parameters that the endpoint takes and OpenAI's own API does not have."""


def openai(given: Exported) -> str:
    """A script by the openai package."""
    call = "completions" if given.ids else "chat.completions"
    text = "choice.text" if given.ids else "choice.delta.content"
    proxy = "    http_client=openai.DefaultHttpxClient(trust_env=False),  # no proxy\n" if given.local else ""
    arguments = {name: value for name, value in given.arguments.items() if name not in _BEYOND}
    beyond = {name: value for name, value in given.arguments.items() if name in _BEYOND}
    return f"""\
{headed("the openai package", "pip install openai", given)}
# PUNA_AUTH_TOKEN is sent where it is set; an endpoint that checks nothing takes any other word.

import os

import openai

client = openai.OpenAI(
    base_url={python_of(given.root + "/v1")},
    api_key=os.environ.get("PUNA_AUTH_TOKEN") or "none",
{proxy})
{written(given)}stream = client.{call}.create(
    model={python_of(given.endpoint)},
{keywords(given.asked | arguments)}
    extra_body={python_of(beyond, 1)},
    stream=True,
)
for chunk in stream:
    for choice in chunk.choices:
        print({text} or "", end="", flush=True)
print()
"""


def client(given: Exported) -> str:
    """A script by puna's client, which keeps the conversation; an exact prompt is no conversation, and goes by httpx."""
    return _exact(given) if given.ids else _chat(given)


def _chat(given: Exported) -> str:
    *before, question = given.messages
    system = {}
    if given.messages.system is not None:
        system = {"system": given.messages.system}
        before = before[1:]
    history = {"history": [message.as_json() for message in before]} if before else {}
    chat = {"url": given.root, "endpoint": given.endpoint} | system | history
    return f"""\
{headed("puna's client", "pip install puna", given)}
# It bears no token and signs nothing: an endpoint that checks who asks is for the exports by openai, boto3 and curl.
# The conversation goes on with chat.stream("..."); chat.history holds it, chat.reply.receipt says what the answer cost.

import puna

with puna.Chat(
{keywords(chat)}
) as chat:
    for text in chat.stream(
        {python_of(question.content, 2)},
{keywords(given.arguments, 2)}
    ):
        print(text, end="", flush=True)
print()
"""


def _exact(given: Exported) -> str:
    proxy = ", trust_env=False" if given.local else ""
    return f"""\
{headed("httpx, which puna uses", "pip install httpx", given)}
# PUNA_AUTH_TOKEN is sent where it is set.

import json
import os
import sys

import httpx

URL = {python_of(given.scoped)}
{written(given)}BODY = {python_of(given.asked | given.arguments | {"stream": True})}

token = os.environ.get("PUNA_AUTH_TOKEN")
headers = {{"Authorization": f"Bearer {{token}}"}} if token else {{}}
timeout = httpx.Timeout(10, read=None)
with httpx.stream("POST", URL, json=BODY, headers=headers, timeout=timeout{proxy}) as answer:
    if answer.is_error:
        sys.exit(answer.read().decode())
    for line in answer.iter_lines():
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            break
        if data:
            record = json.loads(data)
            if "choices" not in record:
                sys.exit(data)
            print(record["choices"][0]["text"], end="", flush=True)
    else:
        sys.exit("the stream broke off; what came of the answer stands above")
print()
"""
