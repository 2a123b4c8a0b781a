"""The commands that change the conversation: /system, /set, /edit, /regenerate, /versions, /undo, /new. Knows the desk."""

from __future__ import annotations

import json
import re
from typing import Any

from puna.errors import InputError, SamplingError, unknown
from puna.generation import RANGES, Sampling
from puna.messages import Role
from puna.terminal.desk import Desk
from puna.terminal.harmless import one_line
from puna.terminal.views import range_of, sampling_view, table_of, value_of

NONE = ("none", "default", "off")
"""Words that take a setting away."""


async def system(desk: Desk, text: str) -> None:
    """Show the system message, or set it."""
    if not text:
        desk.screen.say(desk.talk.system or "there is no system message; /system TEXT sets one")
        return
    desk.talk.mark()
    desk.talk.system = "" if text in NONE else text
    desk.keeper.save(desk.talk)
    desk.screen.say(
        "system message taken away" if text in NONE else "system message set; it holds from the next answer on", "dim"
    )


async def set_(desk: Desk, text: str) -> None:
    """Show the sampling parameters, or set one."""
    name, _, given = text.replace("=", " ", 1).partition(" ")
    if not name:
        desk.screen.show(sampling_view(desk.talk.params))
        return
    name = name.lower().replace("-", "_")
    if name not in Sampling.__dataclass_fields__:
        raise SamplingError(unknown("sampling parameter", name, Sampling.__dataclass_fields__))
    if not given.strip():
        now = Sampling.of(desk.talk.params).as_json()[name]
        desk.screen.say(
            f"{name} {value_of(now)} (default {value_of(Sampling().as_json()[name])}, range {range_of(name)})"
        )
        return
    params = {key: value for key, value in desk.talk.params.items() if key != name}
    if given.strip() not in NONE:
        params[name] = _value(name, given.strip())
        Sampling.of(params)
    desk.talk.params = params
    desk.keeper.save(desk.talk)
    desk.screen.say(f"{name} {value_of(Sampling.of(params).as_json()[name])}", "dim")


def _value(name: str, given: str) -> Any:
    """A value as it was typed; a stop text may be quoted as in JSON, and several may be a JSON list."""
    if name == "stop":
        if given[0] in '["':
            try:
                value = json.loads(given)
            except ValueError:
                raise SamplingError(
                    f'stop must be a text, "a text in quotes" or ["several", "texts"], not {given[:80]!r}'
                ) from None
            return value if isinstance(value, list) else [value]
        return [given]
    kind, low, high = RANGES[name]
    try:
        return kind(given)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise SamplingError(f"{name} must be {wanted} from {low} to {high}, not {given[:40]!r}") from None


async def edit(desk: Desk, text: str) -> None:
    """Put a message on the line to be changed; or change it, where a text follows its number."""
    found = re.fullmatch(r"(\d*)\s*(.*)", text, re.DOTALL)
    number, content = (found[1], found[2]) if found else ("", text)
    node = desk.talk.node(int(number)) if number else desk.talk.newest(Role.USER)
    if node is None:
        raise InputError("there is no message to edit yet; type one")
    index = desk.talk.history.line.index(node) + 1
    if not content:
        desk.prefilled = f"/edit {index} {desk.talk.history.nodes[node].message.content}"
        return
    desk.talk.mark()
    old = desk.talk.history
    if old.nodes[node].message.role is Role.ASSISTANT:
        desk.talk.history = old.edit(node, content)
        desk.keeper.save(desk.talk)
        desk.screen.say(
            f"message {index} has another version now; what followed it stays under the old one (/versions)", "dim"
        )
        return
    desk.talk.history = old.fork(old.nodes[node].parent)
    try:
        await desk.answer(content)
    except InputError:
        desk.talk.history = old
        raise


async def regenerate(desk: Desk, _: str) -> None:
    """Answer the newest question once more; the answers before stay as versions."""
    desk.talk.mark()
    old = desk.talk.history
    desk.talk.history = old.regenerate()
    try:
        await desk.answer()
    except InputError:
        desk.talk.history = old
        raise


async def versions(desk: Desk, text: str) -> None:
    """List the versions of messages, or go to one."""
    history = desk.talk.history
    if not text:
        _list_versions(desk)
        return
    found = re.fullmatch(r"(\d+)(?:\s+of\s+(\d+))?", text)
    if not found:
        raise InputError(f"/versions takes a version's number, such as 2, or 2 of 3 for message 3, not {text[:40]!r}")
    node = desk.talk.node(int(found[2])) if found[2] else desk.talk.newest(Role.ASSISTANT)
    if node is None:
        raise InputError("there is no answer yet, so there are no versions of it")
    all_ = history.versions(node)
    number = int(found[1])
    if not 1 <= number <= len(all_):
        raise InputError(f"there are {len(all_)} versions of that message, not {number}; /versions lists them")
    desk.talk.mark()
    desk.talk.history = history.choose(all_[number - 1])
    desk.keeper.save(desk.talk)
    desk.screen.say(
        f"version {number} of {len(all_)}: {one_line(history.nodes[all_[number - 1]].message.content)}", "dim"
    )


def _list_versions(desk: Desk) -> None:
    history, rows = desk.talk.history, []
    for index, node in enumerate(history.line, 1):
        all_ = history.versions(node)
        for number, other in enumerate(all_, 1):
            if len(all_) > 1:
                mark = "▶" if other == node else ""
                rows.append(
                    (f"{index}", mark, f"{number} of {len(all_)}", one_line(history.nodes[other].message.content))
                )
    if rows:
        desk.screen.show(table_of(rows, "message:right", "", "version", ""))
        desk.screen.say(
            "/versions 2 goes to version 2 of the newest answer, /versions 2 of 1 to that of message 1", "dim"
        )
    else:
        desk.screen.say("every message has one version; /regenerate and /edit make more")


async def undo(desk: Desk, _: str) -> None:
    """Back to before the last turn, edit or choice."""
    desk.talk.undo()
    desk.keeper.save(desk.talk)
    count = len(desk.talk.history.line)
    now = f"the conversation ends with {desk.line_of(count - 1)}" if count else "the conversation is at its beginning"
    desk.screen.say(f"{now}; nothing is lost (/versions)", "dim")


async def new(desk: Desk, _: str) -> None:
    """Begin again with the same system message."""
    desk.talk.mark()
    desk.talk.history = desk.talk.history.fork(None)
    desk.last, desk.dropped = None, 0
    desk.keeper.save(desk.talk)
    desk.screen.say("begun again, with the same system message and settings (/undo goes back)", "dim")
