"""A JupyterLab server of a test's own, on loopback, with a notebook in it; and why there is none, where there is none."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 20


@dataclass(frozen=True)
class Lab:
    """Where it answers. origin: of everything that its pages may ask for."""

    origin: str
    token: str

    def url(self, notebook: str) -> str:
        return f"{self.origin}/lab/tree/{notebook}?token={self.token}"


def lab_missing() -> str | None:
    """Why no JupyterLab can be run here."""
    for name in ("jupyterlab", "anywidget", "ipykernel"):
        if find_spec(name) is None:
            return f"{name} is not installed; pip install --group lab"
    return None


@contextmanager
def lab(folder: Path, cells: list[str]) -> Iterator[Lab]:
    """Serves ``notebook.ipynb`` with these cells. folder: its home, with settings, runtime files and the notebook."""
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "notebook.ipynb").write_text(json.dumps(_notebook(cells)), encoding="utf-8")
    token = secrets.token_hex(16)
    log = folder / "lab.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab"], stdout=out, stderr=out, env=_environment(folder, token), cwd=folder
        )
    try:
        yield Lab(_origin(server, folder / "runtime", log), token)
    finally:
        server.terminate()  # it ends its kernels
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()  # its kernels notice that
            server.wait()


def _environment(folder: Path, token: str) -> dict[str, str]:
    """Nothing of the user's own Jupyter; nothing that looks for news, updates or extensions elsewhere."""
    config = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": 0,
            "open_browser": False,
            "root_dir": str(folder / "work"),
            "allow_root": True,
            "allow_remote_access": False,
        },
        "IdentityProvider": {"token": token},
        "LabApp": {
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",
        },
    }
    page = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "config" / "labconfig").mkdir(parents=True)
    (folder / "config" / "labconfig" / "page_config.json").write_text(json.dumps(page), encoding="utf-8")
    (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config), encoding="utf-8")
    own = {
        "HOME": str(folder),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PUNA_HOME": str(folder / "puna"),
    }
    return {**{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY"))}, **own}


def _origin(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """The address that the server has written down, once it answers."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            port = json.loads(file.read_text(encoding="utf-8") or "{}").get("port")
            if port:
                return f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")


def _notebook(cells: list[str]) -> dict[str, object]:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    blank: dict[str, object] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": kernel,
        "cells": [{**blank, "id": f"cell-{n}", "source": source} for n, source in enumerate(cells)],
    }
