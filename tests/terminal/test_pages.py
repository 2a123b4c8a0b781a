"""docs/chat.md says what the chat does."""

import re
from pathlib import Path

import pytest

from puna.terminal.commands import COMMANDS
from puna.terminal.filing import FORMS

PAGE = (Path(__file__).parents[2] / "docs" / "chat.md").read_text(encoding="utf-8")


def test_the_table_of_commands_is_the_page_s():
    rows = re.findall(r"^\| `(/\w+)([^`]*)` \| (.*) \|$", PAGE, re.MULTILINE)
    told = [(name, arguments.strip().replace("\\|", "|"), meaning) for name, arguments, meaning in rows]
    assert told == [(command.name, command.arguments, command.meaning) for command in COMMANDS.values()]


@pytest.mark.parametrize("form", FORMS)
def test_every_export_is_named(form):
    assert f"`{form}`" in PAGE
