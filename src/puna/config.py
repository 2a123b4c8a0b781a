"""What the settings set up: model, engine, format; the only file that names concrete engines and formats together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from puna.chat import Spine
from puna.engines.address import DEFAULT_ENDPOINT, Address, checked
from puna.engines.base import Engine, EngineInfo, Speaks, innermost
from puna.engines.logs import log_file
from puna.engines.machine import cores, free_memory
from puna.engines.plan import Plan, check_cache
from puna.errors import InputError
from puna.formats import catalog as formats
from puna.formats.base import Writer
from puna.formats.counting import PromptCounter
from puna.formats.jinja import Jinja
from puna.formats.llama3 import spoken
from puna.models.catalog import Entry, resolve
from puna.models.folder import model_in
from puna.models.gguf import Gguf, read
from puna.models.pull import pull
from puna.models.store import find
from puna.models.template import template_in
from puna.models.transfer import Progress, Report
from puna.settings import DEFAULT_CONTEXT, OPTIONS, UPSTREAM, Settings, home, server, settings
from puna.tokens.base import Tokenizer, is_turn_token
from puna.tokens.cache import Cached

__all__ = ["DEFAULT_CONTEXT", "OPTIONS", "Address", "Model", "Settings", "counter_of", "engine_of", "find_model", "format_of", "home", "in_format",
           "model_file", "open_address", "open_spine", "own_format", "plan_of", "server", "settings", "spine_of", "today",
           "upstream_of"]  # fmt: skip


def _silent(_: Progress) -> None:
    return


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that is here, with what it says of itself. format: what the catalogue says, if it is from there."""

    name: str
    path: Path
    facts: Gguf
    format: str | None = None


def find_model(wanted: Settings, progress: Report = _silent) -> Model | None:
    """The model that the settings name, pulled when it is missing; None where the engine needs none. Blocks.

    Raises:
        InputError: an unknown name, a bad file, a context larger than the model's, too little memory, a KV cache that the model or
            llama.cpp does not allow.
    """
    if wanted.engine != "llamacpp":
        return None
    found = resolve(wanted.model)
    path = _path_of(found, wanted.home, progress)
    facts = read(path)
    model = Model(found.name, path, facts, found.format) if isinstance(found, Entry) else Model(path.stem, path, facts)
    check_cache(facts, wanted.cache_type, wanted.flash_attention)
    plan = plan_of(wanted, model)
    if not wanted.gpu_layers:  # a GPU's memory is not known here
        plan.check_fits(free_memory())
    return model


