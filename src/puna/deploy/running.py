"""``puna serve --replicas N``: a Ray of this machine alone, with an endpoint on it, until a signal. Knows Ray and signals."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from puna import config
from puna.deploy.application import Scale, application, cpus, prepare
from puna.deploy.replica import say
from puna.endpoint import DRAIN_SECONDS, Guards
from puna.errors import EngineError
from puna.models.transfer import Progress, Report
from puna.server.listen import address_of, bind

OBJECTS = 80 * 2**20
"""Bytes of Ray's object store, a little more than the least that it takes: pieces of answers are no objects."""

_NO_CLUSTER = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
"""Read where Ray is imported, on Linux too: it is no cluster, so its processes listen on loopback. Else Ray takes the machine's
outer address, whatever it is told (ray 2.60.0, ``_private/services.py``)."""


def _silent(_: Progress) -> None:
    return


def run(wanted: config.Settings, progress: Report = _silent) -> int:
    """Serve ``wanted.replicas`` replicas until SIGINT or SIGTERM; what was accepted is finished, a second signal ends at once.

    Prints the ready line. progress: of a model that is pulled first, once for all.

    Raises:
        InputError: Ray is missing, bad settings. EngineError: the replicas do not start; Ray's log says why.
    """
    os.environ.setdefault(*_NO_CLUSTER)
    prepare()
    Guards.of(wanted)
    with bind(wanted.host, wanted.port, guarded=wanted.auth is not None) as bound:
        url, port = address_of(bound), bound.getsockname()[1]
    if model := config.find_model(wanted, progress):
        config.own_format(wanted, model)
    shared = _shared(wanted)
    with suppress(KeyboardInterrupt), _ray(shared) as serve:
        handle = _started(serve, shared, port)
        _tell(url, shared, handle)
        _until_signal()
        handle.broadcast("drain").results(timeout_s=DRAIN_SECONDS + 5, return_exceptions=True)
        serve.shutdown()
    return 0


def _shared(wanted: config.Settings) -> config.Settings:
    """The settings with the cores shared out: each replica's engine thinks that it is alone."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    each = max(1, cores // wanted.replicas)
    return replace(wanted, threads=wanted.threads or max(1, each // 2), batch_threads=wanted.batch_threads or each)


@contextmanager
def _ray(wanted: config.Settings) -> Iterator[Any]:
    """A Ray that listens on loopback only, without a dashboard, and leaves nothing behind."""
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    # Not below the user's folders: the paths of Ray's sockets may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="puna-ray-"))
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # two requests may well have the same line
    try:
        ray.init(
            address="local",
            num_cpus=max(1, round(wanted.replicas * cpus(wanted) + 0.5)),
            num_gpus=0,
            object_store_memory=OBJECTS,
            include_dashboard=False,
            logging_level="WARNING",
            _temp_dir=str(folder),
        )
        with _interrupting():  # Ray has put a handler of its own there
            yield serve
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _started(serve: Any, wanted: config.Settings, port: int) -> Any:
    quiet = {"log_level": "WARNING", "enable_access_log": False}
    serve.start(proxy_location="HeadOnly", http_options={"host": wanted.host, "port": port}, logging_config=quiet)
    try:
        return serve.run(application(wanted, Scale(wanted.replicas, wanted.replicas)), name="puna")
    except RuntimeError as error:
        raise EngineError(f"the replicas do not start: {error}") from error


def _tell(url: str, wanted: config.Settings, handle: Any) -> None:
    facts: Mapping[str, object] = handle.broadcast("facts").results(timeout_s=30)[0]
    told = f"endpoint={wanted.name} model={facts['model']} context={facts['context']} slots={facts['slots']}"
    print(f"ready {url} {told} replicas={wanted.replicas}", flush=True)  # noqa: T201  # what programs wait for
    if sys.stderr.isatty():
        say(f"open {url}/ for the playground")


def _until_signal() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


@contextmanager
def _interrupting() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt wherever the main thread is, as long as the block lasts."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
