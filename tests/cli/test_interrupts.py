"""What a first and a second signal do, and that a verb in a shell's background leaves Ctrl-C to the foreground."""

import asyncio
import signal
import subprocess
import sys

import httpx
import pytest

from puna.cli.interrupts import interruptible

from .test_cli import PUNA, puna


def ignoring(*arguments):
    """Starts a verb with SIGINT ignored, as a shell without job control does in the background."""
    return subprocess.Popen(
        [*PUNA, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509  # no thread runs here
    )  # fmt: skip


@pytest.fixture
def ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored")
def test_work_is_not_told_of_a_signal_that_was_ignored_before(capsys):
    before = signal.getsignal(signal.SIGTERM)

    async def work(stop):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # a second one that is heard would cancel this
        await stop.wait()
        await asyncio.sleep(0)
        return "done"

    try:
        assert asyncio.run(interruptible(work, "it ends soon")) == "done"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "puna: it ends soon\n"


def test_serve_in_the_background_is_not_ended_by_ctrl_c():
    process = ignoring("serve", "--engine", "scripted", "--port", "0")
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        process.send_signal(signal.SIGINT)
        for _ in range(3):
            assert httpx.get(f"{url}/ping", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0


TOLD = "import os, signal, sys; os.kill(os.getppid(), signal.SIGINT); print(sys.stdin.read())"


def test_exec_in_the_background_is_not_ended_by_ctrl_c_and_neither_is_its_program():
    process = ignoring("exec", "--engine", "scripted", "--port", "0", "--", sys.executable, "-c", TOLD)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "\n"), err


def test_run_in_the_background_is_not_ended_by_ctrl_c():
    process = ignoring("run", "--engine", "scripted", "-")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, ""), err
    assert "must not be empty" in err


def test_processes_of_tests_hear_ctrl_c_however_the_tests_were_started():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    done = puna("exec", "--engine", "scripted", "--port", "0", "--", "sh", "-c", "kill -INT $PPID; exec sleep 60")
    assert done.returncode == 128 + signal.SIGTERM
