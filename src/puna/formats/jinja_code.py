"""Compiles a template to Python in which nothing runs unseen: what can be long goes through the render's machine.

Nothing is computed while compiling: Jinja folds constants, and ``{{ 'a' * 10**9 }}`` is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame

from puna.formats.jinja_limits import charge_of


def _is_scalar(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const)


class _Never(NamedTuple):
    """What Jinja asks before it folds what is printed."""

    const: None = None
    src: None = None


class Metered(CodeGenerator):
    """Writes ``machine.add(a, b)`` where Jinja writes ``a + b``. The names of the methods are Jinja's."""

    def called(self, start: str, *parts: nodes.Node | None, frame: Frame) -> None:
        """Write a call of the machine."""
        self.write(f"machine.{start}")
        for n, part in enumerate(parts):
            if n:
                self.write(", ")
            if part is None:
                self.write("None")
            else:
                self.visit(part, frame)
        self.write(")")

    def write_commons(self) -> None:
        """Name the machine, whose ``concat`` also puts macros together."""
        super().write_commons()
        self.writeline("machine = context.machine")
        self.writeline("concat = machine.concat")

    def _make_finalize(self) -> Any:
        """Nothing that is printed is a constant, but the template's own text."""
        return _Never()

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002
        self.write("machine.written(")

    def visit_MarkSafe(self, node: nodes.MarkSafe, frame: Frame) -> None:  # noqa: ARG002, N802
        """Write a charge."""
        self.write(f"machine.charge({charge_of(node)})")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        """Write ``a ~ b ~ c``."""
        self.write("machine.tilde((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        """Write a comparison; one with a text or a number that the template itself holds is short."""
        operand = node.ops[0]
        if len(node.ops) == 1:
            right, name = operand.expr, operand.op
            members = right.items if isinstance(right, nodes.List | nodes.Tuple) else ()
            short = _is_scalar(node.expr) or _is_scalar(right) if name not in {"in", "notin"} else bool(members)
            if short and all(map(_is_scalar, members)):
                super().visit_Compare(node, frame)
                return
            if name == "eq":
                self.called("equal(", node.expr, right, frame=frame)
                return
        self.write("machine.compare(")
        self.visit(node.expr, frame)
        for operand in node.ops:
            self.write(f", ({operand.op!r}, ")
            self.visit(operand.expr, frame)
            self.write(")")
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        """Write ``a[b]``."""
        if isinstance(node.arg, nodes.Slice):
            self.called("cut(", node.node, node.arg.start, node.arg.stop, node.arg.step, frame=frame)
        elif isinstance(node.arg, nodes.Const):
            super().visit_Getitem(node, frame)
        else:
            self.called("item(", node.node, node.arg, frame=frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        """Write a dict, whose keys hash in no time."""
        self.write("{")
        for pair in node.items:
            if _is_scalar(pair.key):
                self.visit(pair.key, frame)
            else:
                self.called("key(", pair.key, frame=frame)
            self.write(": ")
            self.visit(pair.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802
        """Write a call. None of the functions here asks for the variables of loops, which Jinja would hand on."""
        self.write("machine.call(")
        self.visit(node.node, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")


def _operator(start: str) -> Callable[[Metered, nodes.BinExpr, Frame], None]:
    def visit(self: Metered, node: nodes.BinExpr, frame: Frame) -> None:
        self.called(start, node.left, node.right, frame=frame)

    return visit


for _name, _start in {
    "Add": "add(",
    "Sub": "arithmetic('-', ",
    "Mul": "multiply(",
    "Div": "arithmetic('/', ",
    "FloorDiv": "arithmetic('//', ",
    "Mod": "modulo(",
    "Pow": "power(",
}.items():
    setattr(Metered, f"visit_{_name}", _operator(_start))
