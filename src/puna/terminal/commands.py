"""The table of the chat's commands: names, arguments, meanings, what completes them. It finds and runs them; the rest is theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from puna.errors import InputError, unknown
from puna.generation import Sampling
from puna.terminal import conversing, filing, showing
from puna.terminal.desk import Desk
from puna.terminal.views import table_of

Words = Callable[[Desk], Iterable[str]]


def _nothing(_: Desk) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Command:
    """A command. arguments: as help shows them. more: what help says of it alone. words: what its first argument may be."""

    name: str
    arguments: str
    meaning: str
    run: Callable[[Desk, str], Awaitable[None]]
    more: str = ""
    words: Words = _nothing


def _sessions(desk: Desk) -> Iterable[str]:
    return (row["id"] for row in desk.keeper.sessions.list())


def _sampling(_: Desk) -> Iterable[str]:
    return Sampling.__dataclass_fields__


async def _help(desk: Desk, text: str) -> None:
    if text:
        name = f"/{text.lstrip('/')}"
        if name not in COMMANDS:
            raise InputError(unknown("command", name, COMMANDS))
        command = COMMANDS[name]
        desk.screen.say(f"{command.name} {command.arguments}".rstrip(), "bold")
        desk.screen.say(command.meaning + (f"\n{command.more}" if command.more else ""))
        return
    desk.screen.show(
        table_of(((f"{one.name} {one.arguments}", one.meaning) for one in COMMANDS.values()), "command", "meaning")
    )
    desk.screen.say(
        "Enter sends; Alt-Enter, a backslash at the end or text in triple quotes goes on in another line; Ctrl-R searches what was typed; "
        "Tab completes; Esc or Ctrl-C stops an answer and keeps it; Ctrl-D leaves; //TEXT sends a text that begins with a slash", "dim",
    )  # fmt: skip


async def _quit(desk: Desk, _: str) -> None:
    desk.leaving = True


_ALL = (
    Command("/help", "[COMMAND]", "this list, or more of one command", _help, words=lambda _: (name[1:] for name in COMMANDS)),
    Command("/system", "[TEXT]", "show or set the system message", conversing.system, "/system none takes it away."),
    Command("/set", "[NAME [VALUE]]", "show or set sampling parameters", conversing.set_,
            "Alone it shows all of them with defaults and ranges. /set temperature 0.2 sets one, /set temperature default takes that back. "
            'A stop text may be quoted: /set stop "\\n\\n".', words=_sampling),
    Command("/prompt", "[ids] [TEXT]", "the exact prompt that the next turn sends, with its tokens", showing.prompt,
            "ids shows the id behind each token; TEXT stands in for the message that is not typed yet. Control text is reversed, content has "
            "the colour of its role.", words=lambda _: ("ids",)),
    Command("/budget", "[TEXT]", "the window: its parts, what fits, what is left out", showing.budget),
    Command("/edit", "[N [TEXT]]", "change message N (else your newest) and ask again", conversing.edit,
            "The line is filled with the message. The old version stays (/versions)."),
    Command("/regenerate", "", "answer the newest question once more", conversing.regenerate, "The answers before stay (/versions)."),
    Command("/versions", "[K [of N]]", "list versions of messages, or go to one", conversing.versions,
            "/versions 2 goes to version 2 of the newest answer, /versions 2 of 1 to that of message 1."),
    Command("/undo", "", "back to before the last turn, edit or choice", conversing.undo, "Nothing is lost: what was left is a version."),
    Command("/fork", "[NAME]", "go on in a copy under another name", filing.fork, "The session that was open stays as it is."),
    Command("/new", "", "begin again, with the same system message", conversing.new, "/undo goes back."),
    Command("/history", "", "the conversation so far, with the messages' numbers", showing.history),
    Command("/save", "[FILE]", "keep the conversation under a name, or copy it to a file", filing.save,
            "A session that has a name is saved by itself, while answers come."),
    Command("/load", "NAME|FILE", "go on with a session, or with a conversation in a file", filing.load, words=_sessions),
    Command("/sessions", "[TEXT]", "the sessions that are kept, or those that hold a text", filing.sessions),
    Command("/export", "FORM [FILE]", "the conversation as a document, or as a program that asks the same", filing.export_,
            f"FORM is {', '.join(filing.FORMS)}. md and json have the messages; the others are programs that ask the newest question with the same settings and seed.",
            words=lambda _: filing.FORMS),
    Command("/lint", "[TEXT]", "what is wrong with a written prompt, or with the next one", showing.lint),
    Command("/tokens", "[N]", "how sure the model was of each token; what else could have stood for token N", showing.tokens),
    Command("/stats", "", "what the last answer cost", showing.stats),
    Command("/model", "", "what answers, and where", showing.model),
    Command("/quit", "", "leave (so does Ctrl-D)", _quit),
)  # fmt: skip

COMMANDS: dict[str, Command] = {command.name: command for command in _ALL}
"""By name, in the order of the help."""

_ALSO = {"/exit": "/quit", "/bye": "/quit", "/clear": "/new", "/retry": "/regenerate", "/?": "/help"}
"""What people type who come from other chats."""


async def run(desk: Desk, line: str) -> None:
    """Run the command of a line that begins with a slash. A name may be shortened to what only it begins with.

    Raises:
        PunaError: there is no such command, or it cannot do what is asked.
    """
    name, _, argument = line.strip().partition(" ")
    await COMMANDS[_found(name)].run(desk, argument.strip())


def _found(name: str) -> str:
    if name in COMMANDS:
        return name
    if name in _ALSO:
        return _ALSO[name]
    begun = [known for known in COMMANDS if known.startswith(name)] if len(name) > 1 else []
    if len(begun) == 1:
        return begun[0]
    raise InputError(f"{unknown('command', name, COMMANDS)}; //TEXT sends a text that begins with a slash")
