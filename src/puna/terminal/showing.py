"""The commands that only show: /prompt, /budget, /tokens, /lint, /stats, /model, /history. Knows the desk."""

from __future__ import annotations

import re

from rich.text import Text

from puna.chat import Spine
from puna.errors import InputError
from puna.formats import lint as linting
from puna.generation import Prompt
from puna.messages import Role
from puna.terminal.desk import Desk
from puna.terminal.harmless import harmless, one_line
from puna.terminal.stats import stats_line
from puna.terminal.views import alternatives_view, budget_view, findings_view, prompt_view, table_of, tokens_view
from puna.turn import Ask


def _next(desk: Desk, text: str) -> Ask:
    """What the next turn asks: the newest question where it waits for its answer, else a message with this text."""
    return desk.talk.ask(None if desk.talk.waits and not text else text)


async def prompt(desk: Desk, text: str) -> None:
    """The exact prompt of the next turn."""
    first, _, rest = text.partition(" ")
    with_ids = first == "ids"
    message = rest.strip() if with_ids else text
    found, dropped = await desk.spine.fitted(_next(desk, message))
    spelled = await _spelled(desk.spine, found)
    desk.screen.show(prompt_view(found, spelled, ids=with_ids))
    if dropped:
        desk.screen.say(f"{len(dropped)} messages are left out to fit the window (/budget)", "dim")
    if not message and not desk.talk.waits:
        desk.screen.say("with no message yet; /prompt TEXT shows it with one, /prompt ids its token ids", "dim")


async def _spelled(spine: Spine, found: Prompt) -> list[bytes] | None:
    try:
        return await spine.spelled(found.ids) if found.ids else None
    except InputError:
        return None


async def budget(desk: Desk, text: str) -> None:
    """Where the window's tokens go, and what is left out."""
    ask = _next(desk, text)
    found = await desk.spine.budget(ask)
    dropped = (await desk.spine.fitted(ask))[1] if found.over else ()
    titles = {n: f"{m.role}: {one_line(m.content, 60)}" for n, m in enumerate(desk.talk.dialog())}
    desk.screen.show(budget_view(found, dropped, titles, desk.screen.size()[0] - 1))


async def tokens(desk: Desk, text: str) -> None:
    """How sure the model was of each token of its last answer, or what else could have stood in one's place."""
    made = desk.tokens
    if not made:
        raise InputError("there is no answer whose tokens could be shown; ask, or /regenerate")
    if all(record["lp"] is None for record in made):
        raise InputError(f"{desk.spine.info.build} does not tell how likely its tokens are")
    if not text:
        desk.screen.show(tokens_view(made, colour=desk.screen.colour))
        return
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else 0
    if not 1 <= number <= len(made):
        raise InputError(f"/tokens takes a token's number, 1 to {len(made)}, not {text[:40]!r}")
    record = made[number - 1]
    if not record["top"]:
        raise InputError("a session keeps no alternatives of its tokens; /regenerate asks for them again")
    before = "".join(str(other["t"]) for other in made[: number - 1])
    desk.screen.show(alternatives_view(number, record, await _named(desk, record["top"]), before))


async def _named(desk: Desk, top: object) -> list[tuple[int, str, float]]:
    """The alternatives; a token without a text is a control token, which has a name."""
    found = []
    for token, shown, logprob, *_ in top if isinstance(top, list) else []:
        name = shown
        if not shown and token is not None:
            try:
                name = (await desk.spine.spelled([token]))[0].decode("utf-8", "replace")
            except InputError:
                name = "(control)"
        found.append((token, name, logprob))
    return found


async def lint(desk: Desk, text: str) -> None:
    """What is wrong with a written prompt, or with the one that would be sent next."""
    if text:
        found = linting.lint(text)
    else:
        whole, _ = await desk.spine.fitted(_next(desk, ""))
        found = linting.lint(whole.text)
    parsed = found.parsed
    desk.screen.say(f"read as {parsed.format}, {len(parsed.dialog)} messages", "dim")
    if parsed.findings:
        desk.screen.show(findings_view(parsed.findings, found.text))
    else:
        desk.screen.say("nothing is wrong with it")
    if text and any(finding.fix is not None for finding in parsed.findings):
        desk.screen.show(Text(f"mended: {harmless(found.fixed())}"))


async def stats(desk: Desk, _: str) -> None:
    """What the last answer cost."""
    receipt = desk.last.receipt if desk.last else None
    desk.screen.say(stats_line(receipt) if receipt else "no answer has ended yet")


async def model(desk: Desk, _: str) -> None:
    """What answers."""
    info = desk.spine.info
    rows = [
        ("model", info.model),
        ("engine", info.build),
        ("at", desk.reached.url or "this process"),
        ("window", f"{info.context} tokens" if info.context else "not known"),
        ("format", desk.spine.writes or "the server's own"),
        ("takes", f"{info.speaks}" + ("" if info.safe else ", so tags in messages are escaped before they are sent")),
        ("repeats", {True: "the same seed gives the same answer", False: "the same seed may give another answer"}.get(info.reproducible is True, "")
         if info.reproducible is not None else "not known"),
    ]  # fmt: skip
    rows += [(name, str(value)) for name, value in info.found.items()]
    desk.screen.show(table_of(rows, "", ""))


async def history(desk: Desk, _: str) -> None:
    """The conversation so far, every message with its number."""
    talk = desk.talk
    if talk.system:
        desk.screen.say(f"system: {talk.system}")
    for index, node in enumerate(talk.history.line, 1):
        message = talk.history.nodes[node].message
        all_ = talk.history.versions(node)
        which = f" (version {all_.index(node) + 1} of {len(all_)})" if len(all_) > 1 else ""
        facts = talk.facts.get(node, {})
        cut = {"broken": " [cut off]", "stopped": " [stopped]", "length": " [cut at max_tokens]"}.get(
            str(facts.get("finish")), ""
        )
        style = "bold" if message.role is Role.USER else ""
        desk.screen.show(Text(harmless(f"{index} {message.role}{which}{cut}: {message.content}"), style=style))
    if not talk.history.line:
        desk.screen.say("nothing has been said yet")
