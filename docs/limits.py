"""The limits of puna, each by the constant that holds it: the page docs/limits.md. Knows what a limit means; its number is in the code."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import NamedTuple

from puna.generation import RANGES
from puna.settings import _RANGES as SETTINGS


class Limit(NamedTuple):
    """One limit. place: module below ``puna`` and name. unit: bytes, seconds, or the word behind the number. why: its reason or source."""

    what: str
    place: str
    unit: str
    beyond: str
    why: str


REFUSED = "refused with the number"

GROUPS: dict[str, tuple[Limit, ...]] = {
    "A request": (
        Limit("body of a request", "server.invocations.MAX_BODY", "bytes", "413", "SageMaker Runtime's own (`BodyBlob` of its service model)"),
        Limit("body of a request of the page", "playground.web.MAX_BODY", "bytes", "413", "as the endpoint's"),
        Limit("form of a call to STS, IAM or the control plane", "server.controlplane.MAX_BODY", "bytes", "413", "those that are answered have about 100 bytes"),
        Limit("characters of a prompt for each token of the window", "turn.CHARACTERS_PER_TOKEN", "characters", "refused before it is read", "text has 2 to 5"),
        Limit("digits of a whole number in JSON", "wire.strictjson.MAX_DIGITS", "digits", "refused", "a 64-bit seed has 20"),
        Limit("stop texts", "generation.MAX_STOPS", "texts", REFUSED, "chosen"),
        Limit("characters of a stop text", "generation.MAX_STOP", "characters", REFUSED, "receipts keep it"),
        Limit("alternatives of a token (`logprobs`)", "generation.MAX_ALTERNATIVES", "tokens", REFUSED, "as in the OpenAI API"),
        Limit("seed", "generation.MAX_SEED", "at most", REFUSED, 'llama.cpp reads the number after it as "draw one"'),
        Limit("temperature that is not 0", "generation.LEAST_TEMPERATURE", "at least", REFUSED, "logits divided by less overflow float32"),
        Limit("answers to a prompt (`n`)", "wire.openai.MAX_CHOICES", "answers", REFUSED, "each takes a slot"),
        Limit("prompts of `/v1/completions`, times `n`", "wire.completion.MAX_PROMPTS", "answers", REFUSED, "each takes a slot"),
        Limit("token id in a prompt of ids", "wire.completion.MAX_ID", "at most", REFUSED, "a 32-bit number"),
        Limit("characters of a model's name", "wire.openai.MAX_MODEL", "characters", REFUSED, "every chunk of an answer repeats it"),
        Limit("dialogs of a JumpStart request", "wire.jumpstart.MAX_DIALOGS", "dialogs", REFUSED, "each takes a slot"),
    ),
    "A schema for the answer": (
        Limit("JSON text of a schema", "engines.schema.MAX_BYTES", "bytes", "refused", "chosen"),
        Limit("depth", "engines.keywords.MAX_DEPTH", "levels", "refused", "the compiler gives up at 64"),
        Limit("properties of an object", "engines.keywords.MAX_PROPERTIES", "properties", "refused", "it gives up at 500 optional ones"),
        Limit("values of an `enum`", "engines.keywords.MAX_VALUES", "values", "refused", "chosen"),
        Limit("entries of `anyOf`, `oneOf`, `allOf`, `prefixItems`", "engines.schema.MAX_CHOICES", "entries", "refused", "chosen"),
        Limit("`minItems`, `maxItems`", "engines.schema.MAX_ITEMS", "at most", "refused", "it gives up at 100,000"),
        Limit("`minLength`, `maxLength`", "engines.schema.MAX_LENGTH", "at most", "refused", "chosen"),
        Limit("sub-schemas and optional properties in all", "engines.schema.MAX_WEIGHT", "in all", "refused", "the engine was seen to give up in mid-answer from 900 on"),
        Limit("whole numbers", "engines.keywords.MAX_NUMBER", "at most", "refused", "beyond it a JSON number is not exact everywhere"),
        Limit("other bounds of numbers", "engines.keywords.LEAST_NUMBER", "at least", "refused", "numbers with a bound have no exponent"),
    ),
    "Time": (
        Limit("a whole answer, or the first piece of a stream", "server.invocations.INVOCATION_SECONDS", "seconds", "ModelError; `--invocation-seconds`", "SageMaker's own"),
        Limit("a whole stream", "server.invocations.STREAM_SECONDS", "seconds", "ModelStreamError; `--stream-seconds`", "the commonly quoted limit of SageMaker; AWS's documentation names none"),
        Limit("what was accepted, at a stop", "endpoint.DRAIN_SECONDS", "seconds", "ends with an exception frame", "SageMaker kills a container 30 s after SIGTERM"),
        Limit("answers that are being written, after that", "server.listen.GRACE_SECONDS", "seconds", "the connection ends", "their engine has ended"),
        Limit("a presigned URL (`--auth sigv4`)", "server.sigv4.LONGEST_URL", "time", "403", "AWS's own"),
        Limit("a bearer token made of AWS keys", "server.sigv4.LONGEST_TOKEN", "time", "403", "AWS's own"),
        Limit("a clock that differs from a signature's", "server.sigv4.SKEW", "time", "403", "AWS's own"),
        Limit("loading a model", "engines.process.START_SECONDS", "seconds", "EngineError", "tens of gigabytes on a slow disk load within it"),
        Limit("silence of the embedded engine", "engines.served.SILENCE_SECONDS", "seconds", "EngineError", "prefill reports after each batch"),
        Limit("pause before a dead engine is started again", "engines.watch.LONGEST_PAUSE", "seconds", "-", "a process that dies at once is not started in a loop"),
        Limit("a time-out of `puna.Timeouts`", "engines.timeouts.LONGEST", "seconds", REFUSED, "more is not patience, but a mistake in the unit"),
        Limit("a pause before a request is asked again", "engines.retry.LONGEST_SECONDS", "seconds", "-", "full jitter, as AWS's own clients"),
        Limit("one question to a server about itself", "engines.openai_found.QUESTION_SECONDS", "seconds", "taken as not told", "nothing has to be computed for it"),
        Limit("all such questions", "engines.openai_found.PROBE_SECONDS", "seconds", "taken as not told", "an endpoint shall be up, or say no, soon"),
        Limit("the receipt of another puna", "engines.remote.RECEIPT_SECONDS", "seconds", "passed over", "the answer is there without it"),
        Limit("whether a server is there at all", "engines.remote.REACH_SECONDS", "seconds", "UnreachableError", "`/health` asks it"),
        Limit("another process that has the store", "experiments.database.BUSY_SECONDS", "seconds", "refused", "each transaction takes milliseconds"),
        Limit("another process that has a session", "sessions.store.WAIT_SECONDS", "seconds", "refused", "each write takes a fraction of a second"),
    ),
    "Answers of other servers": (
        Limit("a record of an answer", "wire.answer.MAX_RECORD", "bytes", "EndpointError", "SageMaker's whole answer has at most 6 MiB"),
        Limit("a line of JSON lines, where nothing else is said", "wire.jsonlines.MAX_LINE", "bytes", "EndpointError", "a token's line has about 30 bytes"),
        Limit("a server-sent event", "wire.sse.MAX_EVENT", "bytes", "EndpointError", "a token with 20 alternatives has about 3000"),
        Limit("payload of an event-stream frame", "wire.eventstream.MAX_PAYLOAD", "bytes", "EndpointError", "botocore's own"),
        Limit("headers of an event-stream frame", "wire.eventstream.MAX_HEADERS", "bytes", "EndpointError", "the protocol's own"),
        Limit("an answer about a server", "engines.openai_found.LARGEST", "bytes", "EndpointError", "a vocabulary of 262,144 tokens has about 20 million"),
        Limit("a list of models, to find out which API it is", "engines.probing.MAX_LIST", "bytes", "EndpointError", "gateways tell some 500 of each model"),
        Limit("the receipt of another puna", "engines.remote.MAX_RECEIPT", "bytes", "passed over", "the answer is there without it"),
        Limit("a name, an id or a build that a server tells", "engines.remote.MAX_FACT", "characters", "the rest is not kept", "receipts keep it"),
        Limit("what is inflated of gzip at a time", "engines.bodies.PIECE", "bytes", "read piece by piece, up to the limits above", "little may inflate to much"),
        Limit("a refusal", "engines.strangers.MAX_REFUSAL", "bytes", "only the beginning is read", "sentences are short"),
    ),
    "Prompts and templates": (
        Limit("a file of a prompt or a dialog", "cli.prompt_files.LARGEST", "bytes", "refused", "no endpoint gets a longer prompt"),
        Limit("findings that are kept of a text", "formats.slips.MOST", "findings", "the note `more-slips`", "nobody mends more by hand"),
        Limit("source of a chat template", "formats.jinja_limits.MAX_SOURCE", "characters", "refused", "of 110 templates in use the largest has 16,738"),
        Limit("tokens of a template", "formats.jinja_limits.MAX_TOKENS", "tokens", "refused", "as above"),
        Limit("nodes of a template", "formats.jinja_limits.MAX_NODES", "nodes", "refused", "of those in use the largest has 1286"),
        Limit("nesting of a template", "formats.jinja_limits.MAX_NESTING", "levels", "refused", "Python's own recursion ends later"),
        Limit("branches of a template, times their names", "formats.jinja_limits.MAX_BRANCHES_BY_NAMES", "in all", "refused", "Jinja's compiler copies its tables for each branch"),
        Limit("lists in lists, calls in calls, while it renders", "formats.jinja_budget.MAX_DEPTH", "levels", "refused", "the recursion limit of Python is 1000 frames"),
        Limit("whole numbers while it renders", "formats.jinja_budget.MAX_NUMBER", "at most", "refused", "arithmetic that costs nothing"),
        Limit("work of a render, before messages", "formats.jinja_budget.UNITS", "units", "refused", "each message and each byte of it adds to it"),
    ),
    "Models and their files": (
        Limit("header of a GGUF file", "models.header.MAX_HEADER", "bytes", "ModelFileError", "one of 262k tokens has about 16 MB"),
        Limit("a file of a tokenizer", "models.vocabulary.MAX_BYTES", "bytes", "refused", "Gemma 3's has 33 MB"),
    ),
    "The page, the chat and their sessions": (
        Limit("settings side by side", "playground.bodies.MAX_PANES", "panes", REFUSED, "chosen"),
        Limit("examples of in-context learning", "playground.bodies.MAX_EXAMPLES", "examples", REFUSED, "chosen"),
        Limit("messages of a chat on the page", "playground.bodies.MAX_MESSAGES", "messages", REFUSED, "chosen"),
        Limit("file of a session", "sessions.store.MAX_SESSION", "bytes", "not saved, and told", "read as a whole"),
        Limit("characters of a title", "sessions.session.MAX_TITLE", "characters", "refused", "chosen"),
        Limit("whole numbers in a session", "sessions.session.MAX_NUMBER", "at most", "refused", "the largest that JavaScript holds exactly"),
        Limit("models, configurations and endpoints that are created, each", "server.deployments.MOST", "of them", "ResourceLimitExceeded", "a caller cannot fill the memory"),
        Limit("receipts that are kept", "server.receipts.KEPT", "receipts", "404 for older ones", "in memory"),
    ),
    "Experiments": (
        Limit("file of an experiment", "experiments.file.MOST_BYTES", "bytes", "refused", "chosen"),
        Limit("whole number in it", "experiments.file.MOST_BITS", "bits", "refused with its line", "Python writes out at most 4300 digits"),
        Limit("cells of an experiment", "experiments.experiment.MOST_CELLS", "cells", REFUSED, "chosen"),
        Limit("answers of an experiment", "experiments.experiment.MOST_TRIALS", "answers", REFUSED, "at 4 a second, three days"),
        Limit("repeats of a cell", "experiments.declared.MOST_REPEATS", "repeats", REFUSED, "chosen"),
        Limit("variants of the sampling", "experiments.grid.MOST_VARIANTS", "variants", REFUSED, "chosen"),
        Limit("values of one range", "experiments.ranges.MOST_VALUES", "values", REFUSED, "chosen"),
        Limit("cases of a file", "experiments.cases.MOST_CASES", "cases", REFUSED, "chosen"),
        Limit("file of cases", "experiments.cases.MOST_BYTES", "bytes", "refused", "chosen"),
        Limit("search of a [score](scores.md#scores) in one output", "experiments.watched.SECONDS", "seconds", "no value, and it is said", "one that ends takes microseconds"),
        Limit("outputs that a score may take too long for", "experiments.watched.MOST_LATE", "outputs", "the others have no value, and it is said", "a report shall end"),
        Limit("answers at a time", "cli.sweep.MOST_JOBS", "answers", REFUSED, "as many as slots"),
    ),
    "Documents": (
        Limit("passages that are shown (`--passages`)", "api.answers.MOST_PASSAGES", "passages", REFUSED, "chosen"),
        Limit("a file of a folder of documents", "retrieval.folder.MAX_FILE", "bytes", "skipped, and told", "more is a log or a data set"),
    ),
}  # fmt: skip

INTRO = """
# Limits

