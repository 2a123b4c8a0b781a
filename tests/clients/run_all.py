"""Every client against one endpoint, each in an environment of its own.

python tests/clients/run_all.py URL ENDPOINT [--dialect auto] [--venvs FOLDER] [CLIENT ...]

FOLDER has a virtual environment venv-CLIENT for each client, and for JavaScript js/node_modules (README.md says how to make
them). A client without one runs in this interpreter if its package is installed there; else it is skipped.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
JS = "@aws-sdk/client-sagemaker-runtime"


@dataclass(frozen=True, slots=True)
class Client:
    """One client. dialects: of the server, with which it is tried. major: of the version, where two of them are tried."""

    name: str
    package: str
    dialects: tuple[str, ...] = ("auto",)
    major: str = ""
    also: str = ""
    script: str = ""

    @property
    def file(self) -> Path:
        """Its script."""
        return HERE / (self.script or f"with_{self.name}.py")


CLIENTS = (
    Client(
        "boto3",
        "boto3",
        ("auto", "workshop", "lmi", "lmi-sse", "lmi-tgi", "tgi", "jumpstart", "hf", "chat", "lmi-chat", "completion"),
    ),
    Client("aioboto3", "aioboto3"),
    Client("aiobotocore", "aiobotocore"),
    Client("awscli", "awscli"),
    Client("js", JS, script="with_js.mjs"),
    Client("sagemaker2", "sagemaker", ("auto", "tgi"), major="2"),
    Client("sagemaker3", "sagemaker", major="3"),
    Client("langchain", "langchain-aws", ("auto", "tgi")),
    Client("llamaindex", "llama-index-llms-sagemaker-endpoint", ("auto", "hf")),
    Client("litellm", "litellm", ("auto", "lmi", "lmi-sse", "tgi", "chat"), also="boto3"),
    Client("haystack", "amazon-sagemaker-haystack", ("auto", "tgi", "jumpstart", "hf")),
    Client("smbench", "sm-endpoint-bmt"),
    Client("openai", "openai"),
)


class MissingError(Exception):
    """A client that cannot be run here, and why."""


def command(client: Client, folder: Path | None) -> tuple[list[str], Path]:
    """What runs a client's script, and in which folder.

    Raises:
        MissingError: its package is neither in the folder nor in this interpreter.
    """
    if client.package == JS:
        return _node(client, folder)
    own = folder / f"venv-{client.name}" / "bin" / "python" if folder else None
    if own is not None and own.exists():
        return [str(own), str(client.file)], HERE
    for package in filter(None, (client.package, client.also)):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise MissingError(f"{package} is not installed here{_nor(own)}") from None
        if package == client.package and not version.startswith(client.major):
            raise MissingError(f"{package} is {version} here, not {client.major}.x{_nor(own)}")
    return [sys.executable, str(client.file)], HERE


def _node(client: Client, folder: Path | None) -> tuple[list[str], Path]:
    node = shutil.which("node")
    if node is None:
        raise MissingError("there is no node on the path")
    if folder is None:
        raise MissingError(f"no folder with {client.package} is named")
    if not (folder / "js" / "node_modules" / client.package).is_dir():
        raise MissingError(f"there is no {folder}/js/node_modules/{client.package}")
    return [node, str(client.file)], folder / "js"


def _nor(own: Path | None) -> str:
    return f", and there is no {own}" if own else ""


def run(words: list[str], cwd: Path, environment: dict[str, str], timeout: float = 300) -> tuple[int, str]:
    """Exit status, and all that was printed."""
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return 124, f"{error.stdout!r}\nno end in {timeout} s\n"
    return done.returncode, done.stdout


def _chosen(names: list[str], dialect: str) -> Iterator[Client]:
    for client in CLIENTS:
        if client.name in names if names else dialect in client.dialects:
            yield client


def main() -> int:
    """Run them one after the other; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("endpoint")
    parser.add_argument("client", nargs="*", metavar="CLIENT", help=", ".join(client.name for client in CLIENTS))
    parser.add_argument("--dialect", default="auto", help="the one that the server was started with (default auto)")
    parser.add_argument("--venvs", type=Path, default=os.environ.get("PUNA_CLIENTS"), metavar="FOLDER")
    args = parser.parse_intermixed_args()
    if unknown := {*args.client} - {client.name for client in CLIENTS}:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    results = {}
    for client in _chosen(args.client, args.dialect):
        sys.stdout.write(f"== {client.name}\n")
        try:
            words, cwd = command(client, args.venvs.resolve() if args.venvs else None)
        except MissingError as missing:
            results[client.name] = f"skipped: {missing}"
            continue
        status, said = run([*words, args.url, args.endpoint, args.dialect], cwd, dict(os.environ))
        sys.stdout.write(said)
        sys.stdout.flush()
        results[client.name] = f"FAILED with {status}" if status else "ok"
    sys.stdout.write("".join(f"{name:12} {result}\n" for name, result in {"==": "", **results}.items()))
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
