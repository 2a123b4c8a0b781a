"""docs/endpoint.md, docs/openai.md and docs/playground.md: routes, headers, errors, receipts and limits are those of the code."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.config import Config
from starlette.routing import Mount, Route

import puna
from puna import config
from puna.chat import Spine
from puna.engines.base import EngineInfo
from puna.playground import records
from puna.playground.web import add_to
from puna.server import controlplane, invocations, receipts
from puna.server.app import Setup, create_app
from puna.server.auth import Token
from puna.server.fault_plan import Fault
from puna.server.faults import Faults
from puna.server.invocations import Limits
from puna.server.loading import Late

from .asking import asked, spine
from .pages import blocks, code, table, text_of

ENDPOINT, OPENAI, PLAYGROUND = (text_of(f"docs/{name}.md") for name in ("endpoint", "openai", "playground"))
WHOLE = "/endpoints/llama-2-7b/invocations"


def test_the_routes_are_those_of_the_app():
    documented = {(row["method"], *code(row["path"])) for row in table(ENDPOINT, "method", "path")}
    routes = set()
    for route in create_app(spine(), "llama-2-7b").routes:
        assert isinstance(route, Route)
        path = re.sub(r"\{(\w+)[^}]*\}", lambda found: found.group(1).upper(), route.path)
        routes |= {(method, path) for method in (route.methods or set()) - {"HEAD"}}
    assert documented == routes


def test_the_playgrounds_page_lists_its_routes_and_codes(tmp_path):
    app = create_app(spine(), "llama-2-7b")
    endpoint = len(app.routes)
    add_to(app, spine(), tmp_path)
    routes = set()
    for route in app.routes[endpoint:]:
        if isinstance(route, Mount):
            routes.add(("GET", f"{route.path}/NAME"))
        elif isinstance(route, Route):
            path = re.sub(r"\{(\w+).*?\}", lambda name: name[1].upper(), route.path)
            routes |= {(method, path) for method in (route.methods or set()) - {"HEAD"}}
    assert {(row["method"], code(row["path"])[0]) for row in table(PLAYGROUND, "method", "path", "what")} == routes
    documented = {code(row["code"])[0] for row in table(PLAYGROUND, "code", "status", "when")}
    assert documented == {name for _, name in records.CODES} | {"input", "internal", "unauthorized"}


@pytest.mark.parametrize("row", table(ENDPOINT, "route", "`stream` not given"), ids=lambda row: row["route"])
def test_stream_beats_the_route(row):
    path = code(row["route"])[0].replace("...", "/endpoints/llama-2-7b")
    for column, more in (("`stream` not given", {}), ('`"stream": true`', {"stream": True}),
                         ('`"stream": false`', {"stream": False})):  # fmt: skip
        answer = asked("POST", path, json={"prompt": "x", **more})
        frames = answer.content.count(b"PayloadPart")
        lines = answer.content.count(b'{"outputs": [')
        assert answer.content.endswith(b"\n") or frames
        expected = {
            "whole": (0, 1),
            "JSON": (0, 3),
            "one frame per piece": (3, 3),
            "one frame for the whole answer": (1, 1),
        }
        assert (frames, lines) == next(value for key, value in expected.items() if row[column].startswith(key))
        media = answer.headers["content-type"]
        assert media in {code(entry["`Content-Type`"])[0] for entry in table(ENDPOINT, "`Content-Type`", "body")}


def test_the_headers_are_those_of_an_answer():
    struck = Setup(faults=Faults([Fault("slow", ("stream",), every=1, seconds=0.0)]))
    answer = asked("POST", f"{WHOLE}-response-stream", setup=struck, json={"prompt": "x"})
    documented = {name.lower() for row in table(ENDPOINT, "header", "on", "value") for name in code(row["header"])}
    refused = asked("POST", WHOLE, json={})
    own = {name for name in {*answer.headers, *refused.headers} if name.startswith("x-")}
    assert own == documented


@pytest.mark.parametrize("row", table(ENDPOINT, "`x-puna-prompt`"), ids=lambda row: row["`x-puna-prompt`"])
def test_the_origins_of_a_prompt(row):
    (value,) = code(row["`x-puna-prompt`"])
    form, body = {
        "as-is": ("llama2", {"prompt": "<s>[INST] Hi [/INST]"}),
        "repaired; from=llama2": ("llama2", {"prompt": "[INST]Hi[/INST]"}),
        "translated; from=llama2; to=smollm2": ("smollm2", {"prompt": "<s>[INST] Hi [/INST]"}),
        "rendered; to=smollm2": ("smollm2", {"messages": [{"role": "user", "content": "Hi"}]}),
    }[value]
    assert asked("POST", WHOLE, on=spine(form), json=body).headers["x-puna-prompt"] == value


def nobody_foresaw(*_: object) -> str:
    raise ZeroDivisionError


async def for_ever(_: int) -> None:
    await asyncio.Event().wait()


def late() -> Late:
    return Late(EngineInfo("smollm2-135m", "", 4096, 4))


def stopped() -> Spine:
    found = spine()
    asyncio.run(found.engine.close())
    return found


# The documented situation: the request that brings it about.
SITUATIONS: dict[str, Callable[[], httpx.Response]] = {
    "wrong JSON, field, type, range or dialog": lambda: asked("POST", WHOLE, json={"prompt": "x", "temperature": 3}),
    "prompt and answer exceed the window": lambda: asked(
        "POST", WHOLE, json={"prompt": "x", "max_tokens_to_sample": 4096}
    ),
    "the answer, or its first piece, takes too long": lambda: asked(
        "POST", WHOLE, on=spine(pace=for_ever), setup=Setup(limits=Limits(invocation=0.05)), json={"prompt": "x"}
    ),
    "no endpoint of that name": lambda: asked("POST", "/endpoints/other/invocations", json={"prompt": "x"}),
    "a name that no endpoint can have": lambda: asked("POST", "/endpoints/bad%20name/invocations", json={}),
    "a header that is not offered": lambda: asked(
        "POST", WHOLE, headers={"x-amzn-sagemaker-inference-component": "one"}, json={"prompt": "x"}
    ),
    "a body over 6 MiB": lambda: asked("POST", WHOLE, content=b"x" * (6 * 1024 * 1024 + 1)),
    "InvokeEndpointAsync": lambda: asked("POST", "/endpoints/llama-2-7b/async-invocations"),
    "all slots busy and the queue full": lambda: asked("POST", WHOLE, full=True, json={"prompt": "x"}),
    "the model is being loaded": lambda: asked("POST", WHOLE, on=late(), json={"prompt": "x"}),
    "the engine failed before the first record": lambda: asked(
        "POST", WHOLE, on=spine(fail_after=0), json={"prompt": "x"}
    ),
    "the engine is stopping": lambda: asked("POST", WHOLE, on=stopped(), json={"prompt": "x"}),
    "nobody foresaw it": lambda: asked("POST", WHOLE, on=spine(answer=nobody_foresaw), json={"prompt": "x"}),
    "no such route": lambda: asked("POST", "/chat"),
    "another method": lambda: asked("GET", WHOLE),
    "no such receipt": lambda: asked("GET", "/receipts/none"),
}


@pytest.mark.parametrize("row", table(ENDPOINT, "situation", "error type"), ids=lambda row: row["situation"])
def test_an_error_is_the_documented_one(row):
    answer = SITUATIONS[row["situation"]]()
    assert (str(answer.status_code), answer.headers.get("x-amzn-errortype", "-")) == (row["status"], row["error type"])
    said = answer.json()["Message"].replace('\\"', '"')
    for message in code(row["message"]):
        assert re.fullmatch(re.escape(message).replace(r"\.\.\.", ".*"), said, re.DOTALL), said
    if row["error type"] == "ModelError":
        fields = table(ENDPOINT, "field of the body")
        assert {code(field["field of the body"])[0] for field in fields} == set(answer.json())


def test_every_situation_is_documented():
    assert {row["situation"] for row in table(ENDPOINT, "situation", "error type")} == set(SITUATIONS)


@pytest.mark.parametrize(
    ("path", "options", "limits", "last"),
    [
        (f"{WHOLE}-response-stream", {"fail_after": 1}, Limits(), "StreamBroken"),
        (f"{WHOLE}-response-stream", {"pace": lambda n: for_ever(n) if n else asyncio.sleep(0)}, Limits(stream=0.05),
         "ModelInvocationTimeExceeded"),
        ("/invocations", {"fail_after": 1}, Limits(), '"code": 500'),
    ],
)  # fmt: skip
def test_an_error_inside_a_stream_is_the_documented_one(path, options, limits, last):
    assert last in ENDPOINT
    answer = asked("POST", path, on=spine(**options), setup=Setup(limits=limits), json={"prompt": "x", "stream": True})
    assert answer.status_code == 200
    assert last.encode() in answer.content


# The documented situation on an OpenAI route: the request that brings it about.
CHAT, HELLO = "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
OPENAI_SITUATIONS: dict[str, Callable[[], httpx.Response]] = {
    "wrong JSON, field, type or range": lambda: asked("POST", CHAT, json={**HELLO, "temperature": 3}),
    "prompt and answer exceed the window": lambda: asked("POST", CHAT, json={**HELLO, "max_tokens": 4096}),
    "no or a wrong token (`--auth`)": lambda: asked("POST", CHAT, setup=Setup(proofs=(Token("secret"),)), json=HELLO),
    "a model that is not served": lambda: asked("POST", CHAT, json={**HELLO, "model": "gpt-x"}),
    "no such route below `/v1`": lambda: asked("POST", "/v1/embeddings", json=HELLO),
    "a body over 6 MiB": lambda: asked("POST", CHAT, content=b"x" * (6 * 1024 * 1024 + 1)),
    "all slots busy and the queue full": lambda: asked("POST", CHAT, full=True, json=HELLO),
    "the engine failed": lambda: asked("POST", CHAT, on=spine(fail_after=0), json=HELLO),
    "the model is being loaded, or the endpoint stops": lambda: asked("POST", CHAT, on=late(), json=HELLO),
}


def test_the_errors_of_the_openai_api_are_the_documented_ones():
    rows = table(OPENAI, "situation on an OpenAI route", "type", "code")
    assert {row["situation on an OpenAI route"] for row in rows} == set(OPENAI_SITUATIONS)
    for row in rows:
        answer = OPENAI_SITUATIONS[row["situation on an OpenAI route"]]()
        error = answer.json()["error"]
        assert str(answer.status_code) == row["status"], row
        assert [error["type"]] == code(row["type"])
        assert [name for name in [error["code"]] if name] == code(row["code"])
        assert error["param"] is None
        assert ("retry-after" in answer.headers) == (answer.status_code in {429, 503})


@pytest.mark.parametrize("field", ["tools", "logit_bias"])
def test_what_the_openai_page_says_is_refused_is_refused_by_name(field):
    answer = asked("POST", CHAT, json={**HELLO, field: [{"x": 1}]})
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]
    assert field in OPENAI


def test_the_receipt_is_the_one_that_the_scripted_engine_gives():
    _, block = blocks(ENDPOINT, "json")
    (request,) = re.findall(r'^`(\{"prompt": "<s>.*\})` on', ENDPOINT, re.MULTILINE)
    on = spine()

    async def exchange() -> Any:
        transport = httpx.ASGITransport(create_app(on, "llama-2-7b"))
        async with httpx.AsyncClient(transport=transport, base_url="http://puna") as client:
            answer = await client.post(WHOLE, json=json.loads(request))
            return (await client.get(answer.headers["x-puna-receipt"])).json()

    documented, given = json.loads(block), asyncio.run(exchange())
    assert list(documented) == list(given)
    for own in (documented, given):
        del own["id"], own["seconds"]["queue"]
    documented["engine"] = re.sub(r"\d+\.\d+\.\d+", puna.__version__, documented["engine"])
    assert documented == given


def test_the_fields_of_a_receipt_are_documented():
    _, block = blocks(ENDPOINT, "json")
    receipt = json.loads(block)
    names = {*receipt, *(f"prompt.{name}" for name in receipt.pop("prompt"))} - {"prompt"}
    names -= {"id", "endpoint", "status", "model", "engine"}  # they say it themselves
    assert {
        code(row["field"])[0] for row in table(ENDPOINT, "field", "meaning") if set(row) == {"field", "meaning"}
    } == names


def test_the_limits_are_those_of_the_code():
    limits = {row["limit"]: row["value"] for row in table(ENDPOINT, "limit", "value")}
    assert limits["body of a request"] == f"6 MiB ({invocations.MAX_BODY} bytes)"
    defaults = config.Settings()
    assert limits["requests that wait"] == f"`--queue`, {defaults.queue} by default"
    assert f"`--invocation-seconds`, {defaults.invocation_seconds} by default" in " ".join(limits.values())
    assert f"`--stream-seconds`, {defaults.stream_seconds} by default" in " ".join(limits.values())
    assert Limits() == Limits(defaults.invocation_seconds, defaults.stream_seconds, cap=defaults.answer_length == "cap")
    assert limits["form of a call to `/`"] == f"{controlplane.MAX_BODY // 1024} KiB"
    assert limits["receipts"] == f"the newest {receipts.KEPT}"


@pytest.mark.parametrize("row", table(ENDPOINT, "call", "answer"), ids=lambda row: row["call"])
def test_sts_and_iam_answer_as_documented(row):
    sent: dict[str, Any] = {
        "GetCallerIdentity": {"data": {"Action": "GetCallerIdentity"}},
        "GetRole of `PunaLocalRole`": {"data": {"Action": "GetRole", "RoleName": "PunaLocalRole"}},
        "GetRole of another name": {"data": {"Action": "GetRole", "RoleName": "Other"}},
        "any other action": {"data": {"Action": "ListRoles"}},
        "DescribeEndpoint": {
            "headers": {"x-amz-target": "SageMaker.DescribeEndpoint"},
            "json": {"EndpointName": "llama-2-7b"},
        },
        "ListEndpoints": {"headers": {"x-amz-target": "SageMaker.ListEndpoints"}, "json": {}},
        "DescribeEndpointConfig": {
            "headers": {"x-amz-target": "SageMaker.DescribeEndpointConfig"},
            "json": {"EndpointConfigName": "llama-2-7b"},
        },
        "another operation (`X-Amz-Target`)": {"headers": {"x-amz-target": "SageMaker.ListTrainingJobs"}},
    }[row["call"]]
    answer = asked("POST", "/", **sent)
    status, _, name = row["answer"].partition(" ")
    if status.isdigit():
        assert answer.status_code == int(status)
        assert name.split(";")[0] in answer.text
    else:
        assert (code(row["answer"]) or ["llama-2-7b"])[0] in answer.text


def test_boto3_asks_for_silence_as_long_as_documented():
    assert f"{Config().read_timeout} s without a byte" in ENDPOINT
