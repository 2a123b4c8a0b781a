"""Exported programs: each is run as it is and prints the text that the endpoint gives; any text survives in it, no secret is in it."""

from __future__ import annotations

import ast
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import DialogError, EngineError, InputError
from puna.generation import Sampling
from puna.messages import Dialog, Message, Role, dialog_of
from puna.playground.export import TARGETS, Exported, File, export
from tests.cli.test_serving import serving
from tests.server.live import ENDPOINT, Live

SAMPLING = Sampling(
    temperature=0.8, top_p=0.95, top_k=7, min_p=0.05, max_tokens=40, seed=2**32 - 2, stop=("\n\n\n", "'EOF'", "é\u2028"),
    repetition_penalty=1.1, presence_penalty=0.5, frequency_penalty=-0.25,
)  # fmt: skip

HOSTILE = (
    "plain",
    "",
    "'EOF'\nEOF\nBODY\nHEADERS\n'BODY'\n",
    '"""\n\'\'\'\n\\"\\\\\\',
    "$HOME ${x:?} `id` $(id) \\$ !! %s %% {x} {{}} @-",
    "\r\n\t\x0b\x0c\x1b[31m\x7f\x85\u2028\u2029\ufeff",
    "🦙👩\u200d🚀 e\u0301 \U000e0001 \u202eright to left",
    "</script><!-- --> <s>[INST] <<SYS>> <|im_start|>",
    "#!/bin/sh\n# -*- coding: latin-1 -*-\n%%bash\n!id\nwhat?",
)

DIALOG = Dialog((
    Message(Role.SYSTEM, "\n".join(HOSTILE)),
    *(Message((Role.USER, Role.ASSISTANT)[n % 2], text) for n, text in enumerate(HOSTILE)),
))  # fmt: skip

PIECES = ["\n", "Das", " ", "Lama 🦙", " \u2028\x85", '"\\', "\r\n", "data: [DONE]\n\n", "Ende", " "]


PROGRAMS = [target for target in TARGETS if target != "notebook"]
"""Its parts are those of boto3's script."""


def chat(url: str = "http://127.0.0.1:8080", messages: Dialog = DIALOG, **changed: Any) -> Exported:
    return Exported(**{"url": url, "endpoint": ENDPOINT, "messages": messages, "sampling": SAMPLING, **changed})


def raw(url: str = "http://127.0.0.1:8080", **changed: Any) -> Exported:
    values = {"prompt": "\0".join(HOSTILE), "ids": tuple(range(400)), **changed}
    return Exported(**{"url": url, "endpoint": ENDPOINT, "sampling": SAMPLING, **values})


def cells(file: File, kind: str = "code") -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(file.text)["cells"] if cell["cell_type"] == kind]


def program(file: File) -> str:
    """Python's text, or the shell's."""
    return "\n".join(cells(file)) if file.filename.endswith(".ipynb") else file.text


