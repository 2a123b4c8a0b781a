"""Targets: what is found, how large a window they get, how a cell is asked there."""

import asyncio
import hashlib
import os
from dataclasses import replace

import pytest

from puna.chat import Spine
from puna.engines.scripted import Scripted
from puna.errors import ContextWindowError, InputError
from puna.experiments.lengths import asked, lengths, window
from puna.experiments.plan import Record, Target, Trial
from puna.experiments.targets import Opened, checksum, find, opened
from puna.messages import Dialog, Message, Role
from puna.models.catalog import CATALOG
from tests.experiments.asking import HERE, cell

HI = Dialog().append(Role.USER, "Hi")


def on(target, work, formats=("auto",), jobs=2, context=256):
    async def scenario():
        async with opened(find(target, jobs).with_context(context), formats, jobs) as here:
            return await work(here)

    return asyncio.run(scenario())


def settings(target, jobs, context=256):
    found = find(target, jobs).with_context(context).settings
    assert found is not None
    return found


def test_an_embedded_target_has_as_many_slots_as_jobs_and_one_thread():
    found = settings(HERE, 3)
    assert (found.slots, found.threads) == (3, 1)
    own = settings(replace(HERE, settings={"engine": "scripted", "slots": 2, "threads": 4}), 3)
    assert (own.slots, own.threads) == (2, 4)


def test_jobs_are_no_more_than_slots():
    async def jobs(here):
        return here.jobs

    assert on(replace(HERE, settings={"engine": "scripted", "slots": 2}), jobs, jobs=8) == 2


@pytest.mark.parametrize(("tokens", "context"), [(1, 256), (256, 256), (257, 512), (5000, 5120)])
def test_the_window_is_what_the_plan_needs_rounded_up(tokens, context):
    assert settings(HERE, 1, tokens).context == context


def test_a_window_of_its_own_is_kept():
    own = replace(HERE, settings={"engine": "scripted", "context": 1000})
    assert settings(own, 1, 9000).context == 1000


def test_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match=r"the target 'x': unknown setting 'modle'. Did you mean 'model'"):
        find(Target("x", settings={"modle": "y"}), 1)


def test_a_server_without_an_address_is_refused():
    with pytest.raises(InputError, match="needs a url"):
        find(Target("x", "openai"), 1)


def test_the_window_holds_the_largest_prompt_and_its_answer():
    cells = [cell(0, "a b c", max_tokens=100), cell(1, "a " * 50, max_tokens=10)]
    counted = lengths(find(HERE, 1), cells)
    sizes = [counted[asked(each)] or 0 for each in cells]
    assert sizes[1] > 50 > sizes[0] > 0
    assert window(find(HERE, 1), cells) == max(sizes[0] + 100, sizes[1] + 10)


def test_prompts_are_counted_in_the_format_that_a_cell_names():
    cells = [cell(0, form="auto"), cell(1, form="llama2"), cell(2, ask="Hello there", form="auto"),
             replace(cell(3, ask="[INST] Hi [/INST]"), raw=True), cell(4, ask="[INST] Hi [/INST]")]  # fmt: skip

    async def ids(here):
        return [len((await here.spine_of(each).encoded(here.ask(Trial(each, 0, 1), Record()))).ids) for each in cells]

    counted = lengths(find(HERE, 1), cells)
    assert [counted[asked(each)] for each in cells] == on(HERE, ids, formats={"auto", "llama2"})


def test_a_dialog_that_a_format_refuses_has_no_length():
    twice = Dialog((Message(Role.USER, "a"), Message(Role.USER, "b")))
    cells = [cell(0, ask=twice, form="llama2"), cell(1)]
    found = find(HERE, 1)
    assert lengths(found, cells)[asked(cells[0])] is None
    assert window(found, cells) > 20


def test_an_unknown_format_is_refused():
    async def never(here):
        raise AssertionError

    with pytest.raises(InputError, match="Did you mean 'llama2'"):
        on(HERE, never, formats={"lama2"})


def test_a_trial_is_asked_with_its_seed_and_what_is_recorded():
    async def ask(here):
        return here.ask(Trial(cell(0, temperature=0.5), 1, 77), Record(logprobs=3))

    found = on(HERE, ask)
    assert (found.sampling.seed, found.sampling.temperature, found.extras.logprobs) == (77, 0.5, 3)
    assert found.given == {"max_tokens", "temperature", "seed"}


def remote(api, form):
    here = Opened(find(Target("x", api, url="http://127.0.0.1:9"), 1), Spine(Scripted(), Scripted().info, None), {}, 1)
    return here.ask(Trial(cell(0, "Hi", form=form), 0, 1), Record(logprobs=3))


@pytest.mark.parametrize("api", ["openai", "sagemaker"])
def test_a_remote_target_gets_messages_or_a_text_in_the_format_that_is_named(api):
    assert remote(api, "auto").prompt == HI
    assert (remote(api, "llama2").prompt, remote(api, "llama2").raw) == ("<s>[INST] Hi [/INST]", True)


def test_the_sagemaker_api_has_no_words_for_log_probabilities():
    assert remote("sagemaker", "auto").extras.logprobs is None
    assert remote("openai", "auto").extras.logprobs == 3


def test_a_prompt_too_large_is_refused_by_the_window():
    async def prepare(here):
        return await here.spine.prepare(here.ask(Trial(cell(0, max_tokens=5000), 0, 1), Record()))

    with pytest.raises(ContextWindowError):
        on(HERE, prepare)


def test_a_checksum_is_kept_until_the_file_changes(tmp_path, monkeypatch):
    path, home = tmp_path / "m.gguf", tmp_path / "home"
    path.write_bytes(b"one")
    one = hashlib.sha256(b"one").hexdigest()
    assert checksum(path, home) == one
    monkeypatch.setattr("puna.experiments.targets.sha256_of", lambda *_: "read again")
    assert checksum(path, home) == one
    os.utime(path, ns=(1, 1))
    assert checksum(path, home) == "read again"


def test_a_damaged_or_unwritable_list_of_checksums_costs_only_time(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    (tmp_path / "checksums.json").write_text("{")
    assert checksum(path, tmp_path) == hashlib.sha256(b"one").hexdigest()
    assert checksum(path, path / "no folder") == hashlib.sha256(b"one").hexdigest()


@pytest.mark.model
def test_the_models_own_lengths_are_the_engines(model_home):
    cells = [
        cell(0, "Grüße, ein Lama! 🦙"),
        cell(1, "Hi", form="llama2"),
        cell(2, ask="<|im_start|>user\nHi<|im_end|>\n"),
    ]
    found = find(Target("here"), 1)
    assert found.model_sha256 == CATALOG["smollm2-135m"].sha256

    async def ids(here):
        return [len((await here.spine_of(each).encoded(here.ask(Trial(each, 0, 1), Record()))).ids) for each in cells]

    counted = lengths(found, cells)
    assert [counted[asked(each)] for each in cells] == on(Target("here"), ids, formats={"auto", "llama2"}, jobs=1)
