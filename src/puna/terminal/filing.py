"""The commands that deal in sessions and files: /save, /load, /sessions, /fork, /export. Knows the desk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from puna.errors import InputError, unknown
from puna.generation import Sampling
from puna.messages import Dialog, Role
from puna.playground.export import Exported, export
from puna.terminal.desk import Desk
from puna.terminal.keeping import id_of, read_file, write_file
from puna.terminal.talk import Talk
from puna.terminal.views import table_of

FORMS = ("md", "json", "curl", "boto3", "openai", "python", "notebook")
"""What /export writes."""

LOCAL = "http://127.0.0.1:8080"
"""Where ``puna serve`` is by default: programs need an endpoint, and a model in this process is none."""


def _file(text: str) -> Path:
    return Path(text).expanduser()


async def save(desk: Desk, text: str) -> None:
    """Keep the conversation under a name; with a file's name, a copy there."""
    if text:
        write_file(_file(text), json.dumps(desk.talk.as_session(), ensure_ascii=False, indent=1) + "\n")
        desk.screen.say(f"written to {text}", "dim")
        return
    if desk.talk.id is None:
        desk.keeper.rename(desk.talk, desk.keeper.free_name(_title(desk)))
    desk.keeper.save(desk.talk)
    desk.tell()
    desk.screen.say(f"kept as {desk.talk.id}; puna chat --session {desk.talk.id} goes on with it", "dim")


def _title(desk: Desk) -> str:
    first = next((m.content for m in desk.talk.history.path if m.role is Role.USER), "")
    return desk.talk.title or " ".join(first.split()[:6])


async def load(desk: Desk, text: str) -> None:
    """Go on with a session, or with the conversation of a file."""
    if not text:
        raise InputError("/load takes a session's name or a file; /sessions lists the sessions")
    path = _file(text)
    if path.is_file() and not _is_session(desk, text):
        talk = read_file(path)
        desk.keeper.close()
        talk.id, talk.revision = None, 0
    else:
        if not _is_session(desk, text):
            raise InputError(f"there is neither a session nor a file {text[:80]!r}; /sessions lists the sessions")
        if desk.talk.id == id_of(text):
            desk.screen.say(f"{text} is open already", "dim")
            return
        talk = desk.keeper.open(text)
    _go_on(desk, talk)
    kept = "not kept under a name yet: /save keeps it" if talk.id is None else f"kept as {talk.id}"
    desk.screen.say(f"{len(talk.history.line)} messages, {kept}", "dim")


def _is_session(desk: Desk, text: str) -> bool:
    try:
        wanted = id_of(text)
    except InputError:
        return False
    folder = desk.keeper.sessions.folder
    return (folder / f"{wanted}.json").is_file() or (folder / f"{text}.json").is_file()


def _go_on(desk: Desk, talk: Talk) -> None:
    desk.talk, desk.last, desk.dropped = talk, None, 0
    desk.tell()


async def sessions(desk: Desk, text: str) -> None:
    """The sessions that are kept, newest first; with a text, those that hold it."""
    rows = [
        ("▶" if row["id"] == desk.talk.id else "", row["id"], row["title"] if row["title"] != row["id"] else "", str(row["turns"]), row["changed"][:16].replace("T", " "))
        for row in desk.keeper.sessions.list(text)
    ]  # fmt: skip
    if rows:
        desk.screen.show(table_of(rows, "", "name", "title", "turns:right", "changed (UTC)"))
    else:
        desk.screen.say(f"no session holds {text[:60]!r}" if text else "no session is kept yet; /save keeps this one")


async def fork(desk: Desk, text: str) -> None:
    """Go on in a copy of the conversation, under another name; this one stays as it is."""
    copy = dataclasses.replace(
        desk.talk, params=dict(desk.talk.params), facts=dict(desk.talk.facts), page=dict(desk.talk.page)
    )
    before = desk.talk.id
    name = id_of(text) if text else desk.keeper.free_name(before or _title(desk))
    copy.title = text
    desk.keeper.rename(copy, name)
    desk.talk = copy
    desk.keeper.save(copy)
    left = f"; {before} stays as it is" if before else ""
    desk.screen.say(f"this conversation goes on as {name}{left}", "dim")


async def export_(desk: Desk, text: str) -> None:
    """The conversation as a document, or as a program that asks the same again."""
    form, _, file = text.partition(" ")
    if form not in FORMS:
        raise InputError(
            unknown("export", form, FORMS)
            if form
            else f"/export takes one of {', '.join(FORMS)}, and a file if you like"
        )
    content = _content(desk, form) if form in {"md", "json"} else await _program(desk, form)
    if file.strip():
        write_file(_file(file.strip()), content)
        desk.screen.say(f"written to {file.strip()}", "dim")
    else:
        desk.screen.say(content.rstrip("\n"))


def _content(desk: Desk, form: str) -> str:
    messages = Dialog((*desk.talk.before, *desk.talk.history.path))
    if form == "json":
        return json.dumps({"messages": messages.as_json()}, ensure_ascii=False, indent=1) + "\n"
    title = f"# {desk.talk.title}\n\n" if desk.talk.title else ""
    return title + "\n".join(f"**{message.role}**\n\n{message.content.strip()}\n" for message in messages)


async def _program(desk: Desk, form: str) -> str:
    """A program that asks the newest question; with the seed of its answer where that is known."""
    messages = desk.talk.history.path.messages
    while messages and messages[-1].role is not Role.USER:
        messages = messages[:-1]
    seed = desk.last.receipt.sampling.seed if desk.last and desk.last.receipt else None
    sampling = Sampling.of({**desk.talk.params, **({} if seed is None else {"seed": seed})})
    url = desk.reached.url if desk.reached.url and desk.reached.url.startswith("http") else None
    given = Exported(
        url=(url or LOCAL).removesuffix("/v1"), endpoint=desk.reached.name, sampling=sampling,
        messages=Dialog((*desk.talk.before, *messages)), title=desk.talk.title,
    )  # fmt: skip
    if url is None:
        desk.screen.say(f"the program asks {LOCAL}, where puna serve is by default", "dim")
    return export("client" if form == "python" else form, given).text
