"""Render, parse or translate prompts; no model is needed.

A dialog FILE holds {"messages": [{"role": "system|user|assistant", "content": "..."}]}; a prompt FILE
holds the text as it was written. - reads standard input.

Example: puna prompt translate --to smollm2 my_llama2_prompt.txt
"""

from __future__ import annotations

import argparse
import json
import sys

from puna.cli.options import read_text
from puna.errors import InputError
from puna.formats import catalog
from puna.formats.translate import translate
from puna.messages import Dialog, dialog_of


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's own verbs."""
    verbs = parser.add_subparsers(dest="prompt_verb", metavar="VERB", required=True)
    formats = verbs.add_parser("formats", help="the formats that puna knows")
    formats.add_argument("--json", action="store_true")
    formats.set_defaults(run=_formats)

    render = verbs.add_parser("render", help="the exact prompt of a dialog")
    render.add_argument("--format", required=True)
    render.add_argument(
        "--no-generation-prompt", action="store_true", help="leave out what announces the assistant's turn"
    )
    render.add_argument("--json", action="store_true", help="text, segments and stops as one JSON document")
    render.add_argument("file", metavar="FILE|-")
    render.set_defaults(run=_render)

    parse = verbs.add_parser("parse", help="the dialog that a written prompt means")
    parse.add_argument("--format", default="auto", help="the family it is written in (default: found from the text)")
    parse.add_argument("--json", action="store_true", help="format, confidence, messages and findings")
    parse.add_argument("file", metavar="FILE|-")
    parse.set_defaults(run=_parse)

    translating = verbs.add_parser("translate", help="a written prompt in another family's format")
    translating.add_argument("--to", required=True, metavar="FORMAT")
    translating.add_argument("--from", dest="source", default="auto", metavar="FORMAT")
    translating.add_argument("file", metavar="FILE|-")
    translating.set_defaults(run=_translate)


def _formats(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps([{"name": name, "stops": list(known.stops)} for name, known in catalog.FORMATS.items()]))
        return 0
    for name, known in catalog.FORMATS.items():
        print(f"{name:<20} ends a turn with {', '.join(repr(stop) for stop in known.stops)}")
    return 0


def _render(args: argparse.Namespace) -> int:
    chosen = catalog.get(args.format)
    segments = chosen.render(_dialog(args.file), generation_prompt=not args.no_generation_prompt)
    text = "".join(segment.text for segment in segments)
    if args.json:
        said = {"format": chosen.name, "text": text, "segments": [s.as_json() for s in segments],
                "stops": list(chosen.stops)}  # fmt: skip
        print(json.dumps(said, ensure_ascii=False))
    else:
        _exact(text)
    return 0


def _parse(args: argparse.Namespace) -> int:
    parsed = catalog.parse(read_text(args.file), args.format)
    if args.json:
        said = {"format": parsed.format, "confidence": parsed.confidence, "open": parsed.open,
                "messages": parsed.dialog.as_json(), "findings": [f.as_json() for f in parsed.findings]}  # fmt: skip
        print(json.dumps(said, ensure_ascii=False))
        return 0
    print(f"format {parsed.format}, confidence {parsed.confidence:.2f}")
    for message in parsed.dialog:
        print(f"{message.role:<10} {message.content!r}")
    for finding in parsed.findings:
        print(f"{finding.severity:<10} {finding.code} at {finding.start}-{finding.end}: {finding.message}")
    return 0


def _translate(args: argparse.Namespace) -> int:
    _exact(translate(read_text(args.file), args.to, args.source).text)
    return 0


def _dialog(name: str) -> Dialog:
    text = read_text(name)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{name} must hold {{"messages": [...]}} as JSON, but: {error}') from error
    if not isinstance(given, dict) or "messages" not in given:
        raise InputError(f'{name} must hold an object with "messages", not {text.strip()[:40]!r}')
    return dialog_of(given["messages"])


def _exact(text: str) -> None:
    """The text as UTF-8 and nothing else: no newline added, none translated."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()
