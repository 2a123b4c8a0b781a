"""Carries out the Dockerfile without Docker, and asks what comes of it for an answer. Needs root on Linux; changes nothing outside.

The base image is played by an overlay over this machine's own system with a fresh virtual environment in front of PATH; everything
else is as written: COPY, RUN, ENV, USER, ENTRYPOINT and CMD. The container then runs as process 1 of a namespace of its own, without a
network, as the image's user, with /opt/ml/model mounted read-only. The last line is one JSON document.

    python container/rehearse.py                           a model under /opt/ml/model (that of puna's own store)
    python container/rehearse.py --build-arg MODEL=smollm2-135m   the model in the image
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent

Instruction = tuple[str, str]


def instructions(text: str) -> Iterator[Instruction]:
    """Each instruction's word and the rest, lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def expanded(text: str, values: Mapping[str, str]) -> str:
    """With ${NAME} and $NAME replaced, as in ENV and FROM."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), text)


@dataclass
class Image:
    """What the last stage says. run: commands in order, each with the arguments and variables that hold there."""

    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    run: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    copies: list[list[str]] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    folder: str = "/"


def stages(text: str, given: Mapping[str, str]) -> list[Image]:
    """The stages of a Dockerfile. given: build arguments."""
    found: list[Image] = []
    before: dict[str, str] = {}
    for word, rest in instructions(text):
        image = found[-1] if found else Image()
        values = {**image.arguments, **image.environment}
        if word == "FROM":
            found.append(Image())
        elif word == "ARG":
            name, equals, default = rest.partition("=")
            known = before if not found else image.arguments
            if name in given or equals:
                known[name] = given.get(name, default)
        elif word == "ENV":
            image.environment |= dict(part.split("=", 1) for part in shlex.split(expanded(rest, values)))
        elif word == "LABEL":
            image.labels |= dict(part.split("=", 1) for part in shlex.split(rest))
        elif word == "RUN":
            image.run.append((rest, values))
        elif word == "COPY":
            image.copies.append(shlex.split(rest))
            image.run.append((f"COPY {rest}", values))
        elif word == "WORKDIR":
            image.folder = rest
        elif word == "USER":
            image.user = rest
        elif word == "EXPOSE":
            image.exposed.append(rest)
        elif word == "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        elif word == "CMD":
            image.command = json.loads(rest)
        else:
            raise SystemExit(f"this rehearsal does not know the instruction {word}")
    return found


def _sh(root: Path, command: str, environment: Mapping[str, str], folder: str = "/") -> None:
    words = ["chroot", str(root), "/bin/sh", "-e", "-c", f"mkdir -p {folder} && cd {folder} && {command}"]
    print(f"RUN {command}", flush=True)
    subprocess.run(words, env=dict(environment), check=True, stdin=subprocess.DEVNULL)


def _copy(root: Path, words: list[str], image: Image) -> None:
    """From the repository, or (--from) from the stage before, which shares the overlay."""
    if words[0].startswith("--from"):
        return
    print(f"COPY {' '.join(words)}", flush=True)
    *sources, target = words
    place = root / os.path.normpath(Path(image.folder) / target).lstrip("/")
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)


def build(root: Path, images: list[Image], base: Mapping[str, str]) -> None:
    """Every RUN and COPY of every stage, in the overlay."""
    for image in images:
        for command, values in image.run:
            if command.startswith("COPY "):
                _copy(root, shlex.split(command)[1:], image)
            else:
                _sh(root, command, {**base, **values}, image.folder)


def start(root: Path, image: Image, base: Mapping[str, str], model: Path | None) -> subprocess.Popen[bytes]:
    """The container: process 1 of its namespace, no network but loopback, its user without rights, the model read-only."""
    place = root / "opt/ml/model"
    place.mkdir(parents=True, exist_ok=True)
    mounts = f"mount --bind {model} {place} && mount -o remount,bind,ro {place} && " if model else ""
    words = shlex.join([*image.entrypoint, *image.command])
    inside = f"cd / && exec setpriv --reuid {image.user} --regid {image.user} --clear-groups {words}"
    command = f"{sys.executable} -c {shlex.quote(LOOPBACK)} && {mounts}mount -t proc proc {root}/proc && exec chroot {root} /bin/sh -c {shlex.quote(inside)}"
    unshared = [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "/bin/sh",
        "-e",
        "-c",
        command,
    ]
    print(f"{' '.join(image.entrypoint)} {' '.join(image.command)}, as {image.user}", flush=True)
    return subprocess.Popen(
        unshared,
        env={**base, **image.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as any:  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING: not every system has the command ip
    fcntl.ioctl(any, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))
"""

