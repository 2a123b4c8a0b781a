"""A chat with the scripted engine, as a process of its own: what it says and when is told by the file that it is given."""

import asyncio
import json
import sys
from pathlib import Path

from puna.chat import Spine
from puna.engines.scripted import WORDS, Scripted
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.generation import Kind
from puna.messages import Role
from puna.terminal.app import Begin, chat
from puna.terminal.desk import Reached


def answers(script):
    """An answer by the last user message, else what the scripted engine says."""

    def answer(prompt, _):
        said = [s.text for s in prompt.segments if s.kind is Kind.CONTENT and s.role is Role.USER]
        last = said[-1] if said else ""
        return script["answers"].get(last, f"You said: {last}")

    return answer


def paced(script):
    """Waits before a piece until the gate's file lets it pass."""
    gate = Path(script["gate"]) if script.get("gate") else None

    async def pace(n):
        while gate is not None and gate.is_file() and int(gate.read_text() or 0) <= n:
            await asyncio.sleep(0.002)

    return pace


async def main(script):
    engine = Scripted(
        answers(script), pace=paced(script), fail_after=script.get("fail_after"), context=script.get("context", 4096)
    )
    form = catalog.get("chatml")

    async def opened():
        return Spine(engine, await engine.start(), form, counter=lambda: PromptCounter(form, WORDS))

    return await chat(Begin(Reached(), script.get("session"), script.get("system"), script.get("params", {})), opened)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()))))
    except Exception as error:  # noqa: BLE001  # a verb's exit, in short
        print(f"puna: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
