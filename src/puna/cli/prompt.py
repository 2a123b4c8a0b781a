"""Render, count, read, check, translate or shorten prompts; no model is needed.

A dialog FILE (render, tokens, fit) holds {"messages": [{"role": "system|user|assistant", "content": "..."}]};
a prompt FILE (parse, lint, translate) holds the text as it was written. - reads standard input.

Examples: puna prompt lint --fix my_llama2_prompt.txt
          puna prompt translate --to smollm2 my_llama2_prompt.txt
          puna prompt tokens --format llama2 --tokenizer tokenizer.model dialog.json
"""

from __future__ import annotations

import argparse
import datetime as dt
import json

from puna.cli import prompt_files, prompt_output
from puna.errors import InputError
from puna.formats import catalog
from puna.formats.base import Writer

POLICIES = ("watermark", "oldest", "none")
EXAMPLES = {
    "formats": "formats",
    "render": "render --format llama3.2 --date 2026-11-22 dialog.json",
    "tokens": "tokens --format llama2 --tokenizer tokenizer.model dialog.json",
    "fit": "fit --format llama2 --context 4096 --reserve 512 --tokenizer tokenizer.model dialog.json",
    "parse": "parse --json my_llama2_prompt.txt",
    "lint": "lint --fix my_llama2_prompt.txt",
    "translate": "translate --to smollm2 my_llama2_prompt.txt",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's own verbs."""
    verbs = parser.add_subparsers(dest="prompt_verb", metavar="VERB", required=True)
    formats = _verb(verbs, "formats", "the formats that puna knows")
    formats.add_argument("--json", action="store_true", help="one JSON document")
    formats.set_defaults(run=_formats)
    _add_writers(verbs)
    _add_readers(verbs)


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, meaning: str
) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=meaning, description=meaning, epilog=f"Example: puna prompt {EXAMPLES[name]}")


def _add_writers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    render = _writing(verbs, "render", "the exact prompt of a dialog", _render)
    tokens = _writing(verbs, "tokens", "its token ids and pieces", _tokens)
    tokens.add_argument("--tokenizer", metavar="FILE", help=prompt_files.TOKENIZER)
    for parser in (render, tokens):
        parser.add_argument(
            "--no-generation-prompt", action="store_true", help="leave out what announces the assistant's turn"
        )
        parser.add_argument(
            "--continue", dest="continue_last", action="store_true", help="leave the assistant's last message open"
        )
    fit = _writing(verbs, "fit", "which messages stay, so that prompt and answer fit the window", _fit)
    fit.add_argument("--context", type=int, required=True, metavar="N", help="the window, in tokens")
    fit.add_argument("--reserve", type=int, default=0, metavar="N", help="tokens kept for the answer (default 0)")
    fit.add_argument("--policy", choices=POLICIES, default="watermark", help="how old turns are dropped")
    fit.add_argument("--pin", type=int, action="append", default=[], metavar="INDEX", help="keep this turn; repeatable")
    fit.add_argument("--low-mark", type=float, metavar="SHARE", help="how far a cut goes, 0 to 1 (default: computed)")
    fit.add_argument("--tokenizer", metavar="FILE", help=prompt_files.TOKENIZER)


def _writing(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, meaning: str, run: object
) -> argparse.ArgumentParser:
    """A verb that takes a dialog and a format to write it in."""
    parser = _verb(verbs, name, meaning)
    parser.add_argument(
        "--format", required=True, metavar="NAME", help="a name from `puna prompt formats`, or jinja:FILE"
    )
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="what the prompt tells as today's, where it tells a date")
    parser.add_argument("--bos", metavar="TEXT", help="the BOS token of a jinja: template, where its file does not say")
    parser.add_argument("--eos", metavar="TEXT", help="its EOS token")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("file", metavar="FILE|-")
    parser.set_defaults(run=run)
    return parser


def _add_readers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, meaning, run in (
        ("parse", "the dialog that a written prompt means", _parse),
        ("lint", "what is wrong with a written prompt; exit status 1 on errors", _lint),
    ):
        parser = _verb(verbs, name, meaning)
        parser.add_argument(
            "--format",
            default="auto",
            metavar="NAME",
            help="the family it is written in (default: found from the text)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON document")
        parser.add_argument("file", metavar="FILE|-")
        parser.set_defaults(run=run)
        if name == "lint":
            parser.add_argument("--fix", action="store_true", help="write the prompt as its family has it")
    translating = _verb(verbs, "translate", "a written prompt in another family's format")
    translating.add_argument("--to", required=True, metavar="NAME")
    translating.add_argument("--from", dest="source", default="auto", metavar="NAME")
    translating.add_argument("--json", action="store_true", help="text, and what had to be done")
    translating.add_argument("file", metavar="FILE|-")
    translating.set_defaults(run=_translate)


