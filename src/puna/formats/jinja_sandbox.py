"""Jinja as transformers sets it up, walled in. Knows templates, not dialogs.

A template comes out of a model file, so it is somebody else's program. Four walls stand around it, and none needs a clock:

- ``jinja_limits``: how long and deep a template may be, before it is compiled; prices for its loops and macros.
- ``jinja_code``: compiled code in which each operation whose cost depends on a value asks ``jinja_machine`` first.
- ``jinja_budget``: that machine's purse; prices are estimates from above, nested and shared values counted in full.
- ``jinja_methods``, ``jinja_filters``, ``jinja_tests``, ``jinja_globals``: the whole of what a template can reach, by name.

Source of the settings: ``utils/chat_template_utils.py`` of transformers 5.23.0, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from jinja2 import Template, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from puna.formats.jinja_code import Metered
from puna.formats.jinja_filters import FILTERS
from puna.formats.jinja_globals import functions
from puna.formats.jinja_limits import Counting, check_source, check_tree, price
from puna.formats.jinja_machine import Machine, Render
from puna.formats.jinja_methods import INDEXED, OF_DICTS, attribute
from puna.formats.jinja_tests import TESTS


class _Generation(Extension):
    """``{% generation %} ... {% endgeneration %}``: marks the assistant's words for training; prints its body."""

    tags = {"generation"}  # noqa: RUF012  # the attribute is Jinja's

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment in which a model's template runs. today: what ``strftime_now`` tells; None refuses to."""

    context_class = Render
    code_generator_class = Metered

    def __init__(self, today: date | None) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols, Counting], optimized=False
        )
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = dict(functions(today))

    def template(self, source: str) -> Template:
        """The source, compiled.

        Raises:
            SecurityError: it is longer, deeper or of other parts than a chat template may be.
            Exception: whatever Jinja and Python raise on what is no template.
        """
        check_source(source)
        tree = self.parse(source)
        check_tree(tree)
        price(tree)
        return self.from_string(tree)

    def pieces(self, template: Template, variables: Mapping[str, object], units: int) -> Iterator[str]:
        """What the template writes, for so much work. Past ``Template.generate``, which compiles each frame of an error."""
        context = template.new_context(dict(variables))
        if not isinstance(context, Render):
            raise TypeError("a template of another environment")
        context.machine = Machine(self, units)
        return template.root_render_func(context)

    def getattr(self, obj: Any, attribute_name: str) -> Any:
        """``obj.name``: an attribute, or else an item."""
        if type(obj) is dict and attribute_name not in OF_DICTS:
            return obj[attribute_name] if attribute_name in obj else self.undefined(obj=obj, name=attribute_name)
        return attribute(self, obj, attribute_name)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[name]``: an item, or else an attribute. The argument is a text, a number, a boolean or None."""
        if type(obj) is dict:
            if argument in obj:
                return obj[argument]
        elif isinstance(argument, int) and isinstance(obj, INDEXED):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(obj=obj, name=argument)  # type: ignore[arg-type]  # as Jinja's
        if isinstance(argument, str):
            return attribute(self, obj, argument)
        return obj[argument] if isinstance(obj, Undefined) else self.undefined(obj=obj, name=argument)
