"""What an experiment shows: measures with intervals, differences that are real, and how many repeats the others would need.

STORE is what `puna sweep` wrote; its newest run is reported.

Example: puna report runs.db --html report.html
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from puna.errors import InputError

if TYPE_CHECKING:
    from puna.experiments.report import Report

_EXTRA = {"numpy", "scipy", "matplotlib", "jsonschema"}
"""What ``puna[experiments]`` brings."""


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("store", nargs="?", default="runs.db", metavar="STORE", help="the store (default runs.db)")
    parser.add_argument(
        "--run", dest="id", metavar="ID", help="this run, by its id or the beginning of it (default: the newest)"
    )
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME,...",
        help="these measures or scores (default: those that say most)",
    )
    parser.add_argument(
        "--by",
        metavar="FACTOR",
        help="compare by setting, target, system, format, variant, prompt, case or a sampling parameter",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with figures and every output, for a browser without a network",
    )
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write the figures as PNG")
    parser.add_argument("--svg", type=Path, metavar="FOLDER", help="write the figures as SVG")
    parser.add_argument(
        "--position",
        type=int,
        metavar="N",
        help="the token, from 0, whose choice is drawn cut again (default: one that tells most)",
    )
    parser.add_argument(
        "--parity",
        action="store_true",
        help="where the targets of the run differ: outputs, token counts, parameters in effect",
    )
    parser.add_argument("--against", metavar="RUN", help="where this run differs from another one of the store")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")


def run(args: argparse.Namespace) -> int:
    """Read, compute, write what was asked for, print."""
    if args.position is not None and not (args.html or args.png or args.svg):
        raise InputError(
            "--position is of a figure; say where figures shall go: --html FILE, --png FOLDER or --svg FOLDER"
        )
    try:
        return _run(args)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise InputError(
            f"puna report needs {error.name}, which is not installed: pip install 'puna[experiments]'"
        ) from None


def _run(args: argparse.Namespace) -> int:
    from puna.cli.report_tables import show
    from puna.cli.stores import check_named
    from puna.experiments import report
    from puna.experiments.store import Store

    check_named("--run", args.id)
    check_named("--against", args.against)
    names = [name.strip() for given in args.measure for name in given.split(",") if name.strip()]
    with Store.open(args.store, create=False) as store:
        found = report.read(store, args.id, measures=names, by=args.by, parity=args.parity, against=args.against)
    written = _write(found, args) if args.html or args.png or args.svg else []
    if args.json:
        print(json.dumps(report.as_json(found), ensure_ascii=False))
    else:
        show(found)
    for line in written:
        print(line, file=sys.stderr)
    return 0


def _write(found: Report, args: argparse.Namespace) -> list[str]:
    from puna.experiments.exporting import replacing
    from puna.experiments.gallery import gallery, save
    from puna.experiments.labels import counted
    from puna.experiments.page import page

    drawings = gallery(found, args.position)
    told = []
    for kind in ("png", "svg"):
        folder = getattr(args, kind)
        if folder:
            paths = save(drawings, folder, kind)
            told.append(
                f"wrote {counted(len(paths), 'figure')} to {folder}"
                if paths
                else f"wrote no figure to {folder}: there was nothing to draw"
            )
    if args.html:
        data = page(found, drawings).encode()
        try:
            with replacing(args.html) as file:
                file.write(data)
        except OSError as error:
            raise InputError(
                f"the page cannot be written to {args.html}: {error.strerror or error}; nothing there has changed, name another file"
            ) from None
        told.append(f"wrote {args.html} ({len(data) / 1e6:.1f} MB)")
    return told