def _formats(args: argparse.Namespace) -> int:
    prompt_output.formats(catalog.FORMATS.values(), as_json=args.json)
    return 0


def _format(args: argparse.Namespace) -> Writer:
    from puna.config import format_of

    day = None
    if args.date is not None:
        try:
            day = dt.date.fromisoformat(args.date)
        except ValueError:
            raise InputError(f"--date must be a day such as 2026-11-22, not {args.date!r}") from None
    return format_of(args.format, day, bos_token=args.bos, eos_token=args.eos)


def _render(args: argparse.Namespace) -> int:
    form, dialog = _format(args), prompt_files.dialog(args.file)
    wanted = {"generation_prompt": not args.no_generation_prompt, "continue_last": args.continue_last}
    if args.json:
        segments = form.render(dialog, **wanted)
        text = "".join(segment.text for segment in segments)
        said = {"format": form.name, "text": text, "segments": [s.as_json() for s in segments],
                "stops": list(form.stops)}  # fmt: skip
        print(json.dumps(said, ensure_ascii=False))
    else:
        prompt_output.exact(form.text(dialog, **wanted))
    prompt_output.notes(form.remarks(dialog, generation_prompt=wanted["generation_prompt"]))
    return 0


def _tokens(args: argparse.Namespace) -> int:
    form, dialog = _format(args), prompt_files.dialog(args.file)
    tokenizer = prompt_files.tokenizer(args.tokenizer)
    segments = form.render(dialog, generation_prompt=not args.no_generation_prompt, continue_last=args.continue_last)
    prompt_output.tokens(tokenizer, segments, as_json=args.json)
    prompt_output.notes((*form.remarks(dialog), *prompt_files.mismatches(form, tokenizer)))
    return 0


def _fit(args: argparse.Namespace) -> int:
    from puna.dialog.budget import budget_of
    from puna.dialog.prune import fit
    from puna.formats.counting import PromptCounter
    from puna.tokens.cache import Cached

    form, dialog = _format(args), prompt_files.dialog(args.file)
    tokenizer = prompt_files.tokenizer(args.tokenizer)
    counter = PromptCounter(form, Cached(tokenizer))
    found = fit(
        dialog,
        counter,
        context=args.context,
        reserve=args.reserve,
        policy=args.policy,
        pinned=args.pin,
        low_mark=args.low_mark,
    )
    pinned = [found.kept.index(n) for n in args.pin]
    budget = budget_of(found.dialog, counter, context=args.context, reserve=args.reserve, pinned=pinned)
    prompt_output.fit(found, budget, as_json=args.json)
    prompt_output.notes((*form.remarks(found.dialog), *prompt_files.mismatches(form, tokenizer)))
    return 0


def _parse(args: argparse.Namespace) -> int:
    text = prompt_files.prompt(args.file)
    parsed = catalog.parse(text, args.format)
    if args.json:
        print(json.dumps(prompt_output.as_json(parsed), ensure_ascii=False))
        return 0
    prompt_output.family(parsed)
    for message in parsed.dialog:
        print(f"{message.role:<10} {message.content!r}")
    prompt_output.findings(text, parsed.findings)
    return 0


def _lint(args: argparse.Namespace) -> int:
    from puna.formats.lint import lint

    text = prompt_files.prompt(args.file)
    found = lint(text, args.format)
    fixed = found.fixed() if args.fix else None
    # What is fixed is no longer wrong: the exit status tells of what is left.
    left = lint(fixed, args.format) if fixed is not None else found
    if args.json:
        said = prompt_output.as_json(found.parsed) | ({} if fixed is None else {"text": fixed})
        print(json.dumps(said, ensure_ascii=False))
    elif fixed is None:
        prompt_output.family(found.parsed)
        prompt_output.findings(text, found.parsed.findings)
    else:
        prompt_output.exact(fixed)
        prompt_output.findings(text, found.parsed.findings, to_stderr=True)
    return 0 if left.ok else 1


def _translate(args: argparse.Namespace) -> int:
    from puna.config import format_of
    from puna.formats.translate import translate

    text = prompt_files.prompt(args.file)
    done = translate(text, format_of(args.to), args.source)
    if args.json:
        said = {"format": done.format, "text": done.text, "from": done.parsed.format, "changes": list(done.changes),
                "findings": [finding.as_json() for finding in done.parsed.findings]}  # fmt: skip
        print(json.dumps(said, ensure_ascii=False))
        return 0
    prompt_output.exact(done.text)
    prompt_output.notes(done.changes)
    return 0
