"""What rendering, counting and reading prompts cost, beside the libraries that people render with today.

Method: each figure is the least of ROUNDS timings of many calls, in microseconds per call; the ways that are compared are
timed in turn, round by round, in one process, on the same dialogs and, where a template is involved, on the same template:
the default model's own, as its file holds it (and, where PUNA_ORACLES names the folder with the vendors' templates, those
of Llama 2, 3.1 and ChatML). All ways are checked to write the same text before they are timed.

render: puna's ``Format.text`` of a dialog; the same from JSON messages, checked as ``puna.render`` checks them; jinja2 with the
template compiled beforehand, in transformers' environment; transformers' ``apply_chat_template(tokenize=False)``.
append: one more turn to a dialog of so many, and its exact number of tokens, by ``Tally``; beside it, the whole counted
again. read: ``puna.lint`` (which is ``puna.parse`` with its findings), and mending by ``fix``, which reads the mended text once
more to be sure, of a hand-written Llama 2 prompt of that size with a slip or more in every turn, the family not named.

Run: python benchmarks/prompts.py. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import timeit
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from puna import config
from puna.formats import catalog
from puna.formats.base import Format
from puna.formats.catalog import FORMATS
from puna.formats.counting import PromptCounter, Tally
from puna.formats.lint import fix, lint
from puna.messages import Dialog, Message, Role, dialog_of
from puna.models.gguf import read
from puna.models.vocabulary import tokenizer_of
from puna.tokens.cache import Cached

ROUNDS = 7
TURNS = (2, 20, 200)
DAY = date(2026, 11, 22)


def dialog(messages: int) -> Dialog:
    """A system message, then user and assistant in turn, the user last."""
    turns = (
        Message(
            Role.ASSISTANT if n % 2 else Role.USER, f"This is what is said in turn {n}, in a sentence of some length."
        )
        for n in range(messages - 1 | 1)
    )
    return Dialog((Message(Role.SYSTEM, "You are a helpful assistant."), *turns))


def least(ways: dict[str, Callable[[], object]], calls: int) -> dict[str, float]:
    """Microseconds per call of each way: the least of the rounds."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            found[name] = min(found[name], timeit.timeit(way, number=calls) / calls * 1e6)
    return found


def refuse(message: str) -> None:
    """What templates call ``raise_exception``."""
    raise jinja2.TemplateError(message)


def compiled(template: str) -> jinja2.Template:
    """A template in the environment of transformers."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = DAY.strftime
    return env.from_string(template)


def transformers_tokenizer(template: str, bos: str | None, eos: str | None) -> Any:
    """A tokenizer of transformers that has the template; None where the library is not there."""
    try:
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast
    except ImportError:
        print("transformers is not installed: pip install --group bench")
        return None
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos)
    made.chat_template = template
    return made


def templates() -> dict[str, tuple[str, str | None, str | None]]:
    """Format name to the vendor's template with its BOS and EOS."""
    facts = read(config.model_file(config.settings({})))
    found = {"smollm2": (facts.chat_template or "", facts.bos, facts.eos)}
    folder = os.environ.get("PUNA_ORACLES")
    if folder:
        formats = Path(folder) / "formats"
        sources = json.loads((formats / "sources.json").read_text(encoding="utf-8"))
        for name, family in (("llama2", "llama-2"), ("llama3.1", "llama-3.1"), ("chatml", "chatml")):
            source = sources[family]
            text = (formats / "templates" / source["file"].rpartition("/")[2]).read_text(encoding="utf-8")
            found[name] = (text, source["bos_token"], source["eos_token"])
    return found


def from_json(form: Format, messages: list[dict[str, str]]) -> str:
    """As ``puna.render`` takes them."""
    return form.text(dialog_of(messages))