def run(file: File, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """As a user runs it, without anything in the environment that the program was not promised."""
    shell = file.filename.endswith(".sh")
    if shell and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    path = folder / (file.filename if not file.filename.endswith(".ipynb") else "notebook.py")
    path.write_bytes(program(file).encode())
    paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    bare = {"PATH": paths, "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true", "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        ["sh" if shell else sys.executable, str(path)], capture_output=True, check=False, timeout=120, env=bare | env
    )


def printed(file: File, folder: Path, **env: str) -> str:
    done = run(file, folder, **env)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()


# ---- run against a real server, which tells what it was asked


@pytest.mark.parametrize("target", TARGETS)
def test_a_program_asks_the_same_and_prints_the_answer(live: Live, tmp_path: Path, target: str) -> None:
    live.speaker.script = list(PIECES)
    assert printed(export(target, chat(live.url)), tmp_path) == "".join(PIECES) + "\n"
    *_, ask = live.speaker.asked  # puna's client asks how long the prompt is, too
    assert ask.prompt == DIALOG
    assert ask.sampling == SAMPLING
    assert ask.given == set(Sampling.__dataclass_fields__)


@pytest.mark.parametrize("target", TARGETS)
def test_an_exact_prompt_goes_as_its_tokens(live: Live, tmp_path: Path, target: str) -> None:
    live.speaker.script = list(PIECES)
    assert printed(export(target, raw(live.url)), tmp_path) == "".join(PIECES) + "\n"
    (ask,) = live.speaker.asked
    assert ask.prompt == tuple(range(400))
    assert ask.sampling == SAMPLING
    assert ask.given == set(Sampling.__dataclass_fields__)


@pytest.mark.parametrize("target", PROGRAMS)
def test_what_is_off_needs_no_word(live: Live, tmp_path: Path, target: str) -> None:
    """The defaults of routes differ, but not those of what a program leaves out."""
    plain = Sampling(temperature=0, top_p=1, top_k=0, seed=0)
    only = dialog_of([{"role": "user", "content": "Hi"}])
    printed(export(target, chat(live.url, only, sampling=plain)), tmp_path)
    *_, ask = live.speaker.asked  # puna's client asks how long the prompt is, too
    assert ask.prompt == only
    assert ask.sampling == plain
    assert not ask.open_end


FAILING = [*((target, chat) for target in PROGRAMS), ("client", raw)]


@pytest.mark.parametrize(("target", "make"), FAILING)
def test_a_refusal_is_told_and_fails(live: Live, tmp_path: Path, target: str, make: Any) -> None:
    live.speaker.unprepared = InputError("the script says no")
    done = run(export(target, make(live.url)), tmp_path)
    assert done.returncode != 0
    assert b"the script says no" in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize(("target", "make"), FAILING)
def test_a_stream_that_breaks_is_no_answer(live: Live, tmp_path: Path, target: str, make: Any) -> None:
    live.speaker.script = ["begun ", "well", EngineError("the script breaks off")]
    done = run(export(target, make(live.url)), tmp_path)
    assert done.returncode != 0
    assert b"the script breaks off" in done.stderr
    assert done.stdout.strip() in {b"", b"begun well"}


def test_a_token_comes_from_the_environment(tmp_path: Path) -> None:
    hello = dialog_of([{"role": "user", "content": "Hi"}])
    with serving("--auth", "token", env={"PUNA_AUTH_TOKEN": "s3cret"}) as (_, url):
        files = [export(target, chat(url, hello)) for target in ("curl", "boto3", "openai")]
        for file in (*files, export("client", raw(url, ids=(5, 6)))):
            assert "s3cret" not in file.text
            assert printed(file, tmp_path, PUNA_AUTH_TOKEN="s3cret").startswith("You said: ")
        for file in files:
            assert b"Bearer" in run(file, tmp_path).stderr


def test_boto3_signs_where_there_are_keys(tmp_path: Path) -> None:
    with serving("--auth", "sigv4", env={"PUNA_AUTH_KEYS": "AKIDONE:first"}) as (_, url):
        file = export("boto3", chat(url, dialog_of([{"role": "user", "content": "Hi"}])))
        keys = {"AWS_ACCESS_KEY_ID": "AKIDONE", "AWS_SECRET_ACCESS_KEY": "first"}
        assert printed(file, tmp_path, **keys) == "You said: Hi\n"
        assert run(file, tmp_path).returncode != 0


MODEL = ("--engine", "llamacpp", "--threads", "1", "--context", "512", "--slots", "2")


@pytest.mark.model
def test_the_model_says_the_same_by_every_program(model_home: Path, tmp_path: Path) -> None:
    """Sampled by a seed; the page's own answer is asked for with alternatives, the programs' are not."""
    messages = dialog_of([
        {"role": "system", "content": "You are a poet. You answer in two sentences."},
        {"role": "user", "content": "What is a llama?"},
        {"role": "assistant", "content": "A camelid of the Andes."},
        {"role": "user", "content": "And an alpaca? 🦙"},
    ])  # fmt: skip
    sampling = Sampling(temperature=0.8, top_k=0, top_p=0.95, seed=42, max_tokens=48, repetition_penalty=1.1)
    body = {**sampling.as_json(), "messages": messages.as_json(), "logprobs": True, "top_logprobs": 10}
    with serving(*MODEL) as (_, url), httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        told = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
        ids = tuple(http.post("/tokenize", json={"messages": messages.as_json()}).json()["tokens"])
        other = http.post("/v1/chat/completions", json={**body, "seed": 43}).json()
        assert other["choices"][0]["message"]["content"] != told
        for target in TARGETS:
            assert printed(export(target, chat(url, messages, sampling=sampling)), tmp_path) == told + "\n", target
            exact = raw(url, prompt=None, ids=ids, sampling=sampling)
            assert printed(export(target, exact), tmp_path) == told + "\n", target


# ---- any text survives


def told_by(file: File) -> dict[str, Any]:
    """What a program will ask, read out of its text without running it."""
    text = program(file)
    if file.filename.endswith(".sh"):
        return dict(json.loads(text.split("\nHEADERS\n")[1].removesuffix("\nBODY\n")))
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(text.encode())):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BODY":
            found |= ast.literal_eval(node.value)
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in {"puna.Chat", "chat.stream"} | {
            f"client.{kind}.create" for kind in ("chat.completions", "completions")
        }:
            found |= {entry.arg or "": ast.literal_eval(entry.value) for entry in node.keywords}
            found |= {"question": text for text in map(ast.literal_eval, node.args)}  # noqa: B035  # one at most
    found |= found.pop("extra_body", {})
    if "question" in found:
        system = [{"role": "system", "content": found.pop("system")}] if "system" in found else []
        question = {"role": "user", "content": found.pop("question")}
        found["messages"] = [*system, *found.pop("history", []), question]
    return {name: value for name, value in found.items() if name not in {"url", "endpoint", "model", "stream"}}


TEXT = st.text(st.characters(codec="utf-8")) | st.lists(st.sampled_from(HOSTILE), max_size=3).map("\n".join)
MESSAGE = st.builds(Message, st.sampled_from(Role), TEXT)


