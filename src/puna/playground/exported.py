"""What is exported: who is asked, and what, as values that every kind of program needs. Knows the OpenAI API's names of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from puna.errors import DialogError, InputError
from puna.generation import Sampling
from puna.messages import Dialog, Role

_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
"""Nothing in it that a shell or a program could take for more than an address, and no user name with a password."""

MAX_NAME = 63
_NAME = re.compile(r"[A-Za-z0-9](?:-*[A-Za-z0-9])*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A conversation, or an exact prompt, to be asked once more.

    url: of the endpoint, such as http://127.0.0.1:8080; endpoint: its name. messages: what the model gets to see, context, examples and
    system message included, what was pruned left out; a user message is last. prompt, ids: in their place the exact text and its tokens,
    shape (n,), of a raw prompt or of one whose answer was begun. sampling: with the seed that was used; without one, each run draws
    its own. title: for people.

    Raises:
        InputError: an address or a name that is none, or a prompt without its ids. DialogError: messages that nobody would answer.
    """

    url: str
    endpoint: str
    sampling: Sampling
    messages: Dialog = field(default_factory=Dialog)
    prompt: str | None = None
    ids: tuple[int, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.url):
            raise InputError(f"url must be an address such as http://127.0.0.1:8080, not {self.url[:80]!a}")
        if not _NAME.fullmatch(self.endpoint) or len(self.endpoint) > MAX_NAME:
            raise InputError(
                f"endpoint must be 1 to {MAX_NAME} letters, digits and inner dashes, not {self.endpoint[:80]!a}"
            )
        if self.prompt is not None and not self.ids:
            raise InputError("an exact prompt is exported as its tokens, but there are none; write a prompt first")
        if not self.ids and (not self.messages or self.messages[-1].role is not Role.USER):
            raise DialogError(
                "what is exported must end with a user message, since the program asks for an answer; write one"
            )

    @property
    def root(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def local(self) -> bool:
        """Whether it is on this machine, where no proxy of the environment is meant, and often no signature wanted."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def route(self) -> str:
        """Of the OpenAI API, below its version: whichever takes what is asked as it is."""
        return "completions" if self.ids else "chat/completions"

    @property
    def scoped(self) -> str:
        """The address of that API below the endpoint's name, as SageMaker has it; no limit of time holds there."""
        return f"{self.root}/endpoints/{self.endpoint}/openai/v1/{self.route}"

    @property
    def asked(self) -> dict[str, object]:
        """The prompt as the API takes it."""
        return {"prompt": list(self.ids)} if self.ids else {"messages": self.messages.as_json()}

    @property
    def arguments(self) -> dict[str, object]:
        """All of the sampling by the API's names, which are ours. No stop text and no seed are told by leaving them out."""
        return {name: value for name, value in self.sampling.as_json().items() if value is not None and value != []}
