"""The Python surface: run, Chat and AsyncChat, render, parse, lint, translate. Knows configuration and the spine."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from puna import config
from puna.chat import Spine
from puna.dialog.prune import POLICIES
from puna.errors import EngineError, InputError, SamplingError, unknown
from puna.formats import catalog
from puna.formats import lint as linting
from puna.formats import translate as translating
from puna.formats.base import Parsed
from puna.generation import Delta, Prompt, Receipt, Sampling
from puna.messages import Dialog, Message, Role, dialog_of
from puna.models.transfer import Progress, Report
from puna.sync import bridge
from puna.turn import Ask

ALIASES = {"max_tokens_to_sample": "max_tokens"}
"""The workshop's names of sampling parameters."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. receipt: None where the stream was left before its end; text then holds what had arrived."""

    text: str
    receipt: Receipt | None


def sampling_of(given: dict[str, object]) -> tuple[Sampling, frozenset[str]]:
    """A sampling, and the names that were given. None counts as not given; the workshop's names are taken too.

    Raises:
        SamplingError: an unknown name or a value out of range.
    """
    for alias, name in ALIASES.items():
        if given.get(alias) is not None and given.get(name) is not None:
            raise SamplingError(f"{alias} and {name} are the same parameter; give one of them")
    named = {ALIASES.get(name, name): value for name, value in given.items() if value is not None}
    return Sampling.of(named), frozenset(named)


def _no_progress(_: Progress) -> None:
    return


