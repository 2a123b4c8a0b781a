"""A reader of any page, who has endpoints where the pages say that there are some. Knows how a page is followed from ``tests.howto.pages``.

What a page writes for addresses stands for endpoints of the test run's own, with the engine that needs no model:

- ``http://127.0.0.1:8080`` for one of the name ``llama-2-7b``,
- ``http://127.0.0.1:8000``, ``http://gpu-box:8000`` and AWS itself for one of the name ``my-endpoint``.

``puna serve`` is started, waited for until it says that it is ready, and ended. Where ``make`` stands it is asked whether it knows the verb.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.howto.pages import Block, Reader, blocks

from .pages import ROOT

HERE = re.compile(r"http://127\.0\.0\.1:8080")
THERE = re.compile(r"http://(?:127\.0\.0\.1|gpu-box):8000")

FOREIGN = ("pip", "ray", "serve", "docker", "podman", "kubectl", "jupyter", "node", "npm", "aws")
"""Programs that would fetch something, or go on after the test."""


def executable(page: str) -> list[Block]:
    """The blocks of a page that a reader could run."""
    return [block for block in blocks(page) if block.language in {"python", "sh"} and not block.file]


class Visitor(Reader):
    """A reader with endpoints. here, there: their addresses."""

    def __init__(self, folder: Path, here: str, there: str) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
        super().__init__(folder, PUNA_PORT="0", AWS_ENDPOINT_URL=there, **keys)
        self.here, self.there = here, there
        for name in ("docs", "README.md"):  # of the clone in which a reader stands
            if not (folder / name).exists():
                (folder / name).symlink_to(ROOT / name)

    def placed(self, text: str) -> str:
        """The text with the addresses that are meant."""
        return THERE.sub(self.there, HERE.sub(self.here, text))

    def _python(self, text: str) -> str:
        return super()._python(self.placed(text))

    def _sh(self, text: str) -> str:
        serving = f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).with_name('serving.py')))}"
        made = f"command make -n -C {shlex.quote(str(ROOT))}"
        functions = [
            f'puna() {{ if [ "$1" = serve ]; then {serving} "$@"; else command puna "$@"; fi; }}',
            f'make() {{ {made} "$@"; }}',
            *(f'{name}() {{ echo "{name}: not here; say why it is not run" >&2; return 1; }}' for name in FOREIGN),
        ]
        return super()._sh("\n".join([*functions, self.placed(text).replace(".venv/bin/puna", "puna")]))


class Endpoint:
    """``puna serve`` in a process, until it is left."""

    def __init__(self, name: str, folder: Path, environ: dict[str, str]) -> None:
        words = [sys.executable, "-m", "puna.cli", "serve", "--engine", "scripted", "--port", "0", "--name", name]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ, cwd=folder)  # fmt: skip

    def __enter__(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return line.split()[1]

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)
