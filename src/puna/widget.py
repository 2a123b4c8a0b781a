"""The playground in a notebook: widgets that show prompts and answers token by token, and one to work with (``puna[jupyter]``).

Everything between a widget and its page goes through messages of the notebook's kernel; the page fetches nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from puna.api import Chat, Reply
from puna.dialog.prune import POLICIES
from puna.errors import InputError, unknown
from puna.generation import Delta, Receipt, Sampling
from puna.messages import Role, dialog_of
from puna.playground import still
from puna.playground.desk import Desk
from puna.playground.records import Record
from puna.playground.records import Tokens as Recorded
from puna.playground.workbench import Workbench
from puna.sync import bridge

try:
    from anywidget import AnyWidget
    from traitlets import Bool, Dict, List, Unicode
except ImportError as error:
    raise InputError("puna.widget needs anywidget; install puna[jupyter]") from error

STATIC = Path(str(files("puna.playground"))) / "static"


class _Seen(AnyWidget):
    """A widget that is also HTML without a script, for a notebook that is read and not run."""

    def _repr_mimebundle_(self, **given: Any) -> Any:
        bundle, *rest = super()._repr_mimebundle_(**given) or ({},)
        return ({**bundle, "text/html": self.still()}, *rest)

    def still(self) -> str:
        """What it shows now, as HTML that needs neither a kernel nor a script."""
        raise NotImplementedError


class Anatomy(_Seen):
    """The exact prompt that a conversation becomes, token by token.

    prompt: messages, a raw prompt's text, or what the playground's ``/api/anatomy`` answered. chat: whose model's format and
    vocabulary are taken; without it a model is opened for this by the settings of ``puna.Chat``, and closed again.

    Raises:
        InputError: the model's format cannot express it, or an unknown setting.
    """

    _esm = STATIC / "anatomy.js"
    data = Dict().tag(sync=True)

    def __init__(
        self, prompt: str | Iterable[object] | Mapping[str, object], *, chat: Chat | None = None, **settings: object
    ) -> None:
        data = prompt if isinstance(prompt, Mapping) and "segments" in prompt else _anatomy(prompt, chat, settings)
        super().__init__(data=dict(data))

    def still(self) -> str:
        """The prompt as HTML that needs neither a kernel nor a script."""
        return still.anatomy(self.data)


class Tokens(_Seen):
    """An answer, token by token, with the probabilities that the model gave and what else could have stood there.

    answer: the records of an answer (``Playground.records``), pieces of it (``puna.generation.Delta``), or a ``puna.Reply``, which
    has its text alone. heat: tokens are coloured by their probability.
    """

    _esm = STATIC / "tokens.js"
    tokens: List[Any] = List().tag(sync=True)
    heat = Bool(default_value=True).tag(sync=True)

    def __init__(self, answer: Reply | Iterable[Mapping[str, object] | Delta | Receipt], *, heat: bool = True) -> None:
        super().__init__(tokens=_token_records(answer), heat=heat)

    def still(self) -> str:
        """The answer as HTML that needs neither a kernel nor a script."""
        return still.tokens(self.tokens, heat=self.heat)


class Playground(_Seen):
    """A workbench for one conversation: settings, messages, streamed answers with probabilities, the exact prompt.

    chat: whose model answers, and with whose messages it begins; that conversation itself does not change. Without it a model
    is opened by the settings of ``puna.Chat`` (model, context, engine ...), for as long as the widget is open. system: the
    system message. policy: what happens to messages that no longer fit the window. Sampling parameters go by name, too.

    ``messages``, ``system`` and ``params`` hold what the page shows and may be set; ``records`` are the newest answer's tokens.

    Raises:
        InputError: an unknown setting, or settings beside a chat, which has a model already.
    """

    _esm = STATIC / "widget.js"
    modules = Dict().tag(sync=True)
    info = Dict().tag(sync=True)
    system = Unicode().tag(sync=True)
    messages: List[Any] = List().tag(sync=True)
    params = Dict().tag(sync=True)
    policy = Unicode().tag(sync=True)
    heat = Bool(default_value=True).tag(sync=True)
    _open = False

    def __init__(
        self, chat: Chat | None = None, *, system: str | None = None, policy: str = "watermark", **settings: object
    ) -> None:
        if policy not in POLICIES:
            raise InputError(unknown("policy", policy, POLICIES))
        given = {name: settings.pop(name) for name in Sampling.__dataclass_fields__ if name in settings}
        params = {name: value for name, value in Sampling.of(given).as_json().items() if name in given}
        self._own = None if chat is not None else _opened(settings)
        conversation = _checked(chat, settings) if self._own is None else self._own
        history = conversation.history
        bench = Workbench(conversation.spine())
        self._desk = Desk(bench, self.send)
        self._open = True
        super().__init__(
            modules={name: (STATIC / f"{name}.js").read_text(encoding="utf-8") for name in ("anatomy", "tokens")},
            info=bench.info(),
            system=(history.system or "") if system is None else system,
            messages=[message.as_json() for message in history if message.role is not Role.SYSTEM],
            params=params,
            policy=policy,
        )
        self.on_msg(self._heard)

    @property
    def records(self) -> list[Record]:
        """The tokens of the newest answer so far, with their alternatives."""
        return list(self._desk.records)

    def still(self) -> str:
        """The conversation as HTML that needs neither a kernel nor a script."""
        return still.talk(self.system, self.messages, self.records)

    def _heard(self, _: object, content: Any, __: object) -> None:
        bridge().run(self._desk.hear, content)

    def close(self) -> None:
        """End what is under way; the model, too, unless it is a chat's. Doing it again does nothing."""
        super().close()
        was_open, self._open = self._open, False
        if (
            not was_open or sys.is_finalizing()
        ):  # a widget that is collected closes itself; the bridge may have ended by then
            return
        bridge().run(self._desk.close)
        if self._own is not None:
            self._own.close()


def _opened(settings: dict[str, object]) -> Chat:
    return Chat(**settings).open()


def _checked(chat: Chat | None, settings: dict[str, object]) -> Chat:
    if not isinstance(chat, Chat):
        raise InputError(f"chat must be a puna.Chat, not {type(chat).__name__}; settings go by name, such as model=...")
    if settings:
        raise InputError(f"{', '.join(settings)}: settings of a model, which the chat has already; leave them out")
    return chat


def _anatomy(prompt: object, chat: Chat | None, settings: dict[str, object]) -> Record:
    own = None if chat is not None else _opened(settings)
    try:
        conversation = _checked(chat, settings) if own is None else own
        bench = Workbench(conversation.spine())
        return bridge().run(bench.anatomy, _talk(prompt))
    finally:
        if own is not None:
            own.close()


def _talk(prompt: Any) -> dict[str, object]:
    if isinstance(prompt, str):
        return {"prompt": prompt}
    dialog = dialog_of(prompt)
    said = [message.as_json() for message in dialog if message.role is not Role.SYSTEM]
    return {"system": dialog.system or "", "messages": said}


def _token_records(answer: Any) -> list[Record]:
    if isinstance(answer, Reply):
        return [{"i": 0, "id": None, "t": answer.text, "lp": None, "top": []}]
    recorded = Recorded({})
    found: list[Record] = []
    for entry in answer:
        if isinstance(entry, Delta):
            found += recorded.of(entry)
        elif isinstance(entry, Mapping) and "t" in entry:
            found.append(dict(entry))
    return found
