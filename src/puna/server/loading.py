"""Who answers while there is no model yet: nobody, and that is said. Knows no engine."""

from __future__ import annotations

from collections.abc import Sequence

from puna.engines.base import EngineInfo
from puna.errors import EngineLoadingError
from puna.generation import Prompt
from puna.server.answers import Speaker, Turn
from puna.turn import Ask


class Late:
    """A speaker that comes later: ``put`` it here once its model is loaded. expected: what is known of its engine before."""

    def __init__(self, expected: EngineInfo) -> None:
        self._expected = expected
        self._speaker: Speaker | None = None

    def put(self, speaker: Speaker) -> None:
        """From now on this one answers."""
        self._speaker = speaker

    @property
    def loaded(self) -> bool:
        """Whether the speaker is there."""
        return self._speaker is not None

    @property
    def info(self) -> EngineInfo:
        """The speaker's, or what is expected of it."""
        return self._speaker.info if self._speaker else self._expected

    @property
    def writes(self) -> str | None:
        """The speaker's, None before it is there."""
        return self._speaker.writes if self._speaker else None

    async def prepare(self, ask: Ask) -> Turn:
        """The speaker's.

        Raises:
            EngineLoadingError: the model is still being loaded.
        """
        return await self._there().prepare(ask)

    async def encoded(self, ask: Ask) -> Prompt:
        """The speaker's."""
        return await self._there().encoded(ask)

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        """The speaker's."""
        return await self._there().spelled(ids)

    def _there(self) -> Speaker:
        if self._speaker is None:
            raise EngineLoadingError("the model is being loaded; ask again in a few seconds")
        return self._speaker
