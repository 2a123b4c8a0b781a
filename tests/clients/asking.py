"""What the scripts of this folder share: their arguments, the AWS environment, bodies in every dialect, and answers read.

It knows the payloads that containers on SageMaker take and give, and no server. Standard library only, since it runs in the
environment of each client.
"""

import faulthandler
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

QUESTION = "Say hello to Zoë 🎉 in three words"
PROMPT = f"<s>[INST] {QUESTION} [/INST]"
NOBODY = "no-such-endpoint"
TOO_MUCH = 9.0
"""A top_p that every server refuses: it is a share."""

SECONDS = 240
"""After these a script that hangs prints where, and ends. The slowest client needs 12 s to be imported."""

KINDS = {
    "auto": ("workshop", "inputs", "chat"),
    "workshop": ("workshop",),
    "lmi": ("inputs",),
    "lmi-sse": ("inputs",),
    "lmi-tgi": ("inputs",),
    "tgi": ("inputs",),
    "jumpstart": ("inputs",),
    "hf": ("inputs",),
    "chat": ("chat",),
    "lmi-chat": ("chat",),
    "completion": ("completion",),
}
"""The shapes of body to try, by the dialect that the server speaks."""

AT_ONCE = ("hf", "jumpstart")
"""Dialects without records of a stream: the whole answer is one part."""

EULA = "accept_eula=true"
"""The attribute without which jumpstart answers nothing."""


def arguments(usage: str = "URL ENDPOINT [DIALECT]") -> tuple[str, str, str]:
    """URL, endpoint, dialect ("auto" by default). The environment is set, and a clock that ends a script which hangs."""
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(f"usage: {sys.argv[0]} {usage}")
    url, endpoint, dialect = sys.argv[1].rstrip("/"), sys.argv[2], (*sys.argv[3:], "auto")[0]
    if dialect not in KINDS:
        sys.exit(f"{sys.argv[0]}: DIALECT must be one of {', '.join(KINDS)}, not {dialect!r}")
    os.environ["AWS_ENDPOINT_URL"] = url
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
        "AWS_SECRET_ACCESS_KEY": "no-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        os.environ.setdefault(name, value)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    return url, endpoint, dialect


def body(kind: str, *, stream: bool = False, text: str = "", **sampling: float) -> dict[str, Any]:
    """A request. text: the prompt, by default one of Llama 2; where there are messages, the question."""
    streamed = {"stream": True} if stream else {}
    if kind == "workshop":
        return {"prompt": text or PROMPT, "temperature": 0.6, "max_tokens_to_sample": 32, **sampling}
    if kind == "inputs":
        return {"inputs": text or PROMPT, "parameters": {"max_new_tokens": 32, **sampling}, **streamed}
    if kind == "completion":
        return {"prompt": text or PROMPT, "max_tokens": 32, **sampling, **streamed}
    return {"messages": [{"role": "user", "content": text or QUESTION}], "max_tokens": 32, **sampling, **streamed}


def payload(kind: str, **more: Any) -> bytes:
    """The same in bytes."""
    return json.dumps(body(kind, **more)).encode()


def text_of(answer: object) -> str:
    """The text in a whole answer, or the new text in one record of a stream, whatever its dialect."""
    if isinstance(answer, list):
        return "".join(map(text_of, answer))
    if not isinstance(answer, Mapping):
        return ""
    if "outputs" in answer:
        return "".join(answer["outputs"])
    if "token" in answer:
        return str(answer["token"]["text"])
    if choices := answer.get("choices"):
        said = choices[0].get("delta") or choices[0].get("message") or {"content": choices[0].get("text")}
        return said.get("content") or ""
    return str(answer.get("generated_text") or answer.get("generation") or "")


def text_of_bytes(raw: bytes) -> str:
    """The text in the bytes of a whole answer."""
    return text_of(json.loads(raw))


def texts_of_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """The text of each record, where every line is a JSON value or one of server-sent events."""
    for line in lines:
        data = line.decode("utf-8").strip().removeprefix("data:").strip()
        if data and data != "[DONE]":
            yield text_of(json.loads(data))


def texts_of_parts(parts: Iterable[bytes]) -> list[str]:
    """The text of each record of a stream, whose parts may be cut anywhere."""
    return list(texts_of_lines(b"".join(parts).split(b"\n")))


def note(line: str) -> None:
    """One line to whoever ran the script, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def good(what: str, answer: str | list[str], *, several: bool = True) -> None:
    """Say that it worked. several: whether a streamed answer must have come in more than one piece."""
    text = answer if isinstance(answer, str) else "".join(answer)
    if not text.strip() or "\ufffd" in text:
        failed(what, f"no text, or broken text: {text!r}")
    pieces = "" if isinstance(answer, str) else f" in {len(answer)} pieces"
    if several and not isinstance(answer, str) and len([piece for piece in answer if piece]) < 2:
        failed(what, f"not streamed, {text!r} came{pieces}")
    note(f"ok {what}: {text[:60]!r}{pieces}")


def refused(what: str, error: BaseException, *shown: object, must: bool = True) -> None:
    """Say what the client makes of an error. must: whether it is the one that it should be."""
    name = type(error).__name__
    if not must:
        failed(what, f"{name}: {error}")
    note(" ".join([f"ok {what}: {name}", *map(str, shown), f"- {' '.join(str(error).split())[:150]}"]))


def not_refused(what: str) -> NoReturn:
    """It went well where it must not."""
    failed(what, "the server took it")


def failed(what: str, why: object) -> NoReturn:
    """Say so, and end."""
    sys.exit(f"FAILED {what}: {why}")
