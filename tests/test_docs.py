"""The documentation is run: its examples, tables and links hold for the code that is here."""

import ast
import asyncio
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config
from starlette.routing import Mount, Route

import puna
import puna.formats
from puna import config
from puna.chat import Spine
from puna.engines.base import EngineInfo
from puna.engines.scripted import Scripted
from puna.errors import DialogError
from puna.formats import catalog
from puna.formats.chatml import SMOLLM2
from puna.messages import dialog_of
from puna.playground import records
from puna.playground.web import add_to
from puna.server import controlplane, invocations, receipts
from puna.server.app import Setup, create_app
from puna.server.auth import Token
from puna.server.fault_plan import Fault
from puna.server.faults import Faults
from puna.server.invocations import Limits
from puna.server.loading import Late
from puna.tokens.base import encode
from puna.tokens.sentencepiece import SentencePiece
from tests.oracles import oracle

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README, ENDPOINT, OPENAI, FORMATS, PLAYGROUND = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/endpoint.md", "docs/openai.md", "docs/formats.md", "docs/playground.md")
)
PUNA = [sys.executable, "-m", "puna.cli"]

Row = dict[str, str]


def tables(page: str) -> list[list[Row]]:
    """Every table of a page, each row by the names in the table's head."""
    found: list[list[Row]] = []
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines())
        assert all(len(row) == len(head) for row in rows), f"a row of the table {head} has too few or too many cells"
        found.append([dict(zip(head, (cell.replace("\\|", "|") for cell in row), strict=True)) for row in rows])
    return found


def table(page: str, *columns: str) -> list[Row]:
    """The rows of all tables that have these columns."""
    rows = [row for rows in tables(page) for row in rows if set(columns) <= set(row)]
    assert rows, f"no table has the columns {columns}"
    return rows


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


# ---- links