CLIENT = """
import json, sys, time, urllib.error, urllib.request
def call(path, body=None):
    began = time.monotonic()
    try:
        with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + path, body), timeout=60) as answer:
            return answer.status, answer.read().decode(), time.monotonic() - began
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), time.monotonic() - began
    except OSError:
        return 0, "", time.monotonic() - began
pings, began = [], time.monotonic()
while not pings or pings[-1][0] != 200:
    status, _, seconds = call("/ping")
    pings.append((status, seconds))
    if time.monotonic() - began > 120:
        break
    time.sleep(0.02)
body = b'{"prompt": "<s>[INST] What is a llama? [/INST]", "max_tokens_to_sample": 16, "temperature": 0}'
print(json.dumps({
    "pings": sorted({status for status, _ in pings}), "slowest_ping": round(max(s for c, s in pings if c), 3),
    "ready_after": round(time.monotonic() - began, 2), "answer": call("/invocations", body)[:2], "health": json.loads(call("/health")[1]),
}))
"""


def ask(container: subprocess.Popen[bytes]) -> dict[str, object]:
    """What a client in the container's network gets."""
    first = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while not first.read_text():
        time.sleep(0.01)
    number = first.read_text().split()[0]
    words = ["nsenter", "--target", number, "--net", sys.executable, "-c", CLIENT]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env={})
    if done.returncode:
        container.kill()
        raise SystemExit(f"{done.stderr}\n{container.communicate()}")
    found: dict[str, object] = json.loads(done.stdout)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{number}/status").read_text().splitlines() if ":\t" in line
    )
    found["process"] = {"pid": status["NSpid"].split()[-1], "uid": status["Uid"].split()[0]}
    began = time.monotonic()
    os.kill(int(number), signal.SIGTERM)
    out, log = container.communicate(timeout=40)
    found |= {
        "ended_after": round(time.monotonic() - began, 2),
        "exit": container.returncode,
        "stdout": out.decode(),
        "stderr": log.decode(),
    }
    return found


def rehearse(given: Mapping[str, str], model: Path | None) -> dict[str, object]:
    """In this process's own mount namespace: everything is gone with it."""
    images = stages((HERE / "Dockerfile").read_text(encoding="utf-8"), given)
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(top)], check=True)
    for name in ("upper", "work", "root"):
        (top / name).mkdir()
    layers = f"lowerdir=/,upperdir={top}/upper,workdir={top}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(top / "root")], check=True)
    root = top / "root"
    subprocess.run(["mount", "--bind", "/dev", str(root / "dev")], check=True)
    # A shared libpython is looked for where it was built, which another user than root may not be able to read.
    base = {"PATH": "/base/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/base/lib"}
    wanted = "import sys; print(sys.base_prefix)"
    prefix = subprocess.run([sys.executable, "-c", wanted], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copytree(
        prefix, root / "base", symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "site-packages", "test")
    )
    (root / "base/bin/python").unlink(missing_ok=True)
    (root / "base/bin/python").symlink_to("python3")
    _sh(root, "python -m ensurepip >/dev/null 2>&1 && python -m pip --version", base)
    build(root, images, {**base, **{name: value for name, value in os.environ.items() if "proxy" in name.lower()}})
    return ask(start(root, images[-1], base, model))


def main() -> None:
    """One rehearsal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.inside:  # once more, in a namespace of its own
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv, "--inside"])
    given = dict(part.split("=", 1) for part in args.build_arg)
    model = None
    if "MODEL" not in given:
        from puna import config

        model = Path(tempfile.mkdtemp())
        model.chmod(0o755)
        shutil.copy(config.model_file(config.settings({})), model)
    print(json.dumps(rehearse(given, model)))


if __name__ == "__main__":
    main()
