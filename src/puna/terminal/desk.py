"""What the chat has before it: the conversation, the engine, the screen, the newest answer. Commands change it; it knows none of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from puna.chat import Spine
from puna.errors import PunaError
from puna.formats import catalog
from puna.formats.base import Parsed
from puna.messages import Role
from puna.playground.records import Record
from puna.terminal.asking import Answer, Asker
from puna.terminal.harmless import one_line
from puna.terminal.keeping import Keeper
from puna.terminal.screen import Screen
from puna.terminal.talk import Talk


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the engine is, for /model and for programs that ask the same. url: None for a model in this process. name: of the endpoint."""

    url: str | None = None
    name: str = "llama-2-7b"


@dataclass(slots=True)
class Desk:
    """The state of one chat. prefilled: text that the next line begins with; sent_ahead: Enter was typed after it already. leaving: whether the chat ends."""

    spine: Spine
    screen: Screen
    keeper: Keeper
    talk: Talk
    reached: Reached
    asker: Asker = field(init=False)
    last: Answer | None = None
    prefilled: str = ""
    sent_ahead: bool = False
    leaving: bool = False
    dropped: int = 0

    def __post_init__(self) -> None:
        self.asker = Asker(self.spine, self.keeper, self.screen)

    async def answer(self, text: str | None = None) -> None:
        """Ask, show the answer, and say how it ended where that is not by itself.

        Raises:
            PunaError: the request was refused, and the conversation is as it was.
        """
        answer = await self.asker.ask(self.talk, text)
        self.last = answer
        self.prefilled = answer.typed.rstrip("\n")
        self.sent_ahead = answer.typed.endswith("\n") and answer.typed.count("\n") == 1
        self.tell()
        if answer.error is not None:
            kept = "what had come is kept; " if answer.text else ""
            self.screen.say(f"puna: {answer.error} ({kept}/regenerate asks again)", "red")
        elif answer.stopped:
            self.screen.say(
                "stopped; what had come is kept"
                if answer.text
                else "stopped before an answer came; /regenerate asks again",
                "dim",
            )
        elif answer.receipt is not None:
            self._tell_receipt(answer)

    def _tell_receipt(self, answer: Answer) -> None:
        receipt = answer.receipt
        if receipt is None:
            return
        if len(receipt.dropped) > self.dropped:
            self.screen.say(
                f"the window is full: the oldest {len(receipt.dropped)} messages are no longer sent (/history keeps them)",
                "dim",
            )
        self.dropped = len(receipt.dropped)
        if receipt.finish == "length":
            self.screen.say(
                f"cut at {receipt.sampling.max_tokens} tokens; /set max_tokens raises that, /regenerate asks again",
                "dim",
            )
        if not answer.text.strip():
            self.screen.say("the answer is empty; /regenerate asks again, /prompt shows what was asked", "dim")

    async def say(self, text: str) -> None:
        """A line that a person has typed: a message, or a prompt written in a known family's format.

        Raises:
            PunaError: the request was refused, and the conversation is as it was.
        """
        self.talk.mark()
        parsed = catalog.parse(text)
        if parsed.format == catalog.PLAIN:
            await self.answer(text)
            return
        await self._written(parsed)

    async def _written(self, parsed: Parsed) -> None:
        """A written prompt is a conversation of its own, from its first message on; what was there stays in the tree."""
        messages = [message for message in parsed.dialog if message.role is not Role.SYSTEM]
        self.screen.say(
            f"a {parsed.format} prompt: read as {len(messages)} message{'s' if len(messages) != 1 else ''}"
            f"{' and a system message' if parsed.dialog.system is not None else ''}, and a conversation of its own begins (/undo goes back)", "dim",
        )  # fmt: skip
        for finding in parsed.findings[:5]:
            self.screen.say(f"  {finding.severity}: {finding.message}", "dim")
        if not messages or messages[-1].role is not Role.USER:
            self.screen.say(
                "its last message is no question, so there is nothing to answer; puna run --raw - sends it as it is",
                "red",
            )
            return
        history, system = self.talk.history, self.talk.system
        self.talk.history = history.fork(None)
        for message in messages:
            self.talk.history = self.talk.history.append(message.role, message.content)
        if parsed.dialog.system is not None:
            self.talk.system = parsed.dialog.system
        try:
            await self.answer()
        except PunaError:
            self.talk.history, self.talk.system = history, system
            raise

    @property
    def tokens(self) -> list[Record]:
        """Of the newest answer on the path: as it came, or as its session keeps them, without alternatives."""
        node = self.talk.newest(Role.ASSISTANT)
        if node is None:
            return []
        if self.last is not None and self.last.text == self.talk.history.nodes[node].message.content:
            return self.last.tokens
        kept = self.talk.facts.get(node, {}).get("tokens") or []
        return [{"id": token, "t": text, "lp": logprob, "top": []} for token, text, logprob in kept]

    def tell(self) -> None:
        """What the keeper has to say."""
        for sentence in self.keeper.told:
            self.screen.say(sentence, "dim")
        self.keeper.told.clear()

    def line_of(self, index: int) -> str:
        """The beginning of a message of the path, counted from 0, as lists show it."""
        message = self.talk.history.path[index]
        return f"{message.role}: {one_line(message.content, 60)}"
