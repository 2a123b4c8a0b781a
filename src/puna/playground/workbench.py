"""What the playground can do, for the page and the notebook alike: JSON values in, JSON values out. Knows no transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import cast

from puna.engines.base import Speaks
from puna.errors import ContextWindowError, InputError, PunaError
from puna.formats import catalog
from puna.formats.lint import lint
from puna.generation import Prompt
from puna.messages import Dialog, Role
from puna.playground import anatomy, bodies, linting, records
from puna.playground.answering import Answering, Journal, NoJournal
from puna.playground.asking import Asked, asked
from puna.playground.begun import begun_of
from puna.playground.bodies import TALK, Talk
from puna.playground.info import info
from puna.playground.labels import Span, spans, spans_in, spans_of_messages, spans_of_text
from puna.playground.records import Record
from puna.server.answers import Speaker, Turn
from puna.turn import Ask, Begun, together
from puna.turn import Turn as Made

LONG = 4000
"""Tokens from which a prompt is drawn in a thread."""

NOBODY: Journal = NoJournal()

_MESSAGES = (
    "These messages go to the server behind this endpoint as they stand here; it writes its model's markers around them and counts "
    "their tokens, and tells neither."
)
UNTOLD: Mapping[Speaks, str] = {
    Speaks.IDS: _MESSAGES,
    Speaks.MESSAGES: _MESSAGES,
    Speaks.TEXT: "This text goes to the server behind this endpoint, which makes tokens of it, and does not tell which.",
}
"""What a page says where it cannot show a prompt's tokens."""

WRITTEN_THERE = (
    "The server behind this endpoint writes this prompt from the messages and counts its tokens; which text each of them is, it does "
    "not tell."
)