class AsyncChat:
    """A conversation with a local model or with an endpoint.

    url: an endpoint that speaks the SageMaker Runtime API; without it a model is loaded in a child process. endpoint:
    its name there. system: the system message. history: messages that came before. file: a TOML file of settings. policy:
    which turns are left out of a prompt that would not fit the window (``none``: it is refused); the history keeps them
    all, and the receipt names them. Other names are the settings of ``puna serve`` (model, context, slots, engine, format, threads ...).

    Use it as an async context manager, or call ``close``.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        endpoint: str = "llama-2-7b",
        system: str | None = None,
        history: Iterable[object] = (),
        progress: Report = _no_progress,
        file: Path | str | None = None,
        policy: str = "watermark",
        **settings: object,
    ) -> None:
        if policy not in POLICIES:
            raise InputError(unknown("policy", policy, POLICIES))
        self._policy = policy
        self.history = _begun(system, history)
        self.reply: Reply | None = None
        if url is not None:
            _check_text("url", url)
            _check_text("endpoint", endpoint)
        self._endpoint = (url, endpoint)
        self._progress = progress
        self._settings = config.settings(_known(settings), file=Path(file) if file else None) if url is None else None
        if url is not None and settings:
            raise InputError(
                f"{', '.join(settings)}: settings of a local model, which an endpoint at {url} has already"
            )
        self._spine: Spine | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way = False

    async def open(self) -> Self:
        """Start the engine or find the endpoint; done by the first turn where it was not called."""
        async with self._opening:
            if self._spine is None:
                self._loop = asyncio.get_running_loop()
                self._spine = await self._opened()
        if self._loop is not asyncio.get_running_loop():
            raise InputError("this conversation was opened in another event loop; make one per loop, or use puna.Chat")
        return self

    async def _opened(self) -> Spine:
        url, endpoint = self._endpoint
        if self._settings is None:
            return await config.open_remote(url or "", endpoint)
        model = await asyncio.to_thread(config.find_model, self._settings, self._progress)
        return await config.open_spine(self._settings, model)

    async def spine(self) -> Spine:
        """What prepares this conversation's turns, opened where that was not done yet.

        Raises:
            InputError: the conversation was closed.
        """
        await self.open()
        if self._spine is None:
            raise InputError("the conversation was closed; make a new one")
        return self._spine

    async def close(self) -> None:
        """Stop the engine."""
        spine, self._spine = self._spine, None
        if spine is not None:
            await spine.engine.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def clear(self) -> None:
        """Begin again with the same system message."""
        self.history = Dialog(self.history.messages[:1] if self.history.system is not None else ())
        self.reply = None

    async def stream(self, text: str, **sampling: object) -> AsyncGenerator[str, None]:
        """Send a user turn; yields the answer's pieces. Afterwards ``reply`` and ``history`` hold it.

        A stream that breaks, or that is left early, keeps what had arrived, in ``reply`` and in ``history``.
        """
        if self._under_way:
            raise InputError("a turn of this conversation is under way; let it end or close it, or use another Chat")
        dialog = self.history.append(Role.USER, text)
        ask = Ask(dialog, *sampling_of(sampling), policy=self._policy)
        pieces: list[str] = []
        receipt: Receipt | None = None
        self._under_way = True
        try:
            async with aclosing(self._events(ask)) as events:
                async for event in events:
                    if isinstance(event, Receipt):
                        receipt = event
                    else:
                        pieces.append(event.text)
                        yield event.text
        finally:
            self._under_way = False
            answer = "".join(pieces)
            if answer or receipt:
                self.reply = Reply(answer, receipt)
                self.history = dialog.append(Role.ASSISTANT, answer)

    async def send(self, text: str, **sampling: object) -> Reply:
        """Send a user turn and wait for the whole answer."""
        async with aclosing(self.stream(text, **sampling)) as pieces:
            async for _ in pieces:
                pass
        if self.reply is None:
            raise EngineError("the engine ended the turn without an answer or a receipt; see its log")
        return self.reply

    async def complete(
        self, prompt: str, *, raw: bool = False, before: Dialog | None = None, **sampling: object
    ) -> AsyncGenerator[Delta | Receipt, None]:
        """The events of one written prompt, outside the conversation.

        Text without any markers is a user turn after the messages ``before`` (by default the history).
        """
        _check_text("prompt", prompt)
        ask: str | Dialog = prompt
        raw = raw or (self._settings is not None and self._settings.prompts == "raw")
        if not raw and catalog.parse(prompt).format == catalog.PLAIN:
            ask = (self.history if before is None else before).append(Role.USER, prompt)
        async with aclosing(self._events(Ask(ask, *sampling_of(sampling), raw=raw))) as events:
            async for event in events:
                yield event

    async def _events(self, ask: Ask) -> AsyncGenerator[Delta | Receipt, None]:
        turn = await (await self.spine()).prepare(ask)
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event


class Chat:
    """``AsyncChat`` for synchronous callers, notebooks included; the same arguments and the same meaning."""

    def __init__(self, **arguments: object) -> None:
        self._chat = AsyncChat(**arguments)  # type: ignore[arg-type]  # AsyncChat checks them
        bridge().adopt(self._chat)

    @property
    def history(self) -> Dialog:
        """The messages so far."""
        return self._chat.history

    @property
    def reply(self) -> Reply | None:
        """The newest answer."""
        return self._chat.reply

    def open(self) -> Self:
        """Start the engine now rather than at the first turn."""
        bridge().run(self._chat.open())
        return self

    def clear(self) -> None:
        """Begin again with the same system message."""
        self._chat.clear()

    def stream(self, text: str, **sampling: object) -> Iterator[str]:
        """Send a user turn; yields the answer's pieces."""
        return bridge().iterate(self._chat.stream(text, **sampling))

    def send(self, text: str, **sampling: object) -> Reply:
        """Send a user turn and wait for the whole answer."""
        return bridge().run(self._chat.send(text, **sampling))

    def complete(
        self, prompt: str, *, raw: bool = False, before: Dialog | None = None, **sampling: object
    ) -> Iterator[Delta | Receipt]:
        """The events of one written prompt, outside the conversation."""
        return bridge().iterate(self._chat.complete(prompt, raw=raw, before=before, **sampling))

    def spine(self) -> Spine:
        """What prepares this conversation's turns; for the bridge's event loop."""
        return bridge().run(self._chat.spine())

    def close(self) -> None:
        """Stop the engine."""
        bridge().run(self._chat.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_kept: dict[str, Chat] = {}
"""The model of the latest ``run``, by its settings."""


def run(
    prompt: str,
    *,
    system: str | None = None,
    raw: bool = False,
    file: TextIO | None = None,
    **arguments: object,
) -> str:
    """Stream the answer to one prompt to ``file`` (standard output by default) and return it.

    prompt: written in any known family's format, or plain text, which is one user turn under ``system``. raw: send it as
    it is. Sampling parameters, ``url``, ``endpoint`` and settings go by name. The model stays loaded for the next call
    with the same settings, until a call with others.
    """
    out = sys.stdout if file is None else file
    if not hasattr(out, "write"):
        raise InputError(f"file must be open for writing, such as sys.stderr, not {type(file).__name__}")
    names = {*Sampling.__dataclass_fields__, *ALIASES}
    sampling = {name: value for name, value in arguments.items() if name in names}
    chat = _kept_chat({name: value for name, value in arguments.items() if name not in names})
    pieces: list[str] = []
    for event in chat.complete(prompt, raw=raw, before=_begun(system, ()), **sampling):
        if isinstance(event, Delta):
            pieces.append(event.text)
            out.write(event.text)
            out.flush()
    return "".join(pieces)


def _kept_chat(others: dict[str, object]) -> Chat:
    key = repr(sorted(others.items()))
    if key not in _kept:
        chat = Chat(**others)
        for old in _kept.values():
            old.close()
        _kept.clear()
        _kept[key] = chat
    return _kept[key]


def render(
    messages: Iterable[object],
    format: str = "llama2",  # noqa: A002  # as it is typed
    *,
    generation_prompt: bool = True,
    continue_last: bool = False,
    date: dt.date | None = None,
) -> Prompt:
    """The exact prompt of a dialog: ``.text``, ``.segments``.

    continue_last: the last message is the assistant's begun answer, left open. date: what the prompt tells as today's,
    in the formats that tell a date (Llama 3.1 and later; Llama 3.2 tells the true one by default).

    Raises:
        DialogError: the format does not allow the dialog. InputError: an unknown format.
    """
    dialog = dialog_of(messages)
    _check_text("format", format)
    form = config.format_of(format, date)
    segments = form.render(dialog, generation_prompt=generation_prompt, continue_last=continue_last)
    return Prompt(segments, dialog=dialog)


def parse(text: str, format: str = "auto") -> Parsed:  # noqa: A002
    """The dialog that a written prompt means, and the slips in it."""
    _check_text("text", text)
    _check_text("format", format)
    return catalog.parse(text, format)


def lint(text: str, format: str = "auto") -> linting.Lint:  # noqa: A002
    """What is wrong with a written prompt: ``.parsed.findings``, ``.ok``, ``.fixed()``."""
    _check_text("text", text)
    _check_text("format", format)
    return linting.lint(text, format)


def translate(text: str, to: str, source: str = "auto") -> translating.Translated:
    """A prompt written in one family's format, in another's: ``.text``; ``.changes`` says what had to be done."""
    for name, value in (("text", text), ("to", to), ("source", source)):
        _check_text(name, value)
    return translating.translate(text, config.format_of(to), source)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {type(value).__name__}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must be text that UTF-8 can carry, but character {error.start} is the lone surrogate "
            f"{value[error.start]!r}; remove or replace it"
        ) from None


def _begun(system: str | None, history: Iterable[object]) -> Dialog:
    first = () if system is None else (Message(Role.SYSTEM, system),)
    return Dialog((*first, *dialog_of(history)))


def _known(settings: dict[str, object]) -> dict[str, object]:
    known = {option.name for option in config.OPTIONS}
    for name in settings:
        if name not in known:
            raise InputError(unknown("setting", name, {*known, *Sampling.__dataclass_fields__}))
    return settings
