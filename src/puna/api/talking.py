"""A conversation with an engine: what is sent, what came back, and every version of it. Knows no threads; ``Chat`` is for those."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from puna.api import saving
from puna.api.conversation import Conversation, Verb, ask_of, begun
from puna.api.given import check_text, named
from puna.api.opening import Opening, place_of
from puna.api.recording import Events, Recording
from puna.api.stream import AsyncStream, Reply
from puna.chat import Spine
from puna.dialog.budget import Budget
from puna.dialog.history import History
from puna.dialog.prune import POLICIES
from puna.engines.base import EngineInfo
from puna.engines.timeouts import Timeouts
from puna.errors import EngineError, InputError, unknown
from puna.formats import catalog
from puna.generation import Delta, Prompt, Receipt, Sampling
from puna.messages import Dialog, Role, dialog_of
from puna.models.transfer import Progress, Report
from puna.sessions.session import Session
from puna.sync import Bridge
from puna.turn import Ask


def _no_progress(_: Progress) -> None:
    return


class AsyncChat:
    """A conversation with a local model, or with a server.

    url: a server's address (``http://127.0.0.1:8080``, ``https://HOST/v1``), or ``sagemaker:NAME`` for an endpoint of AWS by the
    configuration of the environment; without it a model is loaded in a child process, unless PUNA_URL names a server and no setting of
    a local model is given. model, endpoint: its name there, either word.
    api: what the server speaks, ``openai`` or ``sagemaker``; found out where it is not said. key: the bearer token it wants. format:
    in which prompts are written. dialect: of a SageMaker endpoint's container. context: tokens of the window. retries: further tries
    of a request that has no answer yet. timeouts: longest waits. system: the system message. history: messages that came before.
    sampling: the conversation's own sampling parameters, which a call may override. policy: which turns are left out of a prompt that
    would not fit the window (``none``: it is refused); the history keeps them all, and the receipt names them. file: a TOML file of
    settings. Other names are the settings of ``puna serve`` (slots, engine, threads ...).

    The messages are a tree: ``edit``, ``regenerate``, ``fork``, ``undo`` and ``choose`` move in it and take nothing away. Use it as an
    async context manager, or call ``close``.

    Raises:
        InputError: an unknown name, a value of the wrong type or out of range, or some that do not go together.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        endpoint: str | None = None,
        model: str | None = None,
        api: Literal["auto", "openai", "sagemaker"] = "auto",
        key: str | None = None,
        format: str | None = None,  # noqa: A002  # as it is typed
        dialect: str = "auto",
        context: int | None = None,
        retries: int = 2,
        timeouts: Timeouts | None = None,
        system: str | None = None,
        history: Iterable[object] = (),
        sampling: Mapping[str, object] | None = None,
        policy: str = "watermark",
        progress: Report = _no_progress,
        file: Path | str | None = None,
        **settings: object,
    ) -> None:
        if policy not in POLICIES:
            raise InputError(unknown("policy", policy, POLICIES))
        there = {
            "endpoint": endpoint,
            "key": key,
            "timeouts": timeouts,
            "api": api,
            "dialect": dialect,
            "retries": retries,
        }
        where = place_of(url, there, {"model": model, "format": format, "context": context, **settings}, file)
        self._opening = Opening(where, progress)
        self._opening.join(self)
        self._talk = begun(system, dialog_of(history), policy)
        if sampling is not None:
            self.sampling = sampling

    @classmethod
    def load(cls, path: Path | str, **arguments: object) -> Self:
        """The conversation in a file, which ``save``, the playground or the terminal wrote. arguments: as for a new one.

        A system message, sampling parameters and a policy that are given stand instead of the file's.

        Raises:
            InputError: no such file, none that holds a session, or as for a new one.
        """
        return cls.from_json(saving.load(Path(path)), **arguments)

    @classmethod
    def from_json(cls, session: object, **arguments: object) -> Self:
        """``load``, of the JSON value itself."""
        if "history" in arguments:
            raise InputError("history: a session has its messages already; leave it out, or make a new conversation")
        chat = cls(**arguments)  # type: ignore[arg-type]  # __init__ checks them
        made, chat._talk = chat._talk, saving.conversation_of(session)
        for name in arguments.keys() & {"system", "policy"}:
            setattr(chat._talk, name, getattr(made, name))
        chat._talk.sampling = {**chat._talk.sampling, **made.sampling}
        return chat

    def as_json(self) -> Session:
        """The conversation with every version, as a session's file and the playground have it.

        Raises:
            InputError: it has a system message after the first, which a session cannot hold.
        """
        return saving.session_of(self._talk)

    def save(self, path: Path | str) -> None:
        """Put it into a file, which ``load`` and the playground's Import read. A turn under way is not in it yet.

        Raises:
            InputError: as ``as_json``; or the file cannot be written.
        """
        saving.save(self.as_json(), Path(path))

    @property
    def history(self) -> Dialog:
        """The messages so far, the system message first: what the model gets to see, as far as it fits."""
        return self._talk.history

    @property
    def tree(self) -> History:
        """All versions of all messages but those that stand before the conversation. Setting another is refused during a turn."""
        return self._talk.tree

    @tree.setter
    def tree(self, tree: History) -> None:
        self._talk.plant(tree)

    @property
    def system(self) -> str | None:
        """The system message, from the next turn on."""
        return self._talk.system

    @system.setter
    def system(self, text: str | None) -> None:
        if text is not None:
            check_text("system", text)
        self._talk.system = text

    @property
    def sampling(self) -> Mapping[str, object]:
        """The conversation's own sampling parameters; set others to change them. A call's own stand before them."""
        return MappingProxyType(dict(self._talk.sampling))

    @sampling.setter
    def sampling(self, given: Mapping[str, object]) -> None:
        if not isinstance(given, Mapping):
            raise InputError(f"sampling must be a mapping of names to values, not {type(given).__name__}")
        self._talk.sampling = named(given)

    @property
    def reply(self) -> Reply | None:
        """The newest answer, whole or not; None before the first."""
        return self._talk.reply

    @property
    def receipt(self) -> Receipt | None:
        """What happened in the turn of the newest answer; None before the first, and where that answer broke off."""
        return self.reply.receipt if self.reply else None

    async def open(self) -> Self:
        """Start the engine or find the server; done by the first turn where it was not called."""
        await self.spine()
        return self

    async def spine(self) -> Spine:
        """What prepares this conversation's turns, opened where that was not done yet.

        Raises:
            InputError: the conversation was opened in another event loop. EngineError: the engine does not start.
        """
        return await self._opening.spine(self)

    async def info(self) -> EngineInfo:
        """What the engine says of itself."""
        return (await self.spine()).info

    async def close(self) -> None:
        """Leave the engine; it is stopped where no fork of this conversation has it any more."""
        await self._opening.leave(self)
        if (last := self._talk.last) is not None:
            last.stop()
            await last.until_gone()

    def end_with(self, bridge: Bridge) -> None:
        """Let the engine be closed when the process ends, whoever has it then."""
        bridge.adopt(self._opening)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stream(self, text: str | None = None, *, logprobs: int | None = None, **sampling: object) -> AsyncStream:
        """The answer to a user turn, piece by piece. Its end, or its being stopped, puts both into ``history``.

        text: None answers the history as it stands, whose last message must be the user's. logprobs: None, or how many
        alternatives of each token are told, 0 to 20. A turn that broke off, or that was stopped, keeps what had come.

        Raises:
            InputError: what is given is of the wrong type or out of range. What goes wrong later, the stream's readers get.
        """
        return self._turn(_as_it_stands if text is None else _question(text), sampling, logprobs)

    async def send(self, text: str, *, again: bool = False, **sampling: object) -> Reply:
        """Send a user turn and wait for the whole answer.

        again: an answer that breaks off is asked for once more; the broken one stays as a version. Without it nothing is repeated
        of which something had come.

        Raises:
            EngineError: the turn failed; what had come is its ``partial``, and stays in the history.
        """
        try:
            return await self._turn(_question(text), sampling)
        except EngineError as error:
            if not again or error.partial is None:
                raise
        return await self.regenerate(**sampling)

    async def regenerate(self, **sampling: object) -> Reply:
        """Another version of the newest answer; or the first, where a question waits. The same seed gives the same answer.

        Raises:
            InputError: there is neither answer nor question. EngineError: as ``send``.
        """
        return await self._turn(History.regenerate, sampling)

    async def edit(self, index: int, text: str, **sampling: object) -> Reply:
        """Another version of a message of ``history``; where it is the user's, the model answers it, and that is the reply.

        An answer that is edited is itself the reply: nothing is asked.

        Raises:
            InputError: no such message, or it stands before the conversation. EngineError: as ``send``.
        """
        check_text("text", text)
        talk = self._talk
        if talk.tree.nodes[talk.node(index)].message.role is Role.USER:
            return await self._turn(lambda tree: tree.edit(talk.node(index, tree), text), sampling)
        talk.change(lambda tree: tree.edit(talk.node(index, tree), text))
        return Reply(text, None)

    def fork(self, index: int | None = None) -> Self:
        """A conversation of its own on the same engine, which goes on after a message of ``history``; None: after the last.

        It has all the versions that there are now. The engine is stopped when the last of them is closed.

        Raises:
            InputError: no such message.
        """
        return self._made(self._opening, self._talk.fork(index))

    @classmethod
    def _made(cls, opening: Opening, talk: Conversation) -> Self:
        chat = object.__new__(cls)
        chat._opening, chat._talk = opening, talk
        opening.join(chat)
        return chat

    def undo(self) -> None:
        """Take back the last change: ``send``, ``regenerate``, ``edit``, ``choose``. What it made stays in the tree.

        Raises:
            InputError: a turn is under way, or there is nothing to undo.
        """
        self._talk.undo()

    def versions(self, index: int) -> tuple[str, ...]:
        """The texts of all versions of a message of ``history``, in the order in which they were made.

        Raises:
            InputError: no such message.
        """
        nodes = self.tree.nodes
        return tuple(nodes[n].message.content for n in self.tree.versions(self._talk.node(index)))

    def choose(self, index: int, n: int) -> None:
        """Go on with the n-th version (from 0) of a message of ``history``, and with what followed it last.

        Raises:
            InputError: no such message or version, or a turn is under way.
        """
        known = self.tree.versions(self._talk.node(index))
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < len(known):
            raise InputError(f"n must be one of the {len(known)} versions, 0 to {len(known) - 1}, not {n!r:.80}")
        self._talk.change(lambda tree: tree.choose(known[n]))

    def clear(self) -> None:
        """Begin again with the same system message. The messages are gone, unlike with the verbs above.

        Raises:
            InputError: a turn is under way.
        """
        self._talk.clear()

    async def prompt(self) -> Prompt:
        """What the next turn would send: text, ids and segments; with an empty question, where none waits for its answer.

        Raises:
            DialogError: the format cannot express it. ContextWindowError: it does not fit. InputError: it is written elsewhere.
        """
        return (await (await self.spine()).fitted(self._ask()))[0]

    async def prompt_for(self, text: str) -> Prompt:
        """What ``send(text)`` would send; raises as ``prompt``."""
        check_text("text", text)
        return (await (await self.spine()).fitted(self._ask(text)))[0]

    async def budget(self) -> Budget:
        """Where the window's tokens go in the prompt of ``prompt``, before the policy leaves anything out.

        Raises:
            DialogError: the format cannot express it. InputError: it is counted elsewhere.
        """
        return await (await self.spine()).budget(self._ask())

    async def complete(
        self, prompt: str, *, raw: bool = False, before: Dialog | None = None, **sampling: object
    ) -> AsyncGenerator[Delta | Receipt, None]:
        """The events of one written prompt, outside the conversation.

        Text without any markers is a user turn after the messages ``before`` (by default the history).
        """
        check_text("prompt", prompt)
        ask: str | Dialog = prompt
        raw = raw or self._opening.raw
        if not raw and catalog.parse(prompt).format == catalog.PLAIN:
            ask = (self.history if before is None else before).append(Role.USER, prompt)
        given = named({**self.sampling, **named(sampling)})
        turn = await (await self.spine()).prepare(Ask(ask, Sampling.of(given), frozenset(given), raw=raw))
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event

    def _ask(self, text: str | None = None) -> Ask:
        talk, tree = self._talk, self.tree
        waits = tree.head is not None and tree.nodes[tree.head].message.role is Role.USER
        if text is not None or not waits:
            tree = tree.append(Role.USER, text or "")
        return ask_of(talk.dialog(tree), self.sampling, policy=talk.policy, pinned=talk.pinned(tree))

    def _turn(self, grow: Verb, sampling: Mapping[str, object], logprobs: int | None = None) -> AsyncStream:
        talk = self._talk
        given = named({**talk.sampling, **named(sampling)})
        ask_of(Dialog(), given, policy=talk.policy, pinned=(), logprobs=logprobs)

        def begin(recording: Recording) -> Events:
            earlier = talk.last
            dialog, pinned = talk.claim(recording, grow)
            return self._events(ask_of(dialog, given, policy=talk.policy, pinned=pinned, logprobs=logprobs), earlier)

        def finish(recording: Recording) -> None:
            talk.finish(recording, saving.facts_of(recording, given))

        return AsyncStream(Recording(talk.lock, begin, finish))

    async def _events(self, ask: Ask, earlier: Recording | None) -> Events:
        spine = await self.spine()
        if earlier is not None:
            await earlier.until_gone()
        turn = await spine.prepare(ask)
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event


def _as_it_stands(tree: History) -> History:
    return tree


def _question(text: str) -> Verb:
    check_text("text", text)
    return lambda tree: tree.append(Role.USER, text)
