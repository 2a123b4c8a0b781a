"""A conversation as a tree of turns in which nothing is ever lost. Knows roles and texts; no tokens, formats or files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from puna.dialog.nodes import Node, list_of, node_of, number_of, object_of, place_of, role_of, shown
from puna.errors import InputError
from puna.messages import Dialog, Message, Role

VERSION = 1
"""Of the shape that ``as_json`` gives. Another shape gets another number."""


@dataclass(frozen=True, slots=True)
class History:
    """A conversation with all its versions, a frozen value: every verb gives a new history and leaves this one as it is.

    Nodes are numbered from 0 in the order in which they were made, so a parent's number is below its children's. The head is
    the node that the next message will follow; from the root to it runs the path, the dialog that a model gets to see.
    Editing, regenerating and forking only move the head; the nodes that it leaves stay in the tree.

    nodes: by their numbers. head: None before the first message. pins: numbers of pinned nodes. trail: the heads before
    this one, newest last. Begin with ``History()`` and go on with the verbs, or read one with ``from_json``: the fields are
    not checked here, since that would make every append as slow as reading the whole tree.
    """

    nodes: tuple[Node, ...] = ()
    head: int | None = None
    pins: frozenset[int] = frozenset()
    trail: tuple[int | None, ...] = ()

    def append(self, role: str, content: str) -> History:
        """One more message under the head; the head moves to it.

        Raises:
            InputError: an unknown role, or content that is no text.
        """
        return self._grown(self.head, Message(role_of(role), content))

    def edit(self, node: int, content: str) -> History:
        """Another version of a node: a sibling with the same role and this content; the head moves there.

        Raises:
            InputError: no such node, or content that is no text.
        """
        old = self.nodes[self._known(node)]
        return self._grown(old.parent, Message(old.message.role, content))

    def fork(self, node: int | None) -> History:
        """The head moves to this node, so that the next message follows it; None is the place before every message.

        Raises:
            InputError: no such node.
        """
        return self._moved(None if node is None else self._known(node))

    def regenerate(self) -> History:
        """The head moves to the parent of the newest answer, so that the next append makes another version of it.

        A question that still waits for its answer keeps the head, so asking twice does no more than asking once.

        Raises:
            InputError: there is neither answer nor question on the path.
        """
        at = self.head
        while at is not None:
            node = self.nodes[at]
            if node.message.role is Role.USER:
                return self
            if node.message.role is Role.ASSISTANT:
                return self._moved(node.parent)
            at = node.parent
        raise InputError("there is no answer to regenerate on the path to the head; append a user message first")

    def versions(self, node: int) -> tuple[int, ...]:
        """A node and its siblings, in the order in which they were made: the n of "version 2 of n".

        Raises:
            InputError: no such node.
        """
        parent = self.nodes[self._known(node)].parent
        return tuple(n for n, other in enumerate(self.nodes) if other.parent == parent)

    def choose(self, node: int) -> History:
        """The head moves to the newest message under this version, or to the version itself where none follows it.

        Raises:
            InputError: no such node.
        """
        below = {self._known(node)}
        newest = node
        for n in range(node + 1, len(self.nodes)):
            if self.nodes[n].parent in below:
                below.add(n)
                newest = n
        return self._moved(newest)

    def undo(self) -> History:
        """The head goes back to where it was before its last move. Nodes and pins stay.

        Raises:
            InputError: the head has not moved yet, or all its moves were undone.
        """
        if not self.trail:
            raise InputError("there is nothing to undo; the head stands where this history began")
        return replace(self, head=self.trail[-1], trail=self.trail[:-1])

    def pin(self, node: int) -> History:
        """Pruning shall keep this message, and with it its whole turn, on every path that it is on.

        Raises:
            InputError: no such node.
        """
        return replace(self, pins=self.pins | {self._known(node)})

    def unpin(self, node: int) -> History:
        """Pruning may drop this message again.

        Raises:
            InputError: no such node.
        """
        return replace(self, pins=self.pins - {self._known(node)})

    @property
    def line(self) -> tuple[int, ...]:
        """Numbers of the nodes from the root to the head: the node behind each index of ``path``."""
        numbers = []
        at = self.head
        while at is not None:
            numbers.append(at)
            at = self.nodes[at].parent
        return tuple(reversed(numbers))

    @property
    def path(self) -> Dialog:
        """The messages from the root to the head."""
        return Dialog(tuple(self.nodes[n].message for n in self.line))

    @property
    def pinned(self) -> tuple[int, ...]:
        """Indices into ``path`` of the pinned messages, as ``fit`` takes them."""
        return tuple(index for index, node in enumerate(self.line) if node in self.pins)

    def as_json(self) -> dict[str, object]:
        """The whole tree as JSON values; a node's number is its place in ``nodes``."""
        return {
            "version": VERSION,
            "nodes": [{"parent": node.parent, **node.message.as_json()} for node in self.nodes],
            "head": self.head,
            "pins": sorted(self.pins),
            "trail": list(self.trail),
        }

    @classmethod
    def from_json(cls, given: object) -> History:
        """The history that ``as_json`` gave.

        Raises:
            InputError: another shape or version, a parent that is no earlier node (so there is no circle), a number of no
                node, an unknown role, content that is no text.
        """
        value = object_of(given, "a history", ("version", "nodes", "head", "pins", "trail"))
        if value["version"] != VERSION or isinstance(value["version"], bool):
            raise InputError(
                f"version of a history must be {VERSION}, not {shown(value['version'])}; "
                "read it with the release of puna that wrote it"
            )
        nodes = tuple(node_of(n, entry) for n, entry in enumerate(list_of(value["nodes"], "nodes")))
        pins = [number_of(entry, len(nodes), f"pins[{n}]") for n, entry in enumerate(list_of(value["pins"], "pins"))]
        if len(set(pins)) != len(pins):
            raise InputError("pins must name each node once, but one stands there twice; leave one of them out")
        trail = [place_of(entry, len(nodes), f"trail[{n}]") for n, entry in enumerate(list_of(value["trail"], "trail"))]
        return cls(nodes, place_of(value["head"], len(nodes), "head"), frozenset(pins), tuple(trail))

    def _grown(self, parent: int | None, message: Message) -> History:
        nodes = (*self.nodes, Node(parent, message))
        return replace(self, nodes=nodes, head=len(self.nodes), trail=(*self.trail, self.head))

    def _moved(self, head: int | None) -> History:
        return self if head == self.head else replace(self, head=head, trail=(*self.trail, self.head))

    def _known(self, node: int) -> int:
        return number_of(node, len(self.nodes), "the node")