def renders() -> list[dict[str, Any]]:
    """Each format at each length, by each way."""
    rows = []
    for name, (text, bos, eos) in templates().items():
        form, template, tokenizer = FORMATS[name], compiled(text), transformers_tokenizer(text, bos, eos)
        tokens = {key: value for key, value in (("bos_token", bos), ("eos_token", eos)) if value is not None}
        for turns in TURNS:
            asked = dialog(turns)
            messages = asked.as_json()
            ways: dict[str, Callable[[], object]] = {
                "puna": partial(form.text, asked),
                "puna_from_json": partial(from_json, form, messages),
                "jinja2": partial(
                    template.render, messages=messages, add_generation_prompt=True, tools=None, documents=None, **tokens
                ),
            }
            if tokenizer is not None:
                ways["transformers"] = partial(
                    tokenizer.apply_chat_template, messages, tokenize=False, add_generation_prompt=True
                )
            written = {way() for way in ways.values()}
            assert len(written) == 1, f"{name}: the ways do not write the same"
            times = least(ways, max(20, 4000 // turns))
            rows.append({"format": name, "messages": len(asked), **{way: round(t, 2) for way, t in times.items()}})
    return rows


def appends() -> list[dict[str, Any]]:
    """One turn more, and its count."""
    counter = PromptCounter(FORMATS["smollm2"], Cached(tokenizer_of(config.model_file(config.settings({})))))
    rows = []
    for turns in TURNS:
        asked, tally = dialog(turns), Tally(counter)
        for message in asked:
            tally = tally.append(message)
        answer, question = Message(Role.ASSISTANT, "An answer."), Message(Role.USER, "And one more question?")
        longer = Dialog((*asked, answer, question))

        def count_one_more(tally: Tally = tally, answer: Message = answer, question: Message = question) -> int:
            return tally.append(answer).append(question).tokens

        assert count_one_more() == counter.prompt(longer)
        times = least({"append": count_one_more, "whole": partial(counter.prompt, longer)}, 200)
        rows.append({"messages": len(asked), **{way: round(t, 1) for way, t in times.items()}})
    return rows


def hand_written(size: int) -> str:
    """A Llama 2 prompt of that many characters, with the usual slips in every turn."""
    turn = "<s>[INST]What about number {}? It is a question of a hundred characters, as people ask them, more or less.[/INST] It is. <\\s>\n"
    pieces, length, n = [], 0, 0
    while length < size:
        pieces.append(turn.format(n))
        length += len(pieces[-1])
        n += 1
    return "".join(pieces) + "<s>[INST]And now?[/INST]\n"


def reads() -> list[dict[str, Any]]:
    """Reading and mending, by size; seconds."""
    rows = []
    for size in (10_000, 100_000, 1_000_000):
        text = hand_written(size)
        assert catalog.parse(text).format == "llama2"
        times = least({"lint": partial(lint, text), "lint_and_fix": partial(fix, text)}, 1)
        rows.append({"characters": len(text), **{way: round(t / 1e6, 4) for way, t in times.items()}})
    return rows


def main() -> None:
    """Measure and print."""
    rendered, appended, read_ = renders(), appends(), reads()
    print(
        f"{'format':<10}{'messages':>9}{'puna':>9}{'from JSON':>11}{'jinja2':>9}{'transformers':>14}{'ratio':>8}   (us)"
    )
    for row in rendered:
        beside = row.get("transformers")
        row["ratio"] = round(beside / row["puna"], 1) if beside else None
        print(f"{row['format']:<10}{row['messages']:>9}{row['puna']:>9.1f}{row['puna_from_json']:>11.1f}{row['jinja2']:>9.1f}"
              f"{beside or 0:>14.1f}{row['ratio'] or 0:>8.1f}")  # fmt: skip
    for row in appended:
        print(f"one turn to {row['messages']} messages: {row['append']:.0f} us; the whole again {row['whole']:.0f} us")
    for row in read_:
        print(f"{row['characters']} characters: lint {row['lint']:.3f} s, with fixing {row['lint_and_fix']:.3f} s")
    print(json.dumps({"render_us": rendered, "append_us": appended, "read_s": read_}))


if __name__ == "__main__":
    main()
