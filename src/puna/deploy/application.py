"""The endpoint as Ray Serve has it: how many replicas, what each may take, who routes. Knows Ray; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from puna import config
from puna.deploy import front
from puna.deploy.asking import ask_all
from puna.deploy.replica import Replica
from puna.endpoint import DRAIN_SECONDS
from puna.errors import InputError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": front.PATH,
}
"""What Ray is told through its environment, where the user does not say otherwise: to report nothing, and what stands before
the replicas. Ray's processes inherit it from the one that starts them."""

DEPLOYMENT = "Endpoint"
ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
"""Ray's own: one key, one replica, and the next on the ring where that one has all it may, or is gone."""

UPSTREAM_PLACES = 256
"""Requests that a replica passes on at a time."""

_ANY = 1000
"""Replicas that are tried after the one of the key, so all: an answer from a cold cache is better than a wait."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas: from least to most. most: more than least lets Ray decide by what is under way."""

    least: int
    most: int


def app(args: dict[str, Any]) -> Any:
    """For ``serve run puna.deploy:app [NAME=VALUE ...]``, or ``import_path`` and ``args`` of a Serve config file.

    args: settings by the names of the options of ``puna serve`` (``model``, ``slots``, ``engine``, ...), which precede
    PUNA_ variables; ``min_replicas`` and ``max_replicas`` for autoscaling.

    Raises:
        InputError: an unknown name or a bad value, Ray is missing.
    """
    given = dict(args)
    least, most = given.pop("min_replicas", None), given.pop("max_replicas", None)
    known = {option.name for option in config.OPTIONS if not option.secret}
    for name in given:
        if name not in known:
            raise InputError(
                f"{name} is no setting; known: {', '.join(sorted(known))}, min_replicas, max_replicas; keys and tokens are "
                f"read from the environment alone"
            )
    wanted = config.settings(given)
    scale = _scale(wanted, least, most)
    prepare()
    return application(wanted, scale)


def prepare() -> None:
    """Tell Ray what it must know before it starts.

    Raises:
        InputError: Ray is missing.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray.serve  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(f"replicas need Ray Serve ({error}); install it with: pip install 'puna[ray]'") from error


def _scale(wanted: config.Settings, least: object, most: object) -> Scale:
    try:
        low = wanted.replicas if least is None else int(str(least))
        high = max(low, wanted.replicas) if most is None else int(str(most))
    except ValueError:
        low, high = 0, 0
    if not 1 <= low <= high:
        raise InputError(
            f"min_replicas and max_replicas must be whole numbers with 1 <= min_replicas <= max_replicas, not {least!r} and {most!r}"
        )
    return Scale(low, high)


def application(wanted: config.Settings, scale: Scale) -> Any:
    """What ``serve.run`` takes. Ray must be there (``prepare``)."""
    from ray import serve  # noqa: PLC0415
    from ray.serve.config import RequestRouterConfig  # noqa: PLC0415

    replicas: Mapping[str, object] = (
        {"num_replicas": scale.least}
        if scale.least == scale.most
        else {"autoscaling_config": _autoscaling(wanted, scale)}
    )
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name=DEPLOYMENT,
        max_ongoing_requests=places(wanted),
        # A request counts here while it is routed, too.
        max_queued_requests=wanted.queue + places(wanted),
        backpressure_config={"status_code": 429, "retry_after_s": 1},
        ray_actor_options={"num_cpus": cpus(wanted)},
        health_check_period_s=5,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        request_router_config=RequestRouterConfig(
            request_router_class=ROUTER, request_router_kwargs={"num_fallback_replicas": _ANY}
        ),
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        **replicas,
    )
    return deployment.bind(wanted, own_name, ask_all)


def _autoscaling(wanted: config.Settings, scale: Scale) -> Mapping[str, object]:
    """One more replica as soon as what is under way fills the slots of those that are there; one less after a quiet while.

    A model takes seconds to minutes to load, so it grows fast and shrinks slowly.
    """
    return {
        "min_replicas": scale.least,
        "max_replicas": scale.most,
        "target_ongoing_requests": places(wanted) / 2,
        "upscale_delay_s": 10,
        "downscale_delay_s": 300,
    }


def places(wanted: config.Settings) -> int:
    """Requests that a replica has at most: as many as are worked on, and as many again, which wait where their beginning is cached.

    More go to another replica. In front of an upstream nothing waits here, and its own queue is the limit.
    """
    return 2 * wanted.slots if wanted.engine in {"llamacpp", "scripted"} else UPSTREAM_PLACES


def cpus(wanted: config.Settings) -> float:
    """Cores that Ray sets aside for a replica: as many as its engine has threads; a part of one where the engine is elsewhere."""
    if wanted.engine != "llamacpp":
        return 0.1
    return float(wanted.batch_threads or wanted.threads or 1)


def own_name() -> str:
    """The name of the replica that this runs in."""
    from ray import serve  # noqa: PLC0415

    found: str = serve.get_replica_context().replica_id.unique_id
    return found