@pytest.mark.parametrize("target", TARGETS)
@settings(deadline=None, max_examples=60)
@given(st.lists(MESSAGE, max_size=3), TEXT, TEXT, st.data())
def test_any_text_survives(target: str, before: list[Message], last: str, title: str, data: st.DataObject) -> None:
    stops = data.draw(st.lists(st.text(min_size=1, max_size=60), max_size=3))
    sampling = Sampling(temperature=0.7, stop=tuple(stops), seed=data.draw(st.none() | st.just(3)))
    messages = Dialog((*before, Message(Role.USER, last)))
    one = chat(messages=messages, title=title, sampling=sampling)
    two = raw(prompt=last, ids=tuple(data.draw(st.lists(st.integers(0, 2**31 - 1), min_size=1))), title=title)
    for given_, asked in ((one, {"messages": messages.as_json()}), (two, {"prompt": list(two.ids)})):
        file = export(target, given_)
        named = {name: value for name, value in given_.sampling.as_json().items() if value not in (None, [])}
        assert told_by(file) == asked | named
        for text in (file.text, *(cells(file) if target == "notebook" else ())):
            assert all(line.isprintable() for line in text.split("\n"))
        assert file.text.encode().endswith(b"\n")


@pytest.mark.parametrize("target", TARGETS)
def test_a_title_stays_a_title(live: Live, tmp_path: Path, target: str) -> None:
    title = '\n"""; import os; os._exit(3)\n-*- coding: utf-16 -*- $(exit 3) `exit 3`\r\u2028exit 3\n# <img src=x onerror=y> [x](y)'
    file = export(target, chat(live.url, dialog_of([{"role": "user", "content": "Hi"}]), title=title))
    assert printed(file, tmp_path) == "Ein Lama frißt.\n"
    assert file.filename.startswith("import-os-os-exit-3-coding-utf-16")
    if target == "notebook":
        assert r"\<img src\=x onerror\=y\> \[x\]\(y\)" in cells(file, "markdown")[0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("title", ["", "boto3", "openai", "puna", "Ä", "../../etc/passwd", "a" * 999, "CON"])
def test_a_file_has_a_name_that_shadows_nothing(target: str, title: str) -> None:
    name = export(target, chat(title=title)).filename
    assert name == Path(name).name
    assert Path(name).stem not in {"boto3", "openai", "puna", "httpx", "json", "os", "con"} or target == "notebook"
    assert len(name) < 60
    assert name.isascii()


# ---- the reader of frames


@pytest.mark.parametrize("make", [chat, raw])
@settings(deadline=None)
@given(st.lists(st.integers(0, 2000), max_size=30))
def test_frames_may_be_cut_anywhere(make: Any, cuts: list[int]) -> None:
    space: dict[str, Any] = {}
    exec(cells(export("notebook", make()))[0], space)  # noqa: S102  # the program under test
    exec(cells(export("notebook", make()))[3], space)  # noqa: S102
    texts = ["é🦙", "", " ", "data: [DONE]", "\u2028"]
    choices = [{"delta": {"content": text}, "text": text} for text in texts]
    lines = [f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode() for choice in choices]
    stream = b": ping\n\n" + b"".join(lines)
    whole = stream + b"data: [DONE]\n\n"
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    file = io.BytesIO(whole)
    events = [{"PayloadPart": {"Bytes": file.read(end - at)}} for at, end in itertools.pairwise(places)]
    assert "".join(space["texts"](events)) == "".join(texts)
    with pytest.raises(EOFError):
        list(space["texts"]([{"PayloadPart": {"Bytes": stream}}]))


# ---- what cannot be exported


def test_a_notebook_is_one() -> None:
    nbformat = pytest.importorskip("nbformat")
    for given_ in (chat(), raw()):
        nbformat.validate(nbformat.reads(export("notebook", given_).text, as_version=4))


def test_an_unknown_target_is_told() -> None:
    with pytest.raises(InputError, match="Did you mean 'curl'"):
        export("crul", chat())


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://x", "http://", "http://a b", "http://x'; id #", "http://user:pass@x", "http://x/?q=1",
     "http://x\n", "http://ä", "http://x:", "javascript:alert(1)"],
)  # fmt: skip
def test_a_url_that_is_more_than_an_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="url must be an address"):
        chat(url)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "a-", "a" * 64, "a\n", "`a`"])
def test_a_name_that_no_endpoint_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="endpoint must be"):
        chat(endpoint=name)


def test_what_nobody_would_answer_is_refused() -> None:
    for messages in (Dialog(), dialog_of([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}])):
        with pytest.raises(DialogError, match="end with a user message"):
            chat(messages=messages)
    with pytest.raises(InputError, match="there are none"):
        raw(ids=())


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://127.0.0.1:1", True), ("http://localhost/", True), ("http://[::1]:80", True), ("http://0.0.0.0:1", False),
     ("https://example.org/llama", False), ("http://localhost.example.org", False)],
)  # fmt: skip
def test_only_this_machine_is_asked_without_proxy_and_keys(url: str, local: bool) -> None:
    for target, word in {
        "curl": "--noproxy", "boto3": "get_credentials", "openai": "trust_env", "notebook": "proxies",
    }.items():  # fmt: skip
        assert (word in export(target, chat(url)).text) is local
    assert ("trust_env" in export("client", raw(url)).text) is local