class Workbench:
    """The operations. speaker: who answers. endpoint: its name, for those who call it."""

    def __init__(self, speaker: Speaker, endpoint: str = "") -> None:
        self.speaker = speaker
        self.endpoint = endpoint
        self._answering = Answering(speaker)

    def info(self, **limits: int) -> Record:
        """The model, the parameters and their ranges, what to begin with, and how much may be asked. limits: further ones."""
        return {"endpoint": self.endpoint, **info(self.speaker, limits)}

    async def anatomy(self, body: Mapping[str, object]) -> Record:
        """The exact prompt that the next message would become, token by token, and what the window holds then.

        Raises:
            InputError: the body is no talk, or the model's format cannot express it.
        """
        talk = bodies.talk_of(bodies.object_of(body, "the body", TALK))
        whole, begun = asked(talk, upcoming=True), await begun_of(talk.begun, self.speaker)
        try:
            turn = await self.speaker.prepare(whole.ask(begun=begun))
            prompt, findings, gone = turn.prompt, turn.findings, frozenset(entry.index for entry in turn.dropped)
            dropped = [whole.as_json(entry) for entry in turn.dropped]
        except ContextWindowError:
            findings, gone = (), whole.droppable()
            prompt, dropped = await self._overfull(whole, gone, begun)
        return {
            **await self._drawn(whole, prompt, gone, begun),
            "pruned": dropped,
            "pruned_turns": whole.turns_in(gone),
            "pruned_tokens": sum(int(str(entry["tokens"])) for entry in dropped),
            "findings": list(findings),
        }

    async def lint(self, body: Mapping[str, object]) -> Record:
        """A written prompt's parts, slips and tokens; offsets count UTF-16 code units, as JavaScript does.

        Raises:
            InputError: no such format, or text that is not of it.
        """
        given = bodies.object_of(body, "the body", frozenset({"prompt", "format"}))
        talk = bodies.talk_of({"prompt": given.get("prompt") or ""})
        text, form = talk.prompt or "", given.get("format") or catalog.AUTO
        if not isinstance(form, str):
            raise InputError(f"format must be a format's name, or {catalog.AUTO}")
        count = 0 if not text else len((await self.speaker.encoded(asked(talk).ask())).ids) if self._counts else None
        return {**linting.as_json(lint(text, form)), "tokens": count}

    async def generate(self, body: Mapping[str, object], journal: Journal = NOBODY) -> AsyncGenerator[Record, None]:
        """Records of one answer: start, tokens, and how it ended. Closing the generator stops it.

        Raises:
            InputError: before the first record, what cannot be answered. EngineError: before it, an engine that does not.
        """
        talk = bodies.talk_of(bodies.object_of(body, "the body", TALK | {"top"}))
        turn = await self.speaker.prepare(await self._ask(talk, bodies.top_of(body)))
        async with aclosing(self._answering.one(turn, journal)) as answer:
            async for record in answer:
                yield _with_pruned(record, talk, turn)

    async def compare(self, body: Mapping[str, object], journal: Journal = NOBODY) -> AsyncGenerator[Record, None]:
        """Records of several answers to one prompt, each with its ``pane``; one that fails leaves the others alone.

        Settings without a seed all get the same one: they shall differ in nothing but what was asked for.

        Raises:
            InputError: before the first record, a talk that cannot be answered, whatever the settings.
        """
        talk = bodies.talk_of(bodies.object_of(body, "the body", TALK | {"top", "panes"}))
        turns, refused = await self._panes(talk, bodies.panes_of(body), bodies.top_of(body))
        if not turns:
            raise refused[0]
        for pane, error in refused.items():
            yield {**records.failure(error), "pane": pane}
        async with aclosing(self._answering.side_by_side(turns, together(_as_made(turns)), journal)) as answers:
            async for record in answers:
                yield _with_pruned(record, talk, next(iter(turns.values())))

    async def sent(self, body: Mapping[str, object]) -> Turn:
        """The prepared turn of a talk, for a program that shall ask the same: the last question, or what was begun.

        Raises:
            InputError: it cannot be answered.
        """
        talk = bodies.talk_of(bodies.object_of(body, "the body", TALK))
        messages = talk.messages.messages
        while messages and messages[-1].role is Role.ASSISTANT:  # its answer, which the program shall get by itself
            messages = messages[:-1]
        return await self.speaker.prepare(await self._ask(replace(talk, messages=Dialog(messages)), 0))

    async def _panes(self, talk: Talk, panes: list[object], top: int) -> tuple[dict[int, Turn], dict[int, PunaError]]:
        turns: dict[int, Turn] = {}
        refused: dict[int, PunaError] = {}
        for pane, params in enumerate(panes):
            try:
                ask = await self._ask(talk.with_params(params), top)
                if ask.sampling.seed is None and turns:
                    first = next(iter(turns.values()))
                    ask = replace(ask, sampling=replace(ask.sampling, seed=first.sampling.seed))
                turns[pane] = await self.speaker.prepare(ask)
            except InputError as error:
                refused[pane] = error
        return turns, refused

    async def _overfull(self, whole: Asked, gone: frozenset[int], begun: Begun | None) -> tuple[Prompt, list[Record]]:
        """The least prompt that the policy could leave, which is still too much."""
        prompt = await self.speaker.encoded(whole.without(gone, begun))
        if not gone:
            return prompt, []
        everything = await self.speaker.encoded(whole.ask(begun=begun))
        return prompt, whole.all_gone(gone, len(everything.ids) - len(prompt.ids))

    @property
    def _counts(self) -> bool:
        """Whether tokens are made here, by the engine's own vocabulary."""
        return self.speaker.info.speaks is Speaks.IDS and self.speaker.writes is not None

    async def _drawn(self, whole: Asked, prompt: Prompt, gone: frozenset[int], begun: Begun | None) -> Record:
        if not self._counts:
            return await self._untold(whole, prompt, gone)
        reserve, context = whole.talk.sampling.max_tokens, self.speaker.info.context
        spans = self._spans(whole, prompt, gone, begun)
        spelled = await self.speaker.spelled(prompt.ids)

        def draw() -> Record:
            tokens = anatomy.labelled(prompt, spelled, spans)
            return {
                "prompt": prompt.text,
                "segments": anatomy.drawn(tokens),
                **anatomy.window(tokens, reserve, context),
            }

        # A long one in a thread: nobody's stream stands still for it.
        return draw() if len(prompt.ids) < LONG else await asyncio.to_thread(draw)

    async def _untold(self, whole: Asked, prompt: Prompt, gone: frozenset[int]) -> Record:
        """The prompt as the server behind tells it, else as it is sent; without its tokens."""
        said, why = whole.said(gone), UNTOLD[self.speaker.info.speaks]
        found = self._spans(whole, prompt, gone, None)
        if whole.talk.prompt is None and not prompt.segments:
            with suppress(InputError):  # a server that tells nothing
                prompt = await self.speaker.encoded(whole.without(gone))
                found, why = spans_in(prompt.text, said), WRITTEN_THERE
        reserve, context = whole.talk.sampling.max_tokens, self.speaker.info.context
        drawn = anatomy.untold(found, len(prompt.ids), reserve, context)
        return {"prompt": prompt.text, "untold": why, **drawn}

    def _spans(self, whole: Asked, prompt: Prompt, gone: frozenset[int], begun: Begun | None) -> list[Span]:
        if whole.talk.prompt is None:
            said = whole.said(gone, begun)
            return (
                spans(prompt.segments, said, self.speaker.info.control) if prompt.segments else spans_of_messages(said)
            )
        return spans_of_text(prompt.text, catalog.parse(prompt.text))

    async def _ask(self, talk: Talk, top: int) -> Ask:
        continues = bool(talk.messages) and talk.messages[-1].role is Role.ASSISTANT
        begun = await begun_of(talk.begun, self.speaker)
        told = self.speaker.info.found.get("logprobs") is not False
        return asked(talk).ask(top=top if told else None, begun=begun, continues=continues)


def _with_pruned(record: Record, talk: Talk, turn: Turn) -> Record:
    """A start tells which messages are not sent, too."""
    if record["type"] != "start":
        return record
    return {**record, "pruned": [asked(talk).as_json(entry) for entry in turn.dropped]}


def _as_made(turns: Mapping[int, Turn]) -> list[Made]:
    """The turns as the spine makes them; a speaker's protocol does not name the engine that they share."""
    return cast("list[Made]", list(turns.values()))
