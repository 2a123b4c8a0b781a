"""Jinja as transformers sets it up, with bounds on what a template may do. Knows templates, not dialogs.

A template comes out of a model file, so it is somebody else's program. The sandbox keeps it from the machine; the
``Budget`` keeps it from eating the machine: it counts turns of loops, calls of macros, and the characters that
operators, filters and methods can make, and needs no clock. It bounds work, it is not a wall against an attacker.

Source of the settings: ``utils/chat_template_utils.py`` of transformers 5.23.0, read 2026-11-22.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from puna.formats.jinja_size import GROWING, OPERATORS, first

MAX_STEPS = 100_000
"""Loop turns and macro calls of one render. The longest dialog in use has some thousand messages."""

MAX_SIZE = 16_000_000
"""Characters, or elements of a list, that one operation may make, by an estimate from above."""

MAX_WORK = 400_000_000
"""The same, added up over a render."""

_TOO_MUCH = f"it makes texts or lists of more than {MAX_SIZE} elements"


class Budget:
    """What is left for one render."""

    def __init__(self) -> None:
        self._steps = 0
        self._work = 0

    def step(self) -> None:
        """One more turn of a loop, or call of a macro."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise SecurityError(f"it runs through more than {MAX_STEPS} loop turns")

    def make(self, size: int) -> None:
        """One more operation, whose result is at most ``size`` long."""
        self._work += size
        if size > MAX_SIZE or self._work > MAX_WORK:
            raise SecurityError(_TOO_MUCH)


class _Context(Context):
    """A render's variables, and its budget: a format may be rendered by several threads at once."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.budget = Budget()


class _Generation(Extension):
    """``{% generation %} ... {% endgeneration %}``: marks the assistant's words for training; prints its body."""

    tags = {"generation"}  # noqa: RUF012  # the attribute is Jinja's

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Counting(CodeGenerator):
    """Compiles ``~`` to a call that the budget sees; Jinja itself would join without asking."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802  # Jinja's name
        """Write ``a ~ b ~ c`` as one call."""
        self.write("environment.join(context, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment in which a model's template runs. today: what ``strftime_now`` tells; None refuses to."""

    context_class = _Context
    code_generator_class = _Counting
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, today: date | None) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.filters = {name: _counted(name, function) for name, function in self.filters.items()}
        self.filters["tojson"] = _counted("tojson", _to_json)
        del self.globals["lipsum"]  # it draws at random
        self.globals["raise_exception"] = _raise
        self.globals["strftime_now"] = _now(today)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        blocks: list[nodes.For | nodes.Macro | nodes.CallBlock] = [
            *tree.find_all(nodes.For),
            *tree.find_all(nodes.Macro),
            *tree.find_all(nodes.CallBlock),
        ]
        for block in blocks:
            block.body.insert(0, _step(block.lineno))
        return tree

    def concat(self, pieces: Iterable[str]) -> str:
        """The text of a macro, or of a ``{% set %}`` block: Jinja joins these without any operator."""
        kept = list(pieces)
        if sum(map(len, kept)) > MAX_SIZE:
            raise SecurityError(_TOO_MUCH)
        return "".join(kept)

    def step(self, context: _Context) -> str:
        """Called by every loop turn and macro."""
        context.budget.step()
        return ""

    def join(self, context: _Context, parts: tuple[object, ...]) -> str:
        """The ``~`` of a template."""
        texts = [str(part) for part in parts]
        context.budget.make(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, once its result is known to be small enough."""
        _budget(context).make(OPERATORS[operator](left, right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **named: Any) -> Any:
        """A call; methods of texts are measured first, since ``replace`` or ``center`` can make much of little."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            estimate = GROWING.get(getattr(obj, "__name__", ""), first)
            _budget(context).make(estimate(owner, *args, *named.values()))
        return super().call(context, obj, *args, **named)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Refuse ``str.format``: its widths cannot be measured beforehand, and no chat template in use needs it."""
        if super().wrap_str_format(value) is not None:
            raise SecurityError("it calls str.format")
        return None


def _budget(context: Context) -> Budget:
    return context.budget if isinstance(context, _Context) else Budget()


def _step(line: int) -> nodes.Node:
    called = nodes.Call(nodes.EnvironmentAttribute("step"), [nodes.ContextReference()], [], None, None)
    return nodes.ExprStmt(called).set_lineno(line, override=True)


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that asks the budget first. It takes the context, which also keeps Jinja from folding it when compiling."""
    wants = getattr(getattr(function, "jinja_pass_arg", None), "name", None)
    estimate = GROWING.get(name, first)

    @pass_context
    def counted(context: Context, *args: Any, **named: Any) -> Any:
        _budget(context).make(estimate(*args, *named.values()))
        given = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        return function(given[wants], *args, **named) if wants else function(*args, **named)

    return counted


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **named: Any) -> str:
    """As transformers has it: Jinja's own would escape ``<`` and ``'`` for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **named)


def _raise(message: object) -> NoReturn:
    raise TemplateError(str(message))


def _now(today: date | None) -> Callable[[str], str]:
    def strftime_now(pattern: str) -> str:
        if today is None:
            raise TemplateError("it asks for today's date, and none was given; give one (--date 2026-11-22)")
        return today.strftime(pattern)

    return strftime_now
