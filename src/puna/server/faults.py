"""Faults on purpose, for people's own tests: which of them strike a request, and how. Knows chance, time and errors.

The same file and the same sequence of requests give the same faults: each fault has dice of its own, which are thrown once
for every request that it could strike, and each strike has dice of its own again, so that requests under way at the same
time do not disturb each other.

Words of errors: botocore 1.44.8, service model of sagemaker-runtime 2017-05-13, and what ``docs/faults.md`` names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from starlette.types import Send

from puna.errors import EngineBusyError, EngineLoadingError, EngineStoppedError, PunaError
from puna.server import fault_plan, fault_streams
from puna.server.fault_plan import KINDS, Fault
from puna.server.fault_streams import Cutter, Ending, Splitting

Sleep = Callable[[float], Awaitable[None]]

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
"""SageMaker's own words (AWS re:Post, read 2026-11-22)."""

STREAM_TIMED_OUT = "Your model primary did not complete sending the inference response in the allotted time."
"""SageMaker's own words (AWS re:Post, read 2026-11-22)."""


class ContainerFault(PunaError):  # noqa: N818  # a fault is the error
    """The container's own refusal. container_status: 0 where it did not answer in time. container_body: UTF-8."""

    status = 424
    code = "ModelError"

    def __init__(self, container_status: int, container_body: str) -> None:
        self.container_status = container_status
        self.container_body = container_body.encode()
        super().__init__(container_body or f"the container answered {container_status} without a body")


class ThrottleFault(EngineBusyError):  # noqa: N818
    """The service takes no more requests; an engine that is busy is answered alike."""


