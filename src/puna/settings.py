"""Flags, environment and TOML, read once into one value. Knows names, types and ranges; nothing of what they set up.

One table of options feeds the command line, the environment, the TOML file and the documentation.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from puna.errors import InputError, unknown
from puna.wire.dialects import AUTO, DIALECTS

_ENDPOINT_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")

DEFAULT_CONTEXT = 4096
"""The window of Llama 2, for which the workshop's prompts were written. Tokens."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: its name (``--some-name``, ``PUNA_SOME_NAME``, ``some_name =``), type, default and meaning.

    secret: it has no flag, since everyone on a machine can read the words of its command lines. also: a variable of another
    system's that says the same, where puna's own is not set.
    """

    name: str
    type: type[int | str]
    default: int | str | None
    help: str
    choices: tuple[str, ...] = ()
    secret: bool = False
    also: str | None = None

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "PUNA_" + self.name.upper()


OPTIONS = (
    Option("model", str, "smollm2-135m", "catalogue name, hf:OWNER/REPO[:FILE], a .gguf file or a folder with one; pulled when missing"),
    Option("name", str, "llama-2-7b", "the endpoint's name, as clients call it"),
    Option("host", str, "127.0.0.1", "address to listen on; one that others can reach needs --auth"),
    Option("port", int, 8080, "port to listen on; 0 picks a free one", also="SAGEMAKER_BIND_TO_PORT"),
    Option("context", int, None, "window of one request, in tokens (default 4096, or the model's own if smaller)"),
    Option("slots", int, 4, "requests that are worked on at a time; slots times context tokens of memory are planned"),
    Option("queue", int, 256, "requests that may wait for a slot; beyond them, the refusal that clients retry"),
    Option("engine", str, "llamacpp", "what generates: llamacpp is embedded; openai and sagemaker are the server at --upstream; "
           "scripted says the prompt back", ("llamacpp", "openai", "sagemaker", "scripted")),
    Option("upstream", str, None, "address of the server behind --engine openai or sagemaker; sagemaker:NAME is an endpoint of AWS"),
    Option("upstream_name", str, None, "the model's name there, or the endpoint's (default: the only model; llama-2-7b)"),
    Option("upstream_key", str, None, "the bearer token that the upstream wants", secret=True),
    Option("upstream_dialect", str, AUTO, "the dialect of a SageMaker upstream's container (auto: found out)", (AUTO, *DIALECTS)),
    Option("prompts", str, "auto", "auto: a raw prompt of another family is rendered in the model's own format; raw: "
           "it is sent as it is", ("auto", "raw")),
    Option("format", str, None, "the model's chat format (default: what its file or the catalogue says)"),
    Option("threads", int, None, "threads that decode one stream (default: half the physical cores)"),
    Option("batch_threads", int, None, "threads for prefill and for several streams (default: all physical cores)"),
    Option("cache_reuse", int, 0, "keep chunks of at least so many tokens when the front of a prompt changes; less work, but "
           "answers are no longer those of a fresh prefill; 0 is off"),
    Option("prompt_cache", int, 256, "MiB of memory in which prompts are kept that have left their slot, for their next turn; 0 is off"),
    Option("flash_attention", str, "auto", "flash attention: where llama.cpp finds it fit, always or never", ("auto", "on", "off")),
    Option("cache_type", str, "f16", "numbers of the KV cache; q8_0 and q4_0 take a half and a quarter of the memory, and change answers",
           ("f16", "q8_0", "q4_0")),
    Option("gpu_layers", int, None, "layers that a GPU computes, where llama.cpp was built for one (default: as many as fit)"),
    Option("replicas", int, 1, "copies of the endpoint on Ray Serve, each with an engine of its own (puna[ray])"),
    Option("dialect", str, AUTO, "the container's dialect on the SageMaker routes (auto: by each body's shape)",
           (AUTO, *DIALECTS)),
    Option("invocations", str, "whole", "how /invocations, a container's route, answers where a request does not say", ("whole", "stream")),
    Option("answer_length", str, "demand", "where prompt and max tokens exceed the window: demand refuses, cap lowers max tokens "
           "and says so", ("demand", "cap")),
    Option("invocation_seconds", int, 60, "SageMaker's limit for a whole answer, or the first piece of a streamed one; 0 is off"),
    Option("stream_seconds", int, 480, "SageMaker's limit for a whole stream; 0 is off"),
    Option("receipts", str, "hash", "what receipts hold of a prompt: its hashes, or its text and token ids too",
           ("hash", "text")),
    Option("log", str, "text", "log lines for people, or as JSON", ("text", "json")),
    Option("faults", str, None, "a TOML file of faults to make on purpose"),
    Option("auth", str, None, "what requests must bear: sigv4 (AWS signatures by the keys in PUNA_AUTH_KEYS), token (the bearer "
           "token in PUNA_AUTH_TOKEN), either of both, or none (default: none, on loopback addresses only)",
           ("none", "sigv4", "token", "sigv4+token")),
    Option("auth_keys", str, None, "ID:SECRET, several with commas between; for --auth sigv4", secret=True),
    Option("auth_token", str, None, "for --auth token", secret=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Every option's value, checked, and where puna keeps its files."""

    model: str = "smollm2-135m"
    name: str = "llama-2-7b"
    host: str = "127.0.0.1"
    port: int = 8080
    context: int | None = None
    slots: int = 4
    engine: Literal["llamacpp", "openai", "sagemaker", "scripted"] = "llamacpp"
    upstream: str | None = None
    upstream_name: str | None = None
    upstream_key: str | None = field(default=None, repr=False)
    upstream_dialect: str = AUTO
    prompts: Literal["auto", "raw"] = "auto"
    format: str | None = None
    threads: int | None = None
    batch_threads: int | None = None
    cache_reuse: int = 0
    prompt_cache: int = 256
    flash_attention: Literal["auto", "on", "off"] = "auto"
    cache_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    gpu_layers: int | None = None
    replicas: int = 1
    queue: int = 256
    dialect: str = AUTO
    invocations: Literal["whole", "stream"] = "whole"
    answer_length: Literal["demand", "cap"] = "demand"
    invocation_seconds: int = 60
    stream_seconds: int = 480
    receipts: Literal["hash", "text"] = "hash"
    log: Literal["text", "json"] = "text"
    faults: str | None = None
    auth: Literal["none", "sigv4", "token", "sigv4+token"] | None = None
    auth_keys: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)
    home: Path = Path()


