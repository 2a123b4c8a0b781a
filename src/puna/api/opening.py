"""The engine behind a conversation and its forks: opened when it is first needed, closed with the last of them. Knows configuration."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from puna import config
from puna.api.given import check_text
from puna.chat import Spine
from puna.config import Address, Settings
from puna.engines.address import checked
from puna.engines.timeouts import Timeouts
from puna.errors import InputError, unknown
from puna.generation import Sampling
from puna.models.transfer import Report
from puna.wire.dialects import AUTO

_BOTH = ("model", "format", "context")
"""Settings of a local model that a server's address may have too."""


class Opening:
    """How an engine is opened, and the engine once it is. where: a server's address, or the settings of a local engine."""

    def __init__(self, where: Address | Settings, progress: Report) -> None:
        self.where = where
        self._progress = progress
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._spine: Spine | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def raw(self) -> bool:
        """Whether the settings say that texts are sent as they are."""
        return isinstance(self.where, Settings) and self.where.prompts == "raw"

    def join(self, user: object) -> None:
        """One more conversation that the engine stays open for."""
        self._users.add(user)

    async def spine(self, user: object) -> Spine:
        """What prepares turns; opened where that was not done yet.

        Raises:
            InputError: it was opened in another event loop, or closed meanwhile. EngineError: it does not start.
        """
        self.join(user)
        async with self._opening:
            if self._spine is None:
                self._loop = asyncio.get_running_loop()
                self._spine = await self._opened()
        if self._loop is not asyncio.get_running_loop():
            raise InputError("this conversation was opened in another event loop; make one per loop, or use puna.Chat")
        return self._spine

    async def _opened(self) -> Spine:
        if isinstance(self.where, Address):
            return await config.open_address(self.where)
        model = await asyncio.to_thread(config.find_model, self.where, self._progress)
        return await config.open_spine(self.where, model)

    async def leave(self, user: object) -> None:
        """Close the engine, unless another conversation has it too."""
        self._users.discard(user)
        if not self._users:
            await self.close()

    async def close(self) -> None:
        """Close the engine, whoever has it."""
        spine, self._spine = self._spine, None
        if spine is not None:
            await spine.engine.close()


def place_of(
    url: str | None, there: Mapping[str, Any], given: Mapping[str, Any], file: Path | str | None
) -> Address | Settings:
    """Where a conversation's answers come from: the server at ``url`` or, without one, at PUNA_URL; else a local model.

    there: what only goes with a server. given: settings of a local model, of which a server takes model, format and context. A local
    model that is asked for, by its name or any setting that only it has, stands before PUNA_URL. None counts as not given.

    Raises:
        InputError: an unknown name, a bad value, or what does not go together.
    """
    own = {name: value for name, value in given.items() if value is not None and name not in _BOTH}
    here = file is not None or given["model"] is not None or bool(own)
    named, place = None if url is not None or here else config.server(), "url"
    endpoint, model = there["endpoint"], given["model"]
    form, context, dialect = given["format"], given["context"], there["dialect"]
    if named is not None:
        url, place = named.url, "PUNA_URL"
        endpoint = named.endpoint if endpoint is None else endpoint
        form, context = form or named.format, context or named.context
        dialect = named.dialect or dialect if dialect == AUTO else dialect
    if url is None:
        away = {name: None if value == AUTO else value for name, value in there.items() if name != "retries"}
        return _local(given, away, file)
    settings = {name: value for name, value in given.items() if name not in _BOTH}
    _check_server(url, endpoint, model, settings if file is None else {"file": file, **settings})
    name = model if endpoint is None else endpoint
    timeouts, rest = there["timeouts"] or Timeouts(), (dialect, context)
    where = Address(url, there["api"], name, there["key"], form, *rest, timeouts, there["retries"])
    checked(where, {}, place)
    return where


def _local(given: Mapping[str, object], server: Mapping[str, object], file: Path | str | None) -> Settings:
    """The settings of a local engine. None counts as not given; server: what only goes with a server's address.

    Raises:
        InputError: an unknown name, a bad value, or what goes with an address.
    """
    if away := [name for name, value in server.items() if value is not None]:
        raise InputError(f"{', '.join(away)}: of a server, and none is named; give its url, or leave them out")
    known = {option.name for option in config.OPTIONS}
    for name in given:
        if name not in known:
            raise InputError(unknown("setting", name, {*known, *Sampling.__dataclass_fields__}))
    return config.settings(
        {name: value for name, value in given.items() if value is not None}, file=Path(file) if file else None
    )


def _check_server(url: object, endpoint: object, model: object, settings: Mapping[str, object]) -> None:
    """Refuse what makes no address of a server.

    Raises:
        InputError: no texts, two names, or settings of a local engine.
    """
    for name, value in (("url", url), ("endpoint", endpoint), ("model", model)):
        if value is not None:
            check_text(name, value)
    if endpoint is not None and model is not None and endpoint != model:
        raise InputError(
            f"endpoint {endpoint!r} and model {model!r} both name what answers at the url; leave out one of them"
        )
    if settings:
        raise InputError(f"{', '.join(settings)}: settings of a local model, which the server at {url} has already")
