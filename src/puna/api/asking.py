"""Questions that your own documents answer: ``puna.ask``, and its streaming and asynchronous forms. Knows conversations and indexes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path, PurePath
from threading import RLock

from puna import config
from puna.api.answers import DEFAULTS, PASSAGES, Answer, Prepared, checked_passages, prepare, scored
from puna.api.chat import Chat, behind
from puna.api.given import check_text, named
from puna.api.recording import Events, Recording
from puna.api.running import SAMPLING, kept_chat
from puna.api.stream import AsyncStream, Stream
from puna.api.talking import AsyncChat
from puna.context.grounding import Example
from puna.context.pieces import Piece
from puna.context.questions import INSTRUCTION, Order, Question
from puna.errors import InputError
from puna.generation import Delta, Receipt, Sampling
from puna.retrieval.index import Documents

Given = Documents | Path | str | Iterable[Path | str] | Iterable[Piece]
"""Documents as they may be given: opened ones, files and folders by their paths, or pieces."""


def _quiet(_: str) -> None:
    return


class AsyncAsking(AsyncStream):
    """The answer to a question, from documents: ``async for`` over its pieces, or ``await`` it for the whole ``Answer``.

    documents: a file or folder or several, which are indexed under PUNA_HOME where that was not done yet; pieces
    (``puna.context.pieces.Piece``); or ``Documents``. chat: whose model is asked, with its sampling parameters; its messages play no
    part. Without it, settings go by name as for ``AsyncChat``, and the engine is closed after the answer. passages: shown at most, 1
    to 1000. dense: rank by meaning too (documents that are ``Documents`` say that themselves). instruction, examples, order, inline: as
    for ``puna.context.questions.Question``. score: estimate how likely the answer is right, which takes a moment more. tell: gets a
    line about what takes time. Sampling parameters go by name; where neither they nor the conversation's say otherwise, the
    temperature is 0.

    Raises:
        InputError: what is given is of the wrong type or out of range. What goes wrong later, the readers get.
    """

    def __init__(
        self,
        question: str,
        documents: Given,
        *,
        chat: AsyncChat | None = None,
        passages: int = PASSAGES,
        dense: bool = False,
        instruction: str = INSTRUCTION,
        examples: Iterable[Example | tuple[str, str]] = (),
        order: str = Order.RELEVANCE,
        inline: bool = False,
        score: bool = False,
        tell: Callable[[str], None] = _quiet,
        **arguments: object,
    ) -> None:
        check_text("question", question)
        shown = tuple(one if isinstance(one, Example) else Example(*one) for one in examples)
        asked = Question(question, (), instruction, shown, order, inline)
        given = named({name: value for name, value in arguments.items() if name in SAMPLING})
        settings = {name: value for name, value in arguments.items() if name not in SAMPLING}
        if chat is not None and settings:
            raise InputError(f"{', '.join(settings)}: settings of a model, which the chat has already; leave them out")
        talk = AsyncChat(**settings) if chat is None else chat  # type: ignore[arg-type]  # AsyncChat checks them
        given = {**DEFAULTS, **talk.sampling, **given}
        Sampling.of(given)
        self._work = _Work(
            asked,
            _opener(documents, dense, tell),
            checked_passages(passages),
            talk,
            given,
            score=score,
            owned=chat is None,
        )
        super().__init__(Recording(RLock(), self._work.begin, lambda _: None))

    @property
    def prepared(self) -> Prepared | None:
        """The passages that were found, and what is sent of them; None before that is known, and where nothing was found."""
        return self._work.prepared

    @property
    def reply(self) -> Answer | None:
        """The answer, once the turn has ended or was stopped; None before, and where it did not come to a search."""
        work = self._work
        if not self.recording.ended or not work.searched:
            return None
        if work.prepared is None:
            return Answer("", None, work.question.text)
        return work.scored or work.prepared.answer(self.text, self.receipt)

    def __await__(self) -> Generator[object, None, Answer]:
        return self._whole().__await__()

    async def _whole(self) -> Answer:
        await super()._whole()
        return self.whole()

    def whole(self) -> Answer:
        """The answer of a turn that has ended.

        Raises:
            InputError: it was stopped before anything was found.
        """
        answer = self.reply
        if answer is None:
            raise InputError("the question was stopped before anything was found; ask it again")
        return answer


class Asking(Stream):
    """``AsyncAsking`` for synchronous callers: a ``for`` over the pieces of the answer, or ``wait()`` for the whole.

    chat: a ``puna.Chat``. Without one the model stays loaded for the next question, as with ``puna.run``.
    """

    def __init__(self, question: str, documents: Given, *, chat: Chat | None = None, **arguments: object) -> None:
        own = {*inspect.signature(AsyncAsking).parameters, *SAMPLING}
        settings = {name: value for name, value in arguments.items() if name not in own}
        if chat is None:
            chat = kept_chat(settings)
            arguments = {name: value for name, value in arguments.items() if name in own}
        self._asking = AsyncAsking(question, documents, chat=behind(chat), **arguments)  # type: ignore[arg-type]
        super().__init__(self._asking)

    @property
    def prepared(self) -> Prepared | None:
        """The passages that were found, and what is sent of them; None before that is known, and where nothing was found."""
        return self._asking.prepared

    @property
    def reply(self) -> Answer | None:
        """The answer, once the turn has ended or was stopped; None before."""
        return self._asking.reply

    def wait(self) -> Answer:
        """The whole answer, once it is there.

        Raises:
            PunaError: what ended the turn early.
        """
        super().wait()
        return self._asking.whole()


def ask(question: str, documents: Given, *, chat: Chat | None = None, **arguments: object) -> Answer:
    """What documents say to a question, in a model's words, with the passages that say it. Arguments: as for ``AsyncAsking``.

    The model stays loaded for the next question with the same settings. Where nothing is found, no model is asked.

    Raises:
        InputError: no such documents, a wrong setting, or not even one passage fits. EngineError: the turn failed.
    """
    return Asking(question, documents, chat=chat, **arguments).wait()


Asking.__init__.__signature__ = inspect.signature(AsyncAsking.__init__)  # type: ignore[attr-defined]  # for help() and editors
ask.__signature__ = inspect.signature(AsyncAsking)  # type: ignore[attr-defined]


class _Work:
    """One question on its way. searched: whether it is known what was found. prepared: what is sent, once something was found.

    scored: the answer with its score, where one was asked for.
    """

    def __init__(
        self,
        question: Question,
        documents: Callable[[], Documents],
        passages: int,
        chat: AsyncChat,
        given: Mapping[str, object],
        *,
        score: bool,
        owned: bool,
    ) -> None:
        self.question = question
        self.scored: Answer | None = None
        self._score = score
        self.searched = False
        self.prepared: Prepared | None = None
        self._documents = documents
        self._passages = passages
        self._chat = chat
        self._given = given
        self._owned = owned

    def begin(self, _: Recording) -> Events:
        """The events of the turn; none where nothing is found."""
        return self._events()

    async def _events(self) -> Events:
        try:
            documents = await asyncio.to_thread(self._documents)
            found = await asyncio.to_thread(documents.search, self.question.text, self._passages)
            if not found:
                self.searched = True
                return
            spine = await self._chat.spine()
            prepared = await prepare(spine, self.question, found, self._given)
            self.prepared, self.searched = prepared, True
            turn = await spine.prepare(prepared.ask)
            text = ""
            async with aclosing(turn.stream()) as events:
                async for event in events:
                    if self._score and isinstance(event, Receipt):
                        self.scored = await scored(spine, prepared.answer(text, event))
                    elif isinstance(event, Delta):
                        text += event.text
                    yield event
        finally:
            if self._owned:
                await self._chat.close()


def _opener(documents: Given, dense: bool, tell: Callable[[str], None]) -> Callable[[], Documents]:
    """What opens the documents, which may take a while.

    Raises:
        InputError: they are nothing of the kind.
    """
    if isinstance(documents, Documents):
        return lambda: documents
    if not isinstance(documents, str | PurePath | Iterable):
        raise InputError(f"documents must be paths of files and folders, or pieces, not {type(documents).__name__}")
    given = [documents] if isinstance(documents, str | PurePath) else list(documents)
    if given and all(isinstance(one, Piece) for one in given):
        return lambda: Documents.of(given, dense=dense)  # type: ignore[arg-type]  # they are pieces
    paths = [one for one in given if isinstance(one, str | PurePath)]
    if len(paths) < len(given):
        raise InputError(
            "documents must be paths of files and folders, or pieces, not a mixture and nothing else; puna.Documents.of takes texts"
        )
    return lambda: Documents.open(paths, folder=config.home() / "documents", dense=dense, tell=tell)