UPSTREAM = ("openai", "sagemaker")
"""The engines that are servers at ``upstream``."""

_HERE = ("model", "slots", "queue", "threads", "batch_threads", "cache_reuse", "prompt_cache", "flash_attention", "cache_type",
         "gpu_layers")  # fmt: skip
"""Settings of an engine that is here; a server has its own."""

_THERE = ("format", "context", "dialect")
"""Settings that are told of a server elsewhere too."""

_RANGES = {"port": (0, 65535), "context": (64, 10_000_000), "slots": (1, 256), "threads": (1, 1024),
           "batch_threads": (1, 1024), "cache_reuse": (0, 100_000), "queue": (0, 100_000), "prompt_cache": (0, 1_048_576), "gpu_layers": (0, 1024), "replicas": (1, 64),
           "invocation_seconds": (0, 86_400), "stream_seconds": (0, 86_400)}  # fmt: skip


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of models, logs and sessions: PUNA_HOME, or ``puna`` in the user's cache folder.

    Raises:
        InputError: a home of nobody.
    """
    from platformdirs import user_cache_path  # noqa: PLC0415  # 10 ms that only this needs

    given = (os.environ if environ is None else environ).get("PUNA_HOME")
    if not given:
        return user_cache_path("puna")
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:  # ~NAME of nobody
        raise InputError(f"PUNA_HOME must be a folder, but {given[:80]!r} is none: {error}") from error


@dataclass(frozen=True, slots=True)
class Named:
    """The server that the environment names. endpoint: its name there. format, context, dialect: as the settings of these names, for it."""

    url: str
    endpoint: str | None = None
    format: str | None = None
    context: int | None = None
    dialect: str | None = None


def server(environ: Mapping[str, str] | None = None) -> Named | None:
    """The server at PUNA_URL, for whoever talks to a model and names none.

    PUNA_ENDPOINT, PUNA_FORMAT, PUNA_CONTEXT and PUNA_DIALECT say more of it.

    Raises:
        InputError: a PUNA_CONTEXT out of its range, or a PUNA_DIALECT that is none.
    """
    environ = os.environ if environ is None else environ
    url = environ.get("PUNA_URL")
    if not url:
        return None
    found: dict[str, Any] = {
        option.name: _checked(option, given, option.variable)
        for option in OPTIONS
        if option.name in _THERE and (given := environ.get(option.variable))
    }
    return Named(url, environ.get("PUNA_ENDPOINT") or None, **found)


def settings(
    flags: Mapping[str, object], environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """Flags before environment before TOML file before defaults. A flag that is None was not given.

    Raises:
        InputError: an unknown key, a value of the wrong type or out of range, a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    from_file = _read_toml(file) if file else {}
    chosen: dict[str, Any] = {}
    said: dict[str, str] = {}
    for option in OPTIONS:
        places = (
            (option.flag, flags.get(option.name)),
            *((name, environ.get(name) or None) for name in (option.variable, option.also) if name),
            (f"{option.name} in {file}", from_file.get(option.name)),
        )
        for place, value in places:
            if value is not None:
                chosen[option.name], said[option.name] = _checked(option, value, place), place
                break
    _check_together(str(chosen.get("engine", "llamacpp")), said)
    return Settings(**chosen, home=home(environ))


