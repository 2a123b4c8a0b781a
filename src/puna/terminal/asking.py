"""One answer: asked for, kept on disk and shown as it comes, stopped where the person wants. Knows turns; no command."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from puna.chat import Spine
from puna.errors import InputError, PunaError
from puna.generation import NO_EXTRAS, Delta, Extras, Receipt
from puna.messages import Role
from puna.playground.records import Record, Tokens
from puna.terminal.keeping import Keeper
from puna.terminal.keys import listening
from puna.terminal.screen import Screen, Shown
from puna.terminal.talk import Talk, facts_of
from puna.turn import Turn

ALTERNATIVES = 5
"""Of each token of an answer, for /tokens."""

DRAW_SECONDS = 0.04
"""Shortest time between two drawings: more of them a second no eye sees."""

WAIT_SECONDS = 1.0
"""After which a person who sees nothing come is told that it is waited for."""


@dataclass(slots=True)
class Answer:
    """An answer, or what came of it. receipt: None where it did not end by itself. first: seconds until its first token."""

    text: str = ""
    tokens: list[Record] = field(default_factory=list)
    receipt: Receipt | None = None
    first: float = 0.0
    stopped: bool = False
    error: PunaError | None = None
    typed: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Of how it ended otherwise than by itself, as a session tells it."""
        if self.error is not None:
            return {"finish": "broken", "error": {"message": str(self.error)[:4000]}}
        return {"finish": "stopped"} if self.stopped else {}

    @property
    def kept_tokens(self) -> list[list[Any]]:
        """Id, text and log-probability of each token, where they are known and make up the text."""
        known = [[record["id"], record["t"], record["lp"]] for record in self.tokens]
        whole = all(lp is not None for _, _, lp in known) and "".join(str(t) for _, t, _ in known) == self.text
        return known if whole else []


class Asker:
    """Asks one engine for answers of a conversation. logprobs: whether it tells how likely its tokens are, as far as is known."""

    def __init__(self, spine: Spine, keeper: Keeper, screen: Screen) -> None:
        self.spine = spine
        self.logprobs = spine.info.found.get("logprobs") is not False
        self._keeper = keeper
        self._screen = screen

    async def ask(self, talk: Talk, text: str | None = None) -> Answer:
        """Answer a new message, or with None the newest one of the conversation, which then has the answer.

        Raises:
            PunaError: nothing was asked, since the request was refused; the conversation is as it was.
        """
        before = talk.history
        if text is not None and talk.waits:  # a question that got no answer stays as a version of this one
            talk.history = talk.history.fork(talk.history.nodes[talk.history.head or 0].parent)
        answer = Answer()
        shown = self._screen.answer()
        self._screen.space()
        work = asyncio.ensure_future(self._run(talk, text, answer, shown))
        try:
            with listening(_stopper(work, answer), shown.resized, keys=self._screen.moves) as typed:
                await self._watched(work, answer, shown)
                asked = text is None or talk.waits
                answer.typed = typed.text if asked else text or ""
        except PunaError:
            talk.history = before
            self._keeper.end(talk)
            raise
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError, PunaError):
                await work
            shown.end()
            self._screen.space()
        if talk.waits and (answer.text or answer.receipt):
            facts = facts_of(talk.params, answer.receipt, answer.first, answer.kept_tokens)
            talk.answered(answer.text, facts | answer.facts)
        self._keeper.end(talk)
        return answer

    async def _run(self, talk: Talk, text: str | None, answer: Answer, shown: Shown) -> None:
        turn = await self.spine.prepare(talk.ask(text, Extras(ALTERNATIVES) if self.logprobs else NO_EXTRAS))
        if text is not None:
            talk.history = talk.history.append(Role.USER, text)
        self._keeper.save(talk)
        self._keeper.begin(talk)
        try:
            await self._read(turn, answer, shown)
        except InputError as error:
            if answer.text or not self.logprobs:
                raise
            self.logprobs = False  # some servers refuse what they cannot tell
            turn = await self.spine.prepare(talk.ask())
            try:
                await self._read(turn, answer, shown)
            except InputError:
                self.logprobs = True
                raise error from None

    async def _read(self, turn: Turn, answer: Answer, shown: Shown) -> None:
        began = time.monotonic()
        tokens = Tokens({})
        async with aclosing(turn.stream()) as events:
            async for event in events:
                if isinstance(event, Receipt):
                    answer.receipt = event
                    return
                answer.first = answer.first or time.monotonic() - began
                self._take(event, tokens, answer, shown)

    def _take(self, event: Delta, tokens: Tokens, answer: Answer, shown: Shown) -> None:
        """What is shown is on disk already."""
        answer.tokens.extend(tokens.of(event))
        if event.text:
            self._keeper.add(event.text)
            answer.text += event.text
            shown.add(event.text)

    async def _watched(self, work: asyncio.Future[None], answer: Answer, shown: Shown) -> None:
        """Draw until the work is done. A failure after the first token is the answer's, not the request's."""
        began, drawn, pause = time.monotonic(), 0, DRAW_SECONDS
        while not work.done():
            await asyncio.wait([work], timeout=pause)
            at = time.monotonic()
            if len(answer.text) > drawn:
                drawn = len(answer.text)
                shown.draw()
            elif not drawn and at - began > WAIT_SECONDS and not work.done():
                shown.waiting(f"… {at - began:.0f} s, Esc stops")
            pause = max(DRAW_SECONDS, 3 * (time.monotonic() - at))
        try:
            await work
        except asyncio.CancelledError:
            if not answer.stopped:
                raise
        except PunaError as error:
            if isinstance(error, InputError) and not answer.text:
                raise
            answer.error = error


def _stopper(work: asyncio.Future[None], answer: Answer) -> Any:
    def stop() -> None:
        answer.stopped = True
        work.cancel()

    return stop