def plan_of(wanted: Settings, model: Model) -> Plan:
    """What loading the model will take of this machine.

    Raises:
        InputError: a context larger than the model's.
    """
    found = cores()
    return Plan(
        name=model.name,
        context=_context(wanted, model.facts),
        slots=wanted.slots,
        weights=model.facts.file_size,
        per_token=model.facts.kv_cache_bytes(1),
        cores=found,
        threads=wanted.threads or max(1, found.usable // 2),
        batch_threads=wanted.batch_threads or found.usable,
        cache_type=wanted.cache_type,
        prompt_cache=wanted.prompt_cache,
    )


def model_file(wanted: Settings, progress: Report = _silent) -> Path:
    """The file of the model that the settings name, pulled when it is missing. Blocks.

    Raises:
        InputError: an unknown name, or a pull that fails for good.
    """
    return _path_of(resolve(wanted.model), wanted.home, progress)


def _path_of(found: Entry | Path, home_folder: Path, progress: Report) -> Path:
    """A file in the store was verified when it was put there, so that starting needs no second look at every byte."""
    if isinstance(found, Path):
        return model_in(found) if found.is_dir() else found
    return find(found, home_folder) or pull(found, home_folder, progress)


def _quiet(_: str) -> None:
    return


async def open_spine(wanted: Settings, model: Model | None) -> Spine:
    """A started engine with its model's format.

    Raises:
        InputError: an unknown format, or none known for the model. EngineError: the engine does not start.
    """
    return await spine_of(wanted, model, engine_of(wanted, model))


def engine_of(wanted: Settings, model: Model | None, tell: Callable[[str], None] = _quiet) -> Engine:
    """The engine, not started yet. tell: gets a line when it is lost, and when it is back."""
    if wanted.engine in UPSTREAM:
        return _client_of(upstream_of(wanted))
    return _scripted(wanted) if model is None else _llamacpp(wanted, model, tell)


async def spine_of(wanted: Settings, model: Model | None, engine: Engine) -> Spine:
    """The engine, started, with its model's format.

    Raises:
        InputError: an unknown format, or none known for the model. EngineError: the engine does not start.
    """
    if wanted.engine in UPSTREAM:
        raw = wanted.prompts == "raw"
        return await _spine_at(upstream_of(wanted), engine, raw=raw, reads=not raw)
    format_ = own_format(wanted, model)
    counter = partial(counter_of, None if model is None else model.path, format_)
    return Spine(engine, await engine.start(), format_, raw=wanted.prompts == "raw", counter=counter)


def own_format(wanted: Settings, model: Model | None) -> Writer:
    """The format in which prompts are written where nothing else is asked for.

    Raises:
        InputError: an unknown format, or none known for the model.
    """
    return format_of(wanted.format or "chatml") if model is None else _format(wanted, model)


def in_format(spine: Spine, model: Model | None, name: str) -> Spine:
    """The same engine, with prompts in the format of that name.

    Raises:
        InputError: no such format.
    """
    form = format_of(name)
    counter = partial(counter_of, None if model is None else model.path, form)
    return Spine(spine.engine, spine.info, form, raw=spine.raw, counter=counter)


def counter_of(path: Path | None, form: Writer) -> PromptCounter:
    """What counts the prompts of a model, loaded when it is first needed: a tenth of a second. path: None for no model."""
    if path is None:
        from puna.engines.scripted import WORDS  # noqa: PLC0415

        return PromptCounter(form, WORDS)
    from puna.models.vocabulary import tokenizer_of  # noqa: PLC0415  # 100 ms that most runs do not need

    return PromptCounter(form, Cached(tokenizer_of(path)))


async def open_address(address: Address, environ: Mapping[str, str] | None = None) -> Spine:
    """The client of a server, started. environ: has its keys; the process's own by default.

    Raises:
        InputError: no address, or one whose parts do not go together. EndpointError: nothing answers, or no server of models.
    """
    environ = os.environ if environ is None else environ
    asked = await _spoken(checked(address, environ), environ)
    return await _spine_at(
        asked, await asyncio.to_thread(_client_of, asked)
    )  # AWS's configuration is files and servers


def upstream_of(wanted: Settings) -> Address:
    """The server behind ``puna serve --engine openai`` or ``sagemaker``. Who asks this endpoint asks again by himself: no retries here.

    Raises:
        InputError: no address, or one whose parts do not go together.
    """
    own = {name: value for name, value in os.environ.items() if name == "OPENAI_API_KEY"}
    api: Literal["openai", "sagemaker"] = "openai" if wanted.engine == "openai" else "sagemaker"
    return checked(
        Address(
            wanted.upstream or "",
            api,
            wanted.upstream_name,
            wanted.upstream_key,
            wanted.format,
            wanted.upstream_dialect,
            wanted.context,
            retries=0,
        ),
        own,
        "--upstream",
    )


async def _spoken(address: Address, environ: Mapping[str, str]) -> Address:
    """The address with its api; asked, where it does not tell."""
    if address.api != "auto":
        return address
    from puna.engines.probing import PUNA, owner  # noqa: PLC0415

    api: Literal["openai", "sagemaker"] = "openai"
    if await owner(address.url, address.key, address.timeouts) in (None, PUNA):
        api = "sagemaker"
    return checked(replace(address, api=api), environ)


def _client_of(address: Address) -> Engine:
    """The client of an address whose api is known, not started yet. May block."""
    from puna.engines.retry import Retrying  # noqa: PLC0415

    engine = _openai(address) if address.api == "openai" else _sagemaker(address)
    return Retrying(engine, address.retries) if address.retries else engine


def _openai(address: Address) -> Engine:
    from puna.engines.openai import OpenAI  # noqa: PLC0415

    return OpenAI(address.url, address.name, address.key, format=address.format, timeouts=address.timeouts)


def _sagemaker(address: Address) -> Engine:
    from puna.engines.aws import find_signer  # noqa: PLC0415
    from puna.engines.sagemaker import SageMaker  # noqa: PLC0415

    signer = find_signer(address.region) if address.signed else None
    return SageMaker(
        signer.url if signer is not None and address.aws else address.url,
        address.name or DEFAULT_ENDPOINT,
        dialect=address.dialect,
        key=address.key,
        signer=signer,
        timeouts=address.timeouts,
    )


async def _spine_at(address: Address, engine: Engine, *, raw: bool = False, reads: bool = False) -> Spine:
    """The spine of a server: in the format that is named, or in its own where it tells that and takes ids."""
    info = await engine.start()
    try:
        form = _form_at(address, engine, info)
    except BaseException:
        await engine.close()
        raise
    if address.context and not info.context:
        info = replace(info, context=address.context)
    counter = None
    if form is not None and info.speaks is Speaks.IDS:
        counter = partial(_counter_at, engine, form)
    return Spine(engine, info, form, raw=raw, counter=counter, reads=reads)


def _form_at(address: Address, engine: Engine, info: EngineInfo) -> Writer | None:
    if info.speaks is Speaks.MESSAGES:
        if address.format:
            raise InputError(
                f"{address.shown} takes messages and writes prompts itself, so that the format {address.format!r} has no use; "
                "leave it out"
            )
        return None
    if address.format:
        return format_of(address.format)
    template = getattr(innermost(engine), "template", None)
    if template is None:
        return None
    try:
        return formats.of_template(template.text, template.bos, template.eos, control=info.control, today=today())
    except InputError:  # one that only the server itself can make sense of: it takes messages, too
        return None


def _counter_at(engine: Engine, form: Writer) -> PromptCounter:
    vocabulary: Callable[[], Tokenizer] = getattr(innermost(engine), "vocabulary")  # noqa: B009  # of those that take ids
    return PromptCounter(form, Cached(vocabulary()))


def _scripted(wanted: Settings) -> Engine:
    from puna.engines.scripted import Scripted  # noqa: PLC0415  # each engine is imported where it is chosen

    context = wanted.context or DEFAULT_CONTEXT
    return Scripted(context=context, slots=wanted.slots, queue=wanted.queue)


def _llamacpp(wanted: Settings, model: Model, tell: Callable[[str], None]) -> Engine:
    from puna.engines.llamacpp import LlamaCpp, LlamaCppSettings  # noqa: PLC0415

    # Community models ship turn tokens of this type. Other user-defined tokens, such as runs of spaces, are ordinary text.
    matched = {text: number for text, number in model.facts.user_defined.items() if is_turn_token(text)}
    plan = plan_of(wanted, model)
    chosen = LlamaCppSettings(
        path=model.path,
        name=model.name,
        context=plan.context,
        slots=plan.slots,
        threads=plan.threads,
        batch_threads=plan.batch_threads,
        log=log_file(wanted.home),
        control={**model.facts.control, **matched},
        matched=frozenset(matched),
        bos=model.facts.bos if model.facts.add_bos else None,
        queue=wanted.queue,
        cache_reuse=wanted.cache_reuse,
        prompt_cache=wanted.prompt_cache,
        flash_attention=wanted.flash_attention,
        cache_type=wanted.cache_type,
        gpu_layers=wanted.gpu_layers,
    )
    return LlamaCpp(chosen, tell=tell)


TEMPLATE = "jinja:"
"""What precedes the file's path in the name of a format that a template file defines."""


def format_of(
    name: str, on: date | None = None, *, bos_token: str | None = None, eos_token: str | None = None
) -> Writer:
    """The format of that name: one of the catalogue, or ``jinja:FILE``.

    FILE: a template; a ``tokenizer_config.json``, or a GGUF file, that holds one. on: the date that prompts tell, where
    they tell one; by default the true one where the family's own template asks the clock, else the family's fixed one.
    bos_token, eos_token: for a template alone, which does not bring them.

    Raises:
        InputError: no such format, no such file, or no template in it.
    """
    if not name.startswith(TEMPLATE):
        return formats.get(name, on or (today() if formats.tells_todays_date(name) else None))
    found = template_in(Path(name.removeprefix(TEMPLATE)))
    return Jinja(
        found.text,
        bos_token or found.bos,
        eos_token or found.eos,
        today=on or today(),
        date_string=spoken(on) if on else None,
    )


def _format(wanted: Settings, model: Model) -> Writer:
    """What the user says, else the file's own template, else what the catalogue says."""
    facts = model.facts
    if wanted.format:
        return format_of(wanted.format)
    if facts.chat_template:
        return formats.of_template(facts.chat_template, facts.bos, facts.eos, control=facts.control, today=today())
    if model.format:
        return format_of(model.format)
    raise InputError(
        f"{model.name} brings no chat template, so puna cannot know its prompt format; name it with "
        f"--format (known: {', '.join(sorted(formats.FORMATS))})"
    )


def _context(wanted: Settings, facts: Gguf) -> int:
    trained = facts.context_length or DEFAULT_CONTEXT
    if wanted.context and wanted.context > trained:
        raise InputError(
            f"--context must be at most {trained}, the window that {wanted.model} was trained with, "
            f"not {wanted.context}"
        )
    return wanted.context or min(DEFAULT_CONTEXT, trained)


def today() -> date:
    """The date that a model's own template may ask for."""
    return datetime.now().astimezone().date()
