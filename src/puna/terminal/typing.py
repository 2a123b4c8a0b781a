"""The line that a person types: keys, completion, history. Knows prompt_toolkit; runs no command.

Enter sends. Alt-Enter makes a line, and so does Enter after a backslash, and inside triple quotes. What is pasted keeps its lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import Style

from puna.terminal.commands import COMMANDS
from puna.terminal.desk import Desk
from puna.terminal.harmless import harmless, one_line
from puna.terminal.lines import goes_on
from puna.terminal.screen import Screen

_FILES = {"/save", "/load", "/export"}
_STYLE = Style.from_dict(
    {"prompt": "bold", "bottom-toolbar": "noreverse fg:default bg:default", "bottom-toolbar.text": "italic"}
)


class _History(FileHistory):
    """What was typed, in a file for its owner alone."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):  # a disk that has become full is no reason to lose the line itself
            file = Path(os.fsdecode(self.filename))
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
            file.chmod(0o600)
            super().store_string(string)


def _history(folder: Path, screen: Screen) -> History:
    """What was typed in earlier chats, and where it is kept; of this chat alone where the folder cannot be written, which is said."""
    file = folder / "chat_history"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        screen.say(f"what is typed is not kept: {file} cannot be written ({error.strerror or error})", "dim")
        return InMemoryHistory()
    return _History(str(file))


class _Words(Completer):
    """Names of commands, then what their first argument may be, then files."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, rest = text.partition(" ")
        if not space:
            for known in COMMANDS.values():
                if known.name.startswith(name):
                    yield Completion(known.name, -len(name), display_meta=known.meaning)
            return
        command = COMMANDS.get(name)
        if command is None:
            return
        if " " not in rest:
            for word in command.words(self._desk()):
                if word.startswith(rest):
                    yield Completion(word, -len(rest))
        if name in _FILES and (name != "/export" or " " in rest):
            file = rest.rpartition(" ")[2]
            yield from self._paths.get_completions(Document(file), complete_event)


class Typing:
    """Reads lines from a terminal. desk: what there is to complete, and what the line below tells."""

    def __init__(self, desk: Callable[[], Desk], folder: Path) -> None:
        self._desk = desk
        depth = None if desk().screen.colour else ColorDepth.DEPTH_1_BIT
        self._session: PromptSession[str] = PromptSession(
            history=_history(folder, desk().screen), completer=_Words(desk), key_bindings=_keys(), multiline=True, color_depth=depth,
            complete_while_typing=Condition(_begins_with_slash), prompt_continuation=_continued, style=_STYLE, reserve_space_for_menu=6,
        )  # fmt: skip

    async def read(self, prefilled: str, sent: bool) -> str | None:
        """The next line, or several; None at the end of input. Ctrl-C takes away what stands on the line."""
        while True:
            try:
                return await self._session.prompt_async(
                    [("class:prompt", "> ")],
                    default=prefilled,
                    accept_default=sent and bool(prefilled.strip()),
                    bottom_toolbar=self._toolbar,
                )
            except KeyboardInterrupt:
                prefilled, sent = "", False
            except EOFError:
                return None

    def _toolbar(self) -> StyleAndTextTuples:
        desk, columns = self._desk(), get_app().output.get_size().columns
        talk = desk.talk
        parts = [harmless(one_line(desk.spine.info.model, 30)), talk.id or "not kept (/save)"]
        usage = desk.last.receipt.usage if desk.last and desk.last.receipt else None
        if usage is not None and desk.spine.info.context:
            parts.append(f"{usage.prompt + usage.output}/{desk.spine.info.context} tokens")
        parts += [
            f"{name} {value}"
            for name, value in talk.params.items()
            if name in {"temperature", "seed"} and value is not None
        ]
        line = ""
        for part in parts:
            more = f"{line} · {part}" if line else part
            if len(more) >= columns:
                break
            line = more
        return [("", line or parts[0][: columns - 1])]


def _continued(width: int, line: int, wraps: int) -> str:  # noqa: ARG001  # as prompt_toolkit calls it
    """Before a line that was begun, and before one that was only wrapped."""
    return "  " if wraps else "· "


def _begins_with_slash() -> bool:
    return get_app().current_buffer.text.startswith("/")


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=Condition(_is_typing))
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\") and not buffer.document.text_after_cursor:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif goes_on(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("tab", filter=Condition(_is_typing))
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        found = list(buffer.completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
        if len(found) == 1:
            buffer.apply_completion(found[0])
        elif buffer.complete_state:
            buffer.complete_next()
        elif found:
            buffer.start_completion(select_first=True)

    @keys.add("escape", "enter", filter=Condition(_is_typing))
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _is_typing() -> bool:
    """Not searching: there Enter takes what was found."""
    return not get_app().layout.is_searching
