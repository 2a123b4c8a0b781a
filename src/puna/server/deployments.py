"""Models, endpoint configurations and endpoints that callers created, in memory, and their lives. Knows no HTTP and no engine.

What is created here has no engine of its own: the one that is here answers under each name. Container, image and model data are not
run. A thing that is used may be deleted: an endpoint keeps what it was made of, as SageMaker's does.

"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from puna.server.shapes import ControlError

MOST = 100
"""Models, configurations and endpoints, of each kind. A caller cannot fill the memory."""

SETTLING_SECONDS = 1.0
"""How long an endpoint is being created, updated or deleted. AWS takes minutes; a program that does not wait must fail here, too."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A model or an endpoint configuration. text: what it was created with, as JSON: a value would take ten times the memory."""

    name: str
    created: float
    text: str = "{}"

    @property
    def given(self) -> Mapping[str, Any]:
        """What it was created with."""
        found: Mapping[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True, slots=True)
class Made:
    """What an endpoint is made of. reason: why its container would not start, if so."""

    config: Thing
    model: Thing
    reason: str | None

    @property
    def variant(self) -> Mapping[str, Any]:
        """The only production variant."""
        found: Mapping[str, Any] = self.config.given["ProductionVariants"][0]
        return found

    @property
    def container(self) -> Mapping[str, Any]:
        """The model's container, as it was given."""
        return container_of(self.model.given)

    def told(self) -> dict[str, object]:
        """For a receipt. Of the environment the names alone: values may be secrets."""
        container = self.container
        return {
            "config": self.config.name,
            "variant": self.variant["VariantName"],
            "model": self.model.name,
            "image": container.get("Image"),
            "model_data": container.get("ModelDataUrl"),
            "environment": sorted(container.get("Environment", {})),
            "run": False,
        }


@dataclass(slots=True)
class Endpoint:
    """An endpoint that a caller created. change: what it is being, if anything, since ``began`` (seconds of the store's clock).

    next: what it is being updated to. reason: why it, or its last update, failed.
    """

    name: str
    made: Made
    created: float
    modified: float
    change: str | None = "Creating"
    began: float = 0.0
    next: Made | None = None
    reason: str | None = None

    @property
    def answers(self) -> bool:
        """Whether it can be invoked: also while it is updated."""
        return self.change == "Updating" or (self.change is None and self.made.reason is None)

    @property
    def status(self) -> str:
        """Its own EndpointStatus, where the engine is well."""
        return self.change or ("Failed" if self.made.reason else "InService")

    def settle(self, now: float) -> bool:
        """Take the change in, once it is due; whether the endpoint is still there."""
        if self.change is None or now - self.began < SETTLING_SECONDS:
            return True
        change, self.change = self.change, None
        if self.next is not None:  # an update that fails is rolled back
            self.reason = self.next.reason
            self.made = self.made if self.next.reason else self.next
            self.next = None
        else:
            self.reason = self.made.reason
        return change != "Deleting"


T = TypeVar("T", Thing, Endpoint)


@dataclass(slots=True)
class Deployments:
    """The things that callers created. wall: seconds since 1970; clock: seconds that never go back.

    open: whether anything may be created; not where there are several replicas, of which each would know its own alone.
    """

    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    open: bool = True
    models: dict[str, Thing] = field(default_factory=dict)
    configs: dict[str, Thing] = field(default_factory=dict)
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Those that are there now."""
        now = self.clock()
        self._endpoints = {name: each for name, each in self._endpoints.items() if each.settle(now)}
        return self._endpoints

    def answering(self, name: str) -> Endpoint | None:
        """The endpoint of that name, where it can be invoked."""
        found = self.endpoints.get(name) if self._endpoints else None
        return found if found is not None and found.answers else None

    def add(self, kind: dict[str, Thing], name: str, given: Mapping[str, Any]) -> None:
        """A model or a configuration. kind: ``models`` or ``configs``.

        Raises:
            ControlError: there are too many.
        """
        self._check_room(kind, "models" if kind is self.models else "endpoint configurations")
        kind[name] = Thing(name, self.wall(), json.dumps(given))

    def start(self, name: str, made: Made) -> None:
        """An endpoint.

        Raises:
            ControlError: there are too many.
        """
        self._check_room(self.endpoints, "endpoints")
        now = self.wall()
        self._endpoints[name] = Endpoint(name, made, now, now, began=self.clock())

    def change(self, endpoint: Endpoint, how: str, made: Made | None = None) -> None:
        """Begin to update or delete. how: ``Updating`` or ``Deleting``."""
        endpoint.change, endpoint.next, endpoint.reason = how, made, None
        endpoint.began, endpoint.modified = self.clock(), self.wall()

    def _check_room(self, kind: Mapping[str, object], words: str) -> None:
        if len(kind) >= MOST:
            raise ControlError(
                f"puna keeps at most {MOST} {words}, and there are as many; delete one", "ResourceLimitExceeded"
            )


def container_of(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one container of a model, as CreateModel was given it; empty for the model that was here before."""
    found: Mapping[str, Any] = given.get("PrimaryContainer") or next(iter(given.get("Containers", ())), {})
    return found


def page(rows: Iterable[T], given: Mapping[str, Any], status: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The rows that the filters of a List operation let through, in its order, on its page; and the token of the next page.

    Raises:
        ControlError: a token that none of puna's pages gave.
    """
    kept = [row for row in rows if _kept(row, given, status)]
    by = given.get("SortBy", "CreationTime")

    def key(row: T) -> tuple[str | float, str]:
        values: dict[str, str | float] = {"Name": row.name, "Status": status(row), "CreationTime": row.created}
        return values[by], row.name

    kept.sort(key=key, reverse=given.get("SortOrder", "Descending") == "Descending")
    first, most = _first(given.get("NextToken")), given.get("MaxResults", 10)
    more = first + most < len(kept)
    return kept[first : first + most], f"puna-{first + most}" if more else None


def _first(token: str | None) -> int:
    if token is None:
        return 0
    number = token.removeprefix("puna-")
    if number == token or not (number.isascii() and number.isdigit()) or len(number) > 6:
        raise ControlError("Invalid pagination token: it is none that puna gave.")
    return int(number)


def _kept(row: T, given: Mapping[str, Any], status: Callable[[T], str]) -> bool:
    """Bounds as the service model words them: only CreationTimeAfter takes its own moment in."""
    ever = float("inf")
    modified = row.modified if isinstance(row, Endpoint) else row.created
    return (
        given.get("NameContains", "") in row.name
        and given.get("StatusEquals") in {None, status(row)}
        and given.get("CreationTimeAfter", -ever) <= row.created < given.get("CreationTimeBefore", ever)
        and given.get("LastModifiedTimeAfter", -ever) < modified < given.get("LastModifiedTimeBefore", ever)
    )
