"""What a template may be before it runs: how long, how deep, of which parts. Knows Jinja's syntax tree, runs nothing.

A parsed template also gets its prices written in here: every loop, macro and long branch starts with a charge for the
nodes that stand in it, which pays for all work that depends on no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from puna.formats.jinja_budget import MAX_NUMBER, wide

MAX_SOURCE = 200_000
"""Characters. Of 110 templates in use the largest has 16738, and another 1286 nodes."""

MAX_TOKENS = 30_000
MAX_NODES = 10_000

MAX_BRANCHES_BY_NAMES = 300_000
"""Each branch of an ``if`` makes Jinja's compiler copy its tables of names."""

MAX_NESTING = 80
"""Of expressions and blocks in each other."""

_SMALL = 500
"""Units of a branch that is paid for with its surroundings, so that the charge does not cost more than the branch."""

_TURN = 100
"""Units of a turn of a loop besides what stands in it."""

_CALL = 800
"""Units of a call of a macro besides what stands in it."""

_DEFAULT = 80
_PRICES: Mapping[type[nodes.Node], int] = {
    nodes.AssignBlock: 300,
    nodes.Call: 300,
    nodes.CallBlock: 1500,
    nodes.Compare: 150,
    nodes.Dict: 300,
    nodes.Filter: 250,
    nodes.For: 500,
    nodes.List: 100,
    nodes.Macro: 1500,
    nodes.Operand: 40,
    nodes.Test: 150,
}

_ALLOWED = frozenset(
    {
        *(
            nodes.Add,
            nodes.And,
            nodes.Assign,
            nodes.AssignBlock,
            nodes.Break,
            nodes.Call,
            nodes.CallBlock,
            nodes.Compare,
        ),
        *(nodes.Concat, nodes.CondExpr, nodes.Const, nodes.Continue, nodes.Dict, nodes.Div, nodes.Filter),
        *(nodes.FilterBlock, nodes.FloorDiv, nodes.For, nodes.Getattr, nodes.Getitem, nodes.If, nodes.Keyword),
        *(nodes.List, nodes.Macro, nodes.Mod, nodes.Mul, nodes.NSRef, nodes.Name, nodes.Neg, nodes.Not, nodes.Operand),
        *(nodes.Or, nodes.Output, nodes.Pair, nodes.Pos, nodes.Pow, nodes.Slice, nodes.Sub, nodes.Template),
        *(nodes.TemplateData, nodes.Test, nodes.Tuple, nodes.With),
    }
)
_TAGS: Mapping[type[nodes.Node], str] = {nodes.Scope: "autoescape", nodes.FromImport: "from"}


class Counting(Extension):
    """Stops the parser at a template of too many words."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The same words, counted."""
        for n, token in enumerate(stream):
            if n > MAX_TOKENS:
                raise SecurityError(f"it has more than {MAX_TOKENS} words")
            yield token


def check_source(source: str) -> None:
    """Refuse a text that is too long to parse.

    Raises:
        SecurityError: it is.
    """
    if len(source) > MAX_SOURCE:
        raise SecurityError(f"it has {len(source)} characters, and a chat template has at most {MAX_SOURCE}")


def check_tree(tree: nodes.Template) -> None:
    """Refuse a template that is too large, too deep, or uses what no chat template needs.

    Raises:
        SecurityError: it is, or does.
    """
    count = branches = 0
    names: set[str] = set()
    ahead: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while ahead:
        node, depth = ahead.pop()
        count += 1
        if isinstance(node, nodes.Name):
            names.add(node.name)
        if count > MAX_NODES or depth > MAX_NESTING or branches * len(names) > MAX_BRANCHES_BY_NAMES:
            raise SecurityError(
                f"it has more than {MAX_NODES} parts, or parts nested more than {MAX_NESTING} deep, or very many names and "
                "branches, and no chat template has"
            )
        _check_node(node)
        if isinstance(node, nodes.If):  # Python nests every elif in the one before
            branches += 1
            ahead += [(branch, depth + n) for n, branch in enumerate(node.elif_, 1)]
            ahead += [(below, depth + 1) for below in node.iter_child_nodes(exclude=("elif_",))]
        else:
            ahead += [(below, depth + 1) for below in node.iter_child_nodes()]


def _check_node(node: nodes.Node) -> None:
    kind = type(node)
    if kind not in _ALLOWED:
        raise SecurityError(
            f"it uses {{% {_TAGS.get(kind, kind.__name__.lower())} %}}, which is not there for a chat template"
        )
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        raise SecurityError(
            "it spreads a list over the arguments of a call (*), which is not there for a chat template"
        )
    if isinstance(node, nodes.Getattr):
        _check_name(node.attr)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        _check_name(node.arg.value)
    elif isinstance(node, nodes.Const):
        value = node.value
        if isinstance(value, int | float) and not -MAX_NUMBER < value < MAX_NUMBER:
            raise SecurityError(f"it holds a number beyond {MAX_NUMBER}")


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("__") and name.endswith("__"):
        raise SecurityError(f"it reaches for {name[:50]!r}: the insides of Python are unsafe")


def price(tree: nodes.Template) -> None:
    """Write the charges into a template that was checked."""
    tree.body.insert(0, _charged(sum(map(_price, tree.body))))


def charge_of(node: nodes.Node) -> int | None:
    """The units that a node charges for, where ``price`` made it. No template can write a ``MarkSafe``."""
    return node.expr.value if isinstance(node, nodes.MarkSafe) and isinstance(node.expr, nodes.Const) else None


def _price(node: nodes.Node) -> int:
    """Units of running the node once, less what is charged inside of it."""
    units = _PRICES.get(type(node), _DEFAULT)
    if isinstance(node, nodes.Const):
        return _DEFAULT + (len(node.value) // 4 if isinstance(node.value, str) else 0)
    if isinstance(node, nodes.TemplateData):
        return _DEFAULT + 3 * len(node.data) * wide(node.data)
    if isinstance(node, nodes.Getattr):
        units += len(node.attr) // 4
    if isinstance(node, nodes.If):
        units += sum(map(_price, (node.test, *node.elif_)))
        return units + _branch(node.body) + _branch(node.else_)
    if isinstance(node, nodes.For):
        return units + _loop(node)
    if isinstance(node, nodes.Macro | nodes.CallBlock):
        inside = sum(map(_price, (*node.args, *node.defaults, *node.body)))
        node.body.insert(0, _charged(_CALL + 2 * inside))
        return units + (_price(node.call) if isinstance(node, nodes.CallBlock) else 0)
    return units + sum(map(_price, node.iter_child_nodes()))


def _loop(node: nodes.For) -> int:
    inside = _TURN + _price(node.target) + sum(map(_price, node.body))
    if node.test is not None:
        tested = _TURN + _price(node.target) + _price(node.test)
        node.test = nodes.And(_charge(tested), node.test, lineno=node.test.lineno)
    node.body.insert(0, _charged(inside))
    return _price(node.iter) + _branch(node.else_)


def _branch(body: list[nodes.Node]) -> int:
    """Pay where the branch starts, or before it where it is small."""
    units = sum(map(_price, body))
    if units <= _SMALL:
        return units
    body.insert(0, _charged(units))
    return 0


def _charge(units: int) -> nodes.Expr:
    return nodes.MarkSafe(nodes.Const(units))


def _charged(units: int) -> nodes.Node:
    return nodes.ExprStmt(_charge(units), lineno=1)