def anchors(file: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


# ---- README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_valid_in_their_language(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        ast.parse(block)
    for block in blocks(text, "sh"):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for block in blocks(text, "json"):
        json.loads(block)


def offline(**more: str) -> dict[str, str]:
    """An environment in which every verb uses the engine that needs no model."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PUNA_ENGINE": "scripted", "PATH": path, **more}


def run(words: list[str], env: dict[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
                          env=env, cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_block(word: str) -> str:
    (found,) = (block for block in blocks(README, "python") if word in block)
    return found


def test_the_python_example_without_a_client_runs(monkeypatch, capsys):
    monkeypatch.setenv("PUNA_ENGINE", "scripted")
    exec(python_block("import puna"), {})  # noqa: S102  # it is what a reader would do
    printed = capsys.readouterr().out
    assert printed.startswith("You said: What is a llama?Usage(")


def test_the_shell_example_without_a_client_runs(tmp_path):
    (tmp_path / "my_llama2_prompt.txt").write_text("[INST]Hi[/INST]", encoding="utf-8")
    (block,) = (block for block in blocks(README, "sh") if "puna prompt" in block)
    printed = run(["sh", "-e", "-c", block], offline(PUNA_HOME=str(tmp_path)), tmp_path)
    assert printed.startswith("You said: What is a llama?\nformat llama2, confidence 0.95\n")
    assert "no-space-after-inst" in printed
    assert printed.endswith(rendered("smollm2", ("user", "Hi")))


def test_the_boto3_example_runs_against_an_endpoint():
    """As the README says: by puna exec, the program unchanged."""
    words = [*PUNA, "exec", "--port", "0", "--", sys.executable, "-c", python_block("boto3")]
    assert run(words, offline()).splitlines()[0] == repr(b'{"outputs": ["You"]}\n')


def test_every_verb_of_the_shell_examples_is_one():
    from puna.cli import VERBS

    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "puna":
                    assert words[1] in VERBS, line


def test_every_option_of_a_verb_stands_in_the_page_of_the_command_line():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for file in (ROOT / "src" / "puna" / "cli").glob("*.py"):
        for flag in re.findall(r'add_argument\(\s*"(--[a-z-]+)"', file.read_text(encoding="utf-8")):
            assert re.search(rf"`{flag}[` ]", page), f"{flag} of {file.name}"


# ---- docs/endpoint.md


def spine(form: str = "chatml", **options: Any) -> Spine:
    engine = Scripted(**options)
    return Spine(engine, engine.info, catalog.get(form))


def asked(
    method: str, path: str, *, on: Any = None, full: bool = False, setup: Setup | None = None, **request: Any
) -> httpx.Response:
    """One request to the app. full: all slots are busy, and so is the queue."""

    async def exchange() -> httpx.Response:
        speaker = on or spine()
        transport = httpx.ASGITransport(create_app(speaker, "llama-2-7b", setup))
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://puna"))
            if full:
                engine = speaker.engine
                assert isinstance(engine, Scripted)
                for _ in range(engine.slots.size):
                    await stack.enter_async_context(engine.slots.slot())
                engine.slots.waiting = engine.slots.queue
            return await client.request(method, path, **request)

    return asyncio.run(exchange())


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
        "another operation (`X-Amz-Target`)": {"headers": {"x-amz-target": "SageMaker.ListModels"}},
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


# ---- docs/formats.md


def plain(cell: str) -> str:
    """An example as it really is: line breaks put in."""
    (text,) = code(cell)
    return text.replace("\\n", "\n")


def rendered(form: str, *turns: tuple[str, str]) -> str:
    return puna.render([{"role": role, "content": content} for role, content in turns], format=form).text


def test_the_pages_that_are_made_from_tables_are_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for page, make in generate.PAGES.items():
        assert (ROOT / "docs" / page).read_text(encoding="utf-8") == make(), f"docs/{page}: run `make docs`"


def emitted() -> set[str]:
    """Every code that is noted anywhere in formats."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(puna.formats.__path__):
        loaded = importlib.import_module(f"puna.formats.{module.name}")
        for node in ast.walk(ast.parse(Path(str(loaded.__file__)).read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in {"note", "Finding"} and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def test_every_code_has_its_row():
    page = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    documented = {code(row["code"])[0] for row in table(page, "code", "severity", "before", "after")}
    assert emitted() <= documented | {"more-slips"}


def test_the_rendered_examples_are_exact():
    whole = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye"))
    assert blocks(FORMATS, "llama2") == [rendered("llama2", *whole) + "\n"]
    assert blocks(FORMATS, "chatml") == [rendered("chatml", *whole)]
    assert blocks(FORMATS, "smollm2") == [rendered("smollm2", ("user", "Hi"))]


def test_no_format_allows_a_dialog_of_no_messages():
    for name in catalog.FORMATS:
        with pytest.raises(DialogError):
            puna.render([], format=name)


@pytest.mark.parametrize("row", table(FORMATS, "prompt", "read as"), ids=lambda row: row["prompt"])
def test_a_prompt_is_read_as_documented(row):
    parsed = puna.parse(plain(row["prompt"]))
    assert f"{parsed.format} {round(parsed.confidence, 2)}" == row["read as"].replace("`", "")


def test_the_confidences_are_documented():
    start, end = "<|im_start|>", "<|im_end|>"
    turn = "<s>[INST] q [/INST] a </s><s>[INST] r [/INST]"
    for text, said in {
        turn: "0.99",
        "[INST] q [/INST]": "0.95",
        "<s>[INST] q": "0.6",
        "x [INST] q [/INST]": "0.6",
        "Tags are [INST] and [/INST].": "0.3",
        f"{start}user\nq{end}\n": "0.98",
        f"{start}user\nq{end}": "0.95",
        f"{start}user\nq": "0.6",
        f"x {start}user\nq{end}": "0.6",
        "USER: q ASSISTANT:": "0.6",
    }.items():
        parsed = puna.parse(text)
        confidence = 1 - parsed.confidence if parsed.format == catalog.PLAIN else parsed.confidence
        assert str(round(confidence, 4)) == said, text
        assert any(said in row["confidence"] for row in table(FORMATS, "confidence")), text
    assert puna.parse(f"{start}system\n{SMOLLM2.default}{end}\n{start}user\nq{end}\n").format == "smollm2"
    assert puna.parse(f"{start}tool\nq{end}\n").format == catalog.PLAIN


@pytest.mark.parametrize(
    ("source", "to", "part"),
    [
        ("chatml", "gemma2", "beginning of the first user message"),
        ("chatml", "llama2", "joined to it"),
        ("chatml", "mistral-v1", "was joined to the user message before it"),
        ("chatml", "gemma3", "an empty user message was put first"),
        ("llama2", "qwen2.5", "a system sentence of its own"),
    ],
)
def test_what_a_target_cannot_express_is_said_as_documented(source, to, part):
    messages = {
        "beginning": ("system", "user"), "joined to it": ("system", "user", "system", "user"),
        "was joined": ("user", "user"), "an empty": ("assistant", "user"), "a system": ("user",),
    }[next(key for key in ("beginning", "joined to it", "was joined", "an empty", "a system") if part.startswith(key))]  # fmt: skip
    text = rendered(source, *((role, str(n)) for n, role in enumerate(messages)))
    assert any(part in change for change in puna.translate(text, to, source).changes)


def test_the_tokens_of_llama_2_are_the_documented_ones():
    vocabulary = SentencePiece(oracle("formats/llama2.tokenizer.model").read_bytes())
    for row in table(FORMATS, "text", "in a message"):
        (text,) = code(row["text"])
        ids = encode(vocabulary, puna.render([{"role": "user", "content": f"Hi {text}"}]).segments)
        assert row["in a message"] in " ".join(map(str, ids[5:])), text
        control = encode(vocabulary, catalog.FORMATS["llama2"].render(dialog_of(
            [{"role": r, "content": "x"} for r in ("user", "assistant", "user")])))  # fmt: skip
        assert f" {row['in a control segment']} " in f" {' '.join(map(str, control))} ", text
