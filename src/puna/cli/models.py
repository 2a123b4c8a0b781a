"""List, pull, show or remove models.

NAME is a catalogue name, hf:OWNER/REPO[:FILE] or the path of a .gguf file.

Example: puna models pull smollm2-135m
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from puna import config
from puna.cli.progress import on_terminal
from puna.errors import InputError
from puna.models import store
from puna.models.catalog import CATALOG, Entry, resolve
from puna.models.gguf import read
from puna.models.pull import pull


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's own verbs."""
    verbs = parser.add_subparsers(dest="models_verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="the catalogue, and which models are here")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)
    for verb, meaning, function in (
        ("pull", "fetch a model; resumes, verifies, and may be interrupted", _pull),
        ("show", "what a model's file says of itself", _show),
        ("rm", "remove a pulled model's file", _rm),
    ):
        sub = verbs.add_parser(verb, help=meaning)
        sub.add_argument("model", metavar="NAME|FILE.gguf" if verb == "show" else "NAME")
        if verb == "show":
            sub.add_argument("--json", action="store_true")
        sub.set_defaults(run=function)


def _list(args: argparse.Namespace) -> int:
    home = config.home()
    pulled = {model.name: model for model in store.listing(home)}
    rows = [_facts(entry) | {"here": entry.name in pulled} for entry in CATALOG.values()]
    # Models of the hub that were pulled by their address.
    for name, model in pulled.items():
        if name not in CATALOG:
            entry = resolve(name)
            facts = _facts(entry) if isinstance(entry, Entry) else {}
            rows.append({**facts, "name": name, "gigabytes": model.size / 1e9, "here": True})
    if args.json:
        print(json.dumps(rows))
        return 0
    from rich.console import Console  # rich is needed by this verb alone
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "model", "format", "size", "licence", "here"):
        table.add_column(column, justify="right" if column == "size" else "left", no_wrap=column == "name")
    for row in rows:
        table.add_row(
            row["name"],
            row["title"],
            row["format"] or "-",
            _size(row["gigabytes"]),
            row["licence"] or "-",
            "yes" if row["here"] else "",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _pull(args: argparse.Namespace) -> int:
    entry = _entry(args.model)
    with on_terminal() as progress:
        print(pull(entry, config.home(), progress))
    return 0


def _show(args: argparse.Namespace) -> int:
    found = resolve(args.model)
    path = store.find(found, config.home()) if isinstance(found, Entry) else found
    facts: dict[str, Any] = _facts(found) if isinstance(found, Entry) else {}
    facts["here"] = "yes" if path else "no"
    if path:
        facts |= {"path": str(path), **_file_facts(path)}
    if args.json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    for name, value in facts.items():
        if value is not None:
            print(f"{name:<15} {value}")
    return 0


def _rm(args: argparse.Namespace) -> int:
    print(f"removed {store.remove(_entry(args.model), config.home())}")
    return 0


def _entry(name: str) -> Entry:
    found = resolve(name)
    if not isinstance(found, Entry):
        raise InputError(f"{name} is a file of yours, not a model that puna pulls; name a model: puna models list")
    return found


def _facts(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "title": entry.title, "format": entry.format, "gigabytes": entry.gigabytes, "size": entry.size,
            "sha256": entry.sha256, "licence": entry.licence, "context": entry.context}  # fmt: skip


def _file_facts(path: Path) -> dict[str, Any]:
    facts = read(path)
    return {
        "architecture": facts.architecture,
        "model_name": facts.name,
        "parameters": facts.parameters,
        "quantisation": facts.quantisation,
        "file_size": facts.file_size,
        "trained_context": facts.context_length,
        "bos": facts.bos,
        "eos": facts.eos,
        "chat_template": "yes" if facts.chat_template else "no",
    }


def _size(gigabytes: float | None) -> str:
    if gigabytes is None:
        return "-"
    return f"{gigabytes * 1000:.0f} MB" if gigabytes < 1 else f"{gigabytes:.1f} GB"