class StreamFault(PunaError):  # noqa: N818
    """The answer breaks off. error_code: ``StreamBroken``, ``ModelInvocationTimeExceeded``, or empty where it is the service's fault."""

    def __init__(self, error_code: str, sentence: str) -> None:
        self.error_code = error_code
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A fault that strikes one request, with the dice of this strike."""

    fault: Fault
    dice: random.Random


@dataclass(slots=True)
class _Line:
    """A fault of the file. seed: of all that is thrown for it. seen: requests that it could have struck."""

    fault: Fault
    seed: str
    dice: random.Random
    seen: int = 0

    def pick(self) -> Chosen | None:
        """Whether it strikes the next request that it could."""
        self.seen += 1
        fault = self.fault
        if fault.nth:
            strikes = self.seen == fault.nth
        elif fault.every:
            strikes = self.seen % fault.every == 0
        else:
            strikes = self.dice.random() < fault.probability
        return Chosen(fault, _dice(f"{self.seed}/{self.seen}")) if strikes else None


class Faults:
    """The faults of an endpoint; without a plan there are none. seed: of all chance. sleep: as ``asyncio.sleep``."""

    def __init__(self, plan: Sequence[Fault] = (), seed: int = 0, sleep: Sleep = asyncio.sleep) -> None:
        self.plan = tuple(plan)
        self._sleep = sleep
        self._lines = [_Line(fault, f"{seed}/{n}", _dice(f"{seed}/{n}")) for n, fault in enumerate(plan)]

    @classmethod
    def read(cls, path: Path, sleep: Sleep = asyncio.sleep) -> Faults:
        """Those of a TOML file.

        Raises:
            InputError: the file cannot be read, or asks for what there is not.
        """
        seed, plan = fault_plan.read(path)
        return cls(plan, seed, sleep)

    def __bool__(self) -> bool:
        return bool(self.plan)

    def pick(self, route: str) -> Strike:
        """What strikes the next request. Call it once for each, in the order in which they come.

        route: one of ``fault_plan.ROUTES``.
        """
        chosen = [found for line in self._lines if route in line.fault.routes and (found := line.pick())]
        return Strike(_consistent(chosen), self._sleep)


@dataclass(frozen=True, slots=True)
class Strike:
    """What strikes one request, in the file's order; nothing, mostly."""

    chosen: tuple[Chosen, ...] = ()
    sleep: Sleep = field(default=asyncio.sleep)

    def __bool__(self) -> bool:
        return bool(self.chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds, for people."""
        return tuple(entry.fault.kind for entry in self.chosen)

    async def before(self) -> None:
        """Wait, and refuse, before the model is asked.

        Raises:
            PunaError: what the request is refused with; a ContainerFault where the container refuses.
        """
        for entry in self.chosen:
            fault = entry.fault
            if fault.kind in {"late", "time-out"}:
                await self.sleep(fault.seconds)
            if KINDS[fault.kind].refuses:
                raise _refusal(fault)

    def records(self, records: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The records as the faults leave them. Closing what is returned closes what was given.

        Raises:
            StreamFault: as they are read, where the answer breaks off.
        """
        for entry in self.chosen:
            records = self._struck(records, entry.fault)
        # Last, since from here on there are no more records to count.
        for entry in self.chosen:
            if entry.fault.kind == "parts":
                records = fault_streams.scattered(records, Cutter(entry.fault.size, entry.dice))
        return records

    def _struck(self, records: AsyncGenerator[bytes, None], fault: Fault) -> AsyncGenerator[bytes, None]:
        match fault.kind:
            case "slow":
                return fault_streams.slowed(records, fault.after, partial(self.sleep, fault.seconds))
            case "malformed":
                return fault_streams.spoiled(records, fault.after)
            case "no-newline":
                return fault_streams.unended(records)
            case "stream-broken" | "stream-time-out" | "internal-stream-failure":
                return fault_streams.broken(records, fault.after, _break(fault.kind))
        return records

    def send(self, send: Send) -> Send:
        """An ASGI ``send`` for the answer, one body message for each record.

        It raises StreamFault once it has cut an answer off, so that the work behind it ends; whatever is sent after that is
        swallowed. After ``drop`` the app must return without more ado: then the server closes the connection.
        """
        # Pieces are cut nearest to the wire, since after that a message is no record.
        for entry in self.chosen:
            if entry.fault.kind == "split":
                send = Splitting(send, Cutter(entry.fault.size, entry.dice))
        for entry in self.chosen:
            if entry.fault.kind in {"cut", "drop"}:
                clean, error = entry.fault.kind == "cut", _break(entry.fault.kind)
                send = Ending(send, entry.fault.after, entry.dice, error, clean=clean)
        return send


def _dice(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311  # chance that can be repeated is what is wanted


def _consistent(chosen: Sequence[Chosen]) -> tuple[Chosen, ...]:
    """Of several that end a request the first in the file; of the others those that can still strike then."""
    kinds = [KINDS[entry.fault.kind] for entry in chosen]
    at = next((n for n, kind in enumerate(kinds) if kind.refuses or kind.breaks), len(chosen))
    if at == len(chosen):
        return tuple(chosen)
    if kinds[at].refuses:
        return (*(entry for entry in chosen[:at] if entry.fault.kind == "late"), chosen[at])
    return tuple(
        entry
        for n, (entry, kind) in enumerate(zip(chosen, kinds, strict=True))
        if n == at or not (kind.refuses or kind.breaks or entry.fault.kind == "no-newline")
    )


def _refusal(fault: Fault) -> PunaError:
    match fault.kind:
        case "time-out":
            return ContainerFault(0, TIMED_OUT)
        case "model-error":
            return ContainerFault(fault.status, fault.body)
        case "throttle":
            return ThrottleFault("Rate exceeded")
        case "not-ready":
            return EngineLoadingError(
                "Either a serverless endpoint variant's resources are still being provisioned, or a multi-model endpoint is "
                "still downloading or loading the target model. Wait and try your request again."
            )
        case "unavailable":
            return EngineStoppedError("The service is unavailable. Try your call again.")
    return PunaError("An internal failure occurred.")


def _break(kind: str) -> StreamFault:
    match kind:
        case "stream-time-out":
            return StreamFault("ModelInvocationTimeExceeded", STREAM_TIMED_OUT)
        case "internal-stream-failure":
            return StreamFault(
                "",
                "The stream processing failed because of an unknown error, exception or failure. Try your request again.",
            )
        case "stream-broken":
            return StreamFault(
                "StreamBroken",
                "The Transmission Control Protocol (TCP) connection between the client and the model was reset or closed.",
            )
    return StreamFault("StreamBroken", f"the fault {kind!r} ended the answer here, on purpose")