Every number beyond which puna says no, or stops waiting, with where it stands in the code. Nothing is truncated or clamped: beyond a limit there is an
error that names it. The numbers on this page are read from the code (`python docs/generate.py`).

What puna does not do at all:

- Text only: no tools, no images, no audio.
- One model per endpoint; several endpoints are several processes, or [replicas](scaling.md).
- The embedded engine computes on processors with the wheel that is installed; [a GPU](engine.md#options-that-trade) needs another one.
- The default model has 135 million parameters. It answers fluently and is often wrong; what it shows of each lesson is measured (`puna demo` says it).
- No real Amazon SageMaker was reached while puna was written: [what was tested instead](sagemaker.md).
- No TLS, no accounts, no quotas: [security](security.md).
"""


def limits_page() -> str:
    """The page."""
    parts = [INTRO, "\n## Settings and sampling\n\n| name | from | to |\n|---|---|---|\n"]
    parts += [f"| `--{name.replace('_', '-')}` | {low:,} | {high:,} |\n" for name, (low, high) in SETTINGS.items()]
    parts += [f"| `{name}` of the sampling | {low:g} | {_number(high)} |\n" for name, (_, low, high) in RANGES.items()]
    for title, limits in GROUPS.items():
        parts.append(f"\n## {title}\n\n| limit | number | beyond it | why that | in `puna` |\n|---|---|---|---|---|\n")
        parts += [
            f"| {limit.what} | {_shown(value_of(limit.place), limit.unit)} | {limit.beyond} | {limit.why} | `{limit.place}` |\n"
            for limit in limits
        ]
    return "".join(parts)


def value_of(place: str) -> float | timedelta:
    """The number that stands at a place."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"puna.{module}"), name)  # type: ignore[no-any-return]


def _shown(value: float | timedelta, unit: str) -> str:
    """A number with its unit, as people read it."""
    if isinstance(value, timedelta):
        hours = value.total_seconds() / 3600
        return f"{value.days} days" if value.days else f"{hours:g} hours" if hours >= 1 else f"{hours * 60:g} minutes"
    if unit == "bytes":
        for size, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value >= size:
                return f"{value / size:g} {name}"
    if unit == "seconds":
        return f"{value:g} s"
    return f"{unit} {_number(value)}" if unit in {"at most", "at least"} else f"{_number(value)} {unit}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
