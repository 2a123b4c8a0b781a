"""Asking every replica of an application, however busy they are. Knows how Ray finds and calls them; not what is asked.

Ray Serve's own ``broadcast`` waits for one of a replica's places for requests (ray 2.60.0, ``serve/_private/replica.py``,
``_start_request``), so it would be silent just while an endpoint is full. A replica is an actor, which has none to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

SECONDS = 5.0
"""What a replica does not say by then, it does not say."""

_HERE: list[object] = []


def here(replica: object) -> None:
    """This process's replica, which answers from now on."""
    _HERE[:] = [replica]


async def ask_all(method: str, *given: object) -> Sequence[object]:
    """From within a replica: what the replicas of its application answer to a call of that method; each is one of ``here``."""
    from ray import serve  # noqa: PLC0415

    context = serve.get_replica_context()
    return await asyncio.to_thread(ask_each, context.app_name, method, *given)


def ask_each(app: str, method: str, *given: object) -> Sequence[object]:
    """The same from anywhere in the cluster. Blocks, at most SECONDS."""
    import ray  # noqa: PLC0415

    calls = [replica.__ray_call__.remote(_told, method, *given) for replica in _replicas(app)]
    done, _ = ray.wait(calls, num_returns=len(calls), timeout=SECONDS) if calls else ([], [])
    answers = []
    for call in done:
        try:
            answers.append(ray.get(call))
        except ray.exceptions.RayError:  # it has just died
            continue
    return [answer for answer in answers if answer is not None]


def _replicas(app: str) -> list[Any]:
    import ray  # noqa: PLC0415
    from ray.serve.request_router import ReplicaID  # noqa: PLC0415
    from ray.util import list_named_actors  # noqa: PLC0415

    found = []
    for actor in list_named_actors(all_namespaces=True):
        name = actor["name"]
        if ReplicaID.is_full_id_str(name) and ReplicaID.from_full_id_str(name).deployment_id.app_name == app:
            try:
                found.append(ray.get_actor(name, namespace=actor["namespace"]))
            except ValueError:  # it has just died
                continue
    return found


def _told(_actor: object, method: str, *given: object) -> object:
    """In the replica's process, beside its loop: None from one that is not loaded yet."""
    return getattr(_HERE[0], method)(*given) if _HERE else None