def _check_together(engine: str, said: Mapping[str, str]) -> None:
    """said: where each setting that was given was given.

    Raises:
        InputError: settings that do not belong to the engine.
    """
    if engine not in UPSTREAM:
        for name in ("upstream", "upstream_name", "upstream_key", "upstream_dialect"):
            if name in said:
                raise InputError(
                    f"{said[name]} is about the server behind --engine openai or --engine sagemaker, but the engine is {engine}; name "
                    "one of those, or leave it out"
                )
        return
    if "upstream" not in said:
        raise InputError(
            f"{said['engine']} {engine} needs the server's address: --upstream URL with puna serve; elsewhere --url names it, without "
            "--engine"
        )
    if engine == "openai" and "upstream_dialect" in said:
        raise InputError(
            f"{said['upstream_dialect']} is about a SageMaker container, but the engine is openai; leave it out"
        )
    for name in _HERE:
        if name in said:
            instead = "; the model there is named by --upstream-name" if name == "model" else ""
            raise InputError(
                f"{said[name]} is about an engine that is here, but {engine} is a server elsewhere; leave it out{instead}"
            )


def _read_toml(file: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise InputError(f"{file} must be a TOML file, but: {error}") from error
    known = {option.name for option in OPTIONS}
    for key in found:
        if key not in known:
            raise InputError(f"{file}: {unknown('setting', key, known)}")
    return found


def _checked(option: Option, value: object, place: str) -> int | str:
    if option.type is int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        low, high = _RANGES[option.name]
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise InputError(f"{place} must be a whole number from {low} to {high}, not {value!r}")
        return number
    if not isinstance(value, str) or not value:
        raise InputError(f"{place} must be a text, not {'another value' if option.secret else repr(value)}")
    if option.name == "name" and not _ENDPOINT_NAME.fullmatch(value):
        raise InputError(
            f"{place} must be 1 to 63 letters, digits and inner dashes, as SageMaker demands, not {value[:80]!r}"
        )
    if option.choices and value not in option.choices:
        raise InputError(f"{place}: {unknown('choice', value, option.choices)}")
    return value
