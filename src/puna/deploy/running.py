"""``puna serve --replicas N``: a Ray of this machine alone, with an endpoint on it, until a signal. Knows Ray and signals."""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from puna import config
from puna.deploy.application import Scale, application, cpus, prepare
from puna.deploy.asking import ask_each
from puna.deploy.replica import say
from puna.endpoint import DRAIN_SECONDS, Guards
from puna.errors import EngineError
from puna.models.transfer import Progress, Report
from puna.server.listen import address_of, bind

OBJECTS = 80 * 2**20
"""Bytes of Ray's object store, a little more than the least that it takes: pieces of answers are no objects."""

_APP = "puna"
_LOOK_SECONDS = 0.2

_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_gcs_rpc_server_connect_timeout_s": "60",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
"""For a Ray of this machine alone (ray 2.60.0). The first is read where Ray is imported, on Linux too: it is no cluster, so its
processes listen on loopback; else it takes the machine's outer address, whatever it is told (``_private/services.py``). Two
requests may well have the same log line. Whoever calls Ray's processes needs a token. The rest are times that a busy machine needs."""

_START_SECONDS = 300
_AGENT_PORTS = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def _silent(_: Progress) -> None:
    return


def run(wanted: config.Settings, progress: Report = _silent) -> int:
    """Serve ``wanted.replicas`` replicas until SIGINT or SIGTERM; what was accepted is finished, a second signal ends at once.

    Prints the ready line. progress: of a model that is pulled first, once for all.

    Raises:
        InputError: Ray is missing, bad settings. EngineError: the replicas do not start; Ray's log says why.
    """
    for name, value in {**_ALONE, "RAY_AUTH_TOKEN": secrets.token_hex(32)}.items():
        os.environ.setdefault(name, value)
    prepare()
    Guards.of(wanted)
    with bind(wanted.host, wanted.port, guarded=wanted.auth is not None) as bound:
        url, port = address_of(bound), bound.getsockname()[1]
    if model := config.find_model(wanted, progress):
        config.own_format(wanted, model)
    if wanted.upstream:
        config.upstream_of(wanted)
    shared = _shared(wanted)
    with suppress(KeyboardInterrupt), _ray(shared) as serve:
        _start(serve, shared, port)
        _tell(url, shared)
        _until_signal()
        _drain()
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
    folder = Path(tempfile.mkdtemp(prefix="puna-"))
    try:
        _init(ray, max(1, math.ceil(wanted.replicas * cpus(wanted))), folder)
        with _interrupting():  # Ray has put a handler of its own there
            yield serve
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _patient() -> Iterator[None]:
    """Ray as patient as a busy machine needs it, while it starts.

    It waits 30 s for its processes, a number in its code (``_private/node.py``), and of these the raylet aborts where its agents
    have not written down their ports within 15 s, unless they were told them.
    """
    from ray._private import parameter, services  # noqa: PLC0415

    find, params = services.get_node, parameter.RayParams
    parameter.RayParams = partial(params, **dict(zip(_AGENT_PORTS, _free_ports(len(_AGENT_PORTS)), strict=True)))

    def found(*given: object) -> object:
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                return find(*given)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)

    services.get_node = found
    try:
        yield
    finally:
        services.get_node, parameter.RayParams = find, params


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        bound = [stack.enter_context(bind("127.0.0.1", 0)) for _ in range(count)]
        return [one.getsockname()[1] for one in bound]


def _init(ray: Any, cores: int, folder: Path) -> None:
    try:
        with _patient():
            _open(ray, cores, folder)
    except Exception as error:  # of no class of its own
        raise EngineError(
            f"Ray does not start ({error}); try again, and look for what keeps this machine busy"
        ) from error


def _open(ray: Any, cores: int, folder: Path) -> None:
    ray.init(
        address="local",
        num_cpus=cores,
        num_gpus=0,
        object_store_memory=OBJECTS,
        include_dashboard=False,
        logging_level="WARNING",
        _temp_dir=str(folder),
        _metrics_export_port=_free_ports(1)[0],
    )


def _start(serve: Any, wanted: config.Settings, port: int) -> None:
    quiet = {"log_level": "WARNING", "enable_access_log": False}
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # of this process, which the option is not for
    serve.start(proxy_location="HeadOnly", http_options={"host": wanted.host, "port": port}, logging_config=quiet)
    try:
        serve.run(application(wanted, Scale(wanted.replicas, wanted.replicas)), name=_APP)
    except RuntimeError as error:
        raise EngineError(f"the replicas do not start: {error}") from error


def _tell(url: str, wanted: config.Settings) -> None:
    answers = [answer for answer in ask_each(_APP, "facts") if isinstance(answer, Mapping)]
    if not answers:
        raise EngineError("no replica answers, though all have started; Ray's log says why")
    facts = answers[0]
    context, slots = (facts[name] or "unknown" for name in ("context", "slots"))
    behind = "" if wanted.upstream is None else f" upstream={wanted.upstream}"
    told = f"endpoint={wanted.name} model={facts['model']} context={context} slots={slots}{behind}"
    print(f"ready {url} {told} replicas={wanted.replicas}", flush=True)  # noqa: T201  # what programs wait for
    if sys.stderr.isatty():
        say(f"open {url}/ for the playground")


def _drain() -> None:
    """Until all replicas have finished what they had accepted; each gives up by itself after DRAIN_SECONDS."""
    for _ in range(int(DRAIN_SECONDS / _LOOK_SECONDS) + 10):
        if all(ask_each(_APP, "drain")):
            return
        time.sleep(_LOOK_SECONDS)


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
