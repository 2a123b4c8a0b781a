"""Writes the pages that are made from tables: ``python docs/generate.py`` (``make docs``); a test holds them to the code."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

from puna.formats import catalog, lenient, lint, llama2_slips, slips, turn_slips
from puna.formats.adapt import adapt
from puna.formats.catalog import FORMATS
from puna.generation import (
    MAX_STOPS,
    RANGES,
    Delta,
    Finish,
    Logprob,
    Receipt,
    Sampling,
    Timing,
    Usage,
    Written,
)
from puna.messages import Dialog, Message, Role
from puna.wire import reading
from puna.wire.dialect import Choice, Dialect, Facts, Field
from puna.wire.dialects import DIALECTS

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from limits import limits_page  # noqa: E402

MADE = "<!-- made by docs/generate.py -->\n"

LINT_INTRO = f"""{MADE}
# What lint finds

`puna prompt lint FILE` reads a prompt as the dialog that was meant, and names every slip in it; `--fix` writes the prompt as
its family has it; [an example](howto/llama2-to-newer.md#1-see-what-was-meant). From Python: `puna.lint(text)`. Codes are stable: they stand in the
table that is printed, in `--json` and in `puna.lint(text).parsed.findings`; a [receipt](endpoint.md#a-receipt) has their sentences.

| severity | meaning | exit status |
|---|---|---|
| error | the model would read something else than was meant | 1 |
| warning | it would read what was meant, in tokens that it was not trained on | 0 |
| note | worth knowing; the tokens may be right | 0 |

*After* is what `--fix` writes. In the examples `\\n` is a line break, and `·` a space at the edge of an example or of a line.
A text with more than {slips.MOST} findings has the first {slips.MOST} listed, and the note `more-slips`.

What is nearly a tag (other case, blanks or zero-width characters inside, look-alike letters, a missing bar, HTML escapes) is
taken for one only where the text has fewer errors with it; so a message may speak about tags in any spelling.
"""

FAMILIES_INTRO = f"""{MADE}
# The families

One dialog, in every family's format: "Be brief." (system), "Hi", "Hello.", "Bye". Where a family has no system message, what
`puna prompt translate` makes of it is shown. `\\n` stands for a line break.

*System message*: where one may stand; *alternate*: whether user and assistant must speak in turn, the user first. Whatever a
family's own template leaves out or writes as something else is said (`note:` on standard error, the receipt's findings).
"""


def shown(text: str) -> str:
    """A text as a table's cell can hold it."""
    lines = text.split("\n")
    marked = [line if line == line.strip(" ") else _edges(line) for line in lines]
    cell = "\\n".join(marked).replace("|", "\\|").replace("\r", "\\r").replace("\ufeff", "\\ufeff")
    return f"`{cell}`"


def _edges(line: str) -> str:
    start, end = len(line) - len(line.lstrip(" ")), len(line) - len(line.rstrip(" "))
    return "·" * len(line) if not line.strip(" ") else f"{'·' * start}{line.strip(' ')}{'·' * end}"


def lint_page() -> str:
    """Every code with an example, before and after."""
    parts = [LINT_INTRO]
    for title, table in (
        ("Llama 2", llama2_slips.SLIPS),
        ("The other families", turn_slips.SLIPS),
        ("Any family", lenient.SLIPS),
    ):
        parts.append(
            f"\n## {title}\n\n| code | severity | meaning | family | before | after |\n|---|---|---|---|---|---|\n"
        )
        for code, slip in table.items():
            after = lint.fix(slip.example, slip.family)
            message = slip.message.replace("|", "\\|").replace("<", "&lt;")
            parts.append(
                f"| `{code}` | {slip.severity} | {message} | {slip.family} | {shown(slip.example)} | {shown(after)} |\n"
            )
    return "".join(parts)


def families_page() -> str:
    """Every format with what it writes."""
    parts = [
        FAMILIES_INTRO,
        "\n| name | family | system message | alternate | ends a turn with |\n|---|---|---|---|---|\n",
    ]
    for name, form in FORMATS.items():
        stops = ", ".join(shown(stop) for stop in form.stops)
        turns = "yes" if form.alternates else "no"
        parts.append(f"| `{name}` | {form.title} | {form.system_allowed} | {turns} | {stops} |\n")
    parts.append("\n| name | the dialog as it is written |\n|---|---|\n")
    parts += [f"| `{name}` | {shown(_example(name))} |\n" for name in FORMATS]
    return "".join(parts)


def _example(name: str) -> str:
    asked = Dialog((
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Hi"),
        Message(Role.ASSISTANT, "Hello."),
        Message(Role.USER, "Bye"),
    ))  # fmt: skip
    form = catalog.get(name)
    return form.text(adapt(asked, form).dialog)


DIALECTS_INTRO = f"""{MADE}
# The dialects

What a container on SageMaker takes and answers depends on the container. `puna serve` speaks these dialects on
`/endpoints/NAME/invocations`, `.../invocations-response-stream` and `/invocations`: by the shape of each body (`--dialect auto`,
the default), or always one (`--dialect tgi`). The answer's header `x-puna-dialect` names it.

- A field that is not in its table is refused, with the known ones listed. `null` means "not given" for all of them.
- *Changes nothing*: what the field asks for is not offered. The values that ask for nothing are accepted, others refused by name.
- *Ignored*: some client sends it without meaning anything for the model. It is accepted, and named in the receipt.
- A shape that fits several dialects is taken for the first of this page. `lmi-sse`, `lmi-tgi`, `lmi-chat` and `hf` must be named.
- *Stream* is what comes where the request streams; a dialect without one answers as a whole there.
"""


def dialects_page() -> str:
    """Every dialect with its fields, an answer, a stream and a refusal."""
    parts = [DIALECTS_INTRO, "\n| `--dialect` | container | streams as |\n|---|---|---|\n"]
    for name, dialect in DIALECTS.items():
        media = f"`{dialect.framing.media_type}`" if dialect.stream else "not at all"
        parts.append(f"| [`{name}`](#{name}) | {dialect.title} | {media} |\n")
    for dialect in DIALECTS.values():
        parts.append(f"\n## {dialect.name}\n\n{dialect.title}. Source: {dialect.source}.\n\n")
        parts.append("| parameter | type | range | default | what it does |\n|---|---|---|---|---|\n")
        parts += [_row(dialect, entry) for entry in dialect.fields]
        parts.append(_answers(dialect))
    return "".join(parts)


def _row(dialect: Dialect, entry: Field) -> str:
    kind, span, default = _kind(dialect, entry)
    return f"| `{entry.name}` | {kind} | {span} | {default} | {entry.meaning.replace('|', '/')} |\n"


def _kind(dialect: Dialect, entry: Field) -> tuple[str, str, str]:
    """Type, range and default of a field, in words."""
    if entry.leaked:
        return "any", "-", "ignored"
    if entry.only is not None:
        values = ", ".join(f"`{json.dumps(value)}`" for value in entry.only)
        return "-", f"{values} changes nothing" if values else "always refused", "-"
    if entry.to == "stop":
        return "text or list of texts", f"at most {MAX_STOPS}, none empty", "none"
    if entry.to:
        number, low, high = RANGES[entry.to]
        value = getattr(dialect.defaults, entry.to)
        default = "drawn" if entry.to == "seed" else f"{value:g}"
        if entry.to == "max_tokens" and dialect.name in {"chat", "lmi-chat"}:
            default = "what the window leaves"
        return "whole number" if number is int else "number", f"{low:g} to {high}", default
    span = f"{entry.span[0]} to {entry.span[1]}" if entry.span else "-"
    return {"flag": "true or false"}.get(entry.type, entry.type), span, "-"


_SAID = (Delta("Hi", 1, (Logprob(26843, b"Hi", -0.5),)), Delta("!", 1, (Logprob(17, b"!", -0.25),)))


def _answers(dialect: Dialect) -> str:
    """A request, and what comes of it."""
    first = dialect.fields[0].name
    body = {first: [{"role": "user", "content": "Hello"}] if first == "messages" else "Hello"}
    request = reading.read(dialect, body, {"accept_eula": "true"})
    facts, choice = Facts("ID", 1763000000, "llama-2-7b"), Choice(0, "")
    records: list[object] = []
    stream = dialect.stream(facts, request) if dialect.stream else None
    if stream:
        records += stream.begin([choice])
    for delta in _SAID:
        choice.add(delta)
        if stream:
            records += stream.delta(choice, delta)
    choice.receipt = _RECEIPT
    if stream:
        records += stream.end(choice)
    encode, done = dialect.framing.encode, dialect.framing.done
    streamed = b"".join(map(encode, records)) + done
    status = dialect.statuses.get(400, 400)
    parts = [
        ("Request", json.dumps(body)),
        ("Answer", dialect.body.encode(dialect.whole(facts, request, [choice])).decode().rstrip("\n")),
        *([("Stream", streamed.decode().rstrip("\n"))] if stream else []),
        (f"Refusal, with the status {status}", json.dumps(dialect.error(status, "..."))),
        *(
            [("Last record of a stream that breaks", encode(dialect.broken(500, "...")).decode().rstrip("\n"))]
            if stream
            else []
        ),
    ]
    return "".join(f"\n{title}:\n\n```text\n{text}\n```\n" for title, text in parts)


_RECEIPT = Receipt(
    written=Written.RENDERED, source=None, format="smollm2", sampling=Sampling(seed=7),
    defaulted=tuple(entry.name for entry in fields(Sampling)), finish=Finish.STOP, usage=Usage(31, 0, 3), timing=Timing(),
    model="smollm2-135m", engine="xllamacpp",
)  # fmt: skip


PAGES = {
    "lint.md": lint_page,
    "families.md": families_page,
    "dialects.md": dialects_page,
    "limits.md": lambda: MADE + limits_page(),
}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (HERE / page).write_text(make(), encoding="utf-8")
        print(f"docs/{page}")
