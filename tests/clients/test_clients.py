"""Each client of SageMaker Runtime, unmodified, against ``puna serve``: those that are installed here or in $PUNA_CLIENTS."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.run_all import CLIENTS, MissingError, command, run

FOLDER = Path(os.environ["PUNA_CLIENTS"]).resolve() if "PUNA_CLIENTS" in os.environ else None
PUNA = [sys.executable, "-m", "puna.cli"]
ENDPOINT = "llama-2-7b"
OURS = ("PUNA_", "AWS_", "BOTOCORE_")


@dataclass(frozen=True)
class Server:
    url: str
    log: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Iterator[Callable[[str], Server]]:
    """Servers by dialect, each started at its first use and stopped at the end."""
    home = tmp_path_factory.mktemp("serving")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {"PUNA_HOME": str(home)}
    servers: dict[str, Server] = {}
    processes = []

    def serve(dialect: str) -> Server:
        if dialect not in servers:
            log = home / f"{dialect}.log"
            words = ["serve", "--engine", "scripted", "--port", "0", "--name", ENDPOINT]
            words += [] if dialect == "auto" else ["--dialect", dialect]
            with log.open("w") as errors:
                process = subprocess.Popen([*PUNA, *words], stdout=subprocess.PIPE, stderr=errors, text=True, env=clean)
            processes.append(process)
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("ready "), log.read_text()
            url = ready.split()[1]
            servers[dialect] = Server(url, log, clean | exports(url, clean))
        return servers[dialect]

    yield serve
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert [process.communicate(timeout=30) and process.returncode for process in processes] == [0] * len(processes)


def exports(url: str, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a shell that has read what ``puna env`` prints."""
    script = 'eval "$("$@")" && env -0'
    words = ["sh", "-c", script, "sh", *PUNA, "env", "--url", url]
    shell = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in shell.stdout.split("\0") if line)


TRIALS = [
    pytest.param(client, dialect, id=f"{client.name}-{dialect}") for client in CLIENTS for dialect in client.dialects
]


@pytest.mark.parametrize(("client", "dialect"), TRIALS)
def test_a_client_works_unmodified(client, dialect, serving):
    try:
        words, cwd = command(client, FOLDER)
    except MissingError as missing:
        pytest.skip(str(missing))
    server = serving(dialect)
    before = server.log.stat().st_size
    status, said = run([*words, server.url, ENDPOINT, dialect], cwd, server.environment)
    log = server.log.read_bytes()[before:].decode("utf-8", "replace")
    assert status == 0, f"{said}\n--- the server's log\n{log}"
    assert "Traceback (most recent call last)" not in log


def test_every_script_belongs_to_a_client():
    scripts = {path.name for path in Path(__file__).parent.glob("with_*")}
    assert scripts == {client.file.name for client in CLIENTS}
