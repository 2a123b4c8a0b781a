"""Pulls from a hub-shaped server on loopback: whole, resumed, refused, damaged, unreachable."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.errors import EndpointError, InputError, ModelFileError
from puna.models import store
from puna.models.catalog import Entry, resolve
from puna.models.pull import pull
from puna.models.transfer import Phase, Progress
from tests.models.gguf_writer import gguf_bytes
from tests.models.hub_server import COMMIT, REPO, FakeHub, running

FILE = "tiny-q8_0.gguf"
CONTENT = gguf_bytes({"general.description": "x" * 300_000})
NAME = f"hf:{REPO}:{FILE}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with running(FakeHub({FILE: CONTENT})) as server:
        yield server


def entry_of(name: str) -> Entry:
    entry = resolve(name)
    assert isinstance(entry, Entry)
    return entry


def pulled(hub: FakeHub, home: Path, name: str = NAME) -> tuple[Path, list[Progress]]:
    steps: list[Progress] = []
    return pull(entry_of(name), home, steps.append, endpoint=hub.url), steps


def refusal(hub: FakeHub, home: Path, name: str = NAME) -> str:
    with pytest.raises((ModelFileError, EndpointError)) as caught:
        pulled(hub, home, name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert store.find(entry_of(name), home) is None
    return sentence


def test_a_whole_file(hub: FakeHub, tmp_path: Path) -> None:
    path, steps = pulled(hub, tmp_path)
    assert path == tmp_path / "models" / "hub" / "owner" / "Tiny-GGUF" / FILE
    assert path.read_bytes() == CONTENT
    assert not store.work_of(path).exists()
    assert [step.phase for step in steps][-1] == Phase.DONE
    fetched = [step for step in steps if step.phase == Phase.FETCHING]
    assert (fetched[0].done, fetched[-1].done) == (0, len(CONTENT))
    assert {step.total for step in fetched} == {len(CONTENT)}


def test_the_bytes_are_those_of_the_commit_that_was_looked_up(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    assert [path for method, path, _ in hub.seen if method == "GET"] == [f"/{REPO}/resolve/{COMMIT}/{FILE}"]


def test_the_token_of_the_library_is_sent(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    assert hub.tokens == {"Bearer hf_secret"}


def test_a_file_that_is_here_needs_no_hub(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    hub.seen.clear()
    for name in (NAME, f"hf:{REPO}"):
        path, steps = pulled(hub, tmp_path, name)
        assert path.read_bytes() == CONTENT
        assert [step.phase for step in steps] == [Phase.PRESENT]
    assert hub.seen == []


def test_a_damaged_file_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    path, _ = pulled(hub, tmp_path)
    path.write_bytes(CONTENT[:-50])
    path, _ = pulled(hub, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_second_pull_goes_on_where_the_first_was_interrupted(hub: FakeHub, tmp_path: Path) -> None:
    def interrupt(step: Progress) -> None:
        if step.phase == Phase.FETCHING and step.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry_of(NAME), tmp_path, interrupt, endpoint=hub.url)
    (part,) = store.work_of(store.path_of(entry_of(NAME), tmp_path)).iterdir()
    have = part.stat().st_size
    assert 0 < have < len(CONTENT)
    path, steps = pulled(hub, tmp_path)
    assert path.read_bytes() == CONTENT
    assert hub.ranges() == [None, f"bytes={have}-"]
    assert next(step.done for step in steps if step.phase == Phase.FETCHING) == have


def test_a_cut_connection_is_taken_up_within_the_pull(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_at = 200_000
    path, _ = pulled(hub, tmp_path)
    assert path.read_bytes() == CONTENT
    assert hub.ranges() == [None, "bytes=200000-"]


def test_a_connection_that_brings_nothing_ends_the_pull_and_keeps_what_came(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_at = 200_000

    def then_silence(step: Progress) -> None:
        if step.phase == Phase.FETCHING and step.done >= 200_000:
            hub.cut_at = 0

    with pytest.raises(EndpointError, match=r"broke after 200000 of \d+ bytes.*pull again to go on"):
        pull(entry_of(NAME), tmp_path, then_silence, endpoint=hub.url)
    hub.cut_at = None
    path, _ = pulled(hub, tmp_path)
    assert path.read_bytes() == CONTENT
    assert hub.ranges()[-1] == "bytes=200000-"


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub: FakeHub, tmp_path: Path) -> None:
    hub.ignores_ranges = True
    work = store.work_of(store.path_of(entry_of(NAME), tmp_path))
    work.mkdir(parents=True)
    (work / f"{hashlib.sha256(CONTENT).hexdigest()[:16]}.bin").write_bytes(b"half")
    path, _ = pulled(hub, tmp_path)
    assert path.read_bytes() == CONTENT


def test_what_is_left_of_another_commit_is_not_gone_on_from(hub: FakeHub, tmp_path: Path) -> None:
    work = store.work_of(store.path_of(entry_of(NAME), tmp_path))
    work.mkdir(parents=True)
    (work / "0000000000000000.bin").write_bytes(b"of an earlier commit")
    pulled(hub, tmp_path)
    assert hub.ranges() == [None]


def test_a_wrong_checksum_is_told_and_the_file_removed(hub: FakeHub, tmp_path: Path) -> None:
    hub.sha256 = "f" * 64
    sentence = refusal(hub, tmp_path)
    assert "f" * 64 in sentence
    assert hashlib.sha256(CONTENT).hexdigest() in sentence
    assert not store.work_of(store.path_of(entry_of(NAME), tmp_path)).exists()


def test_a_file_that_is_no_model_is_not_kept(hub: FakeHub, tmp_path: Path) -> None:
    hub.files[FILE] = b"<html>not a model</html>"
    assert "web page" in refusal(hub, tmp_path)


def test_a_renamed_repository_is_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.renamed_from = "owner/Old-GGUF"
    path, _ = pulled(hub, tmp_path, f"hf:owner/Old-GGUF:{FILE}")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("refuse", "words", "kind"),
    [
        ((403, "GatedRepo"), "accept its terms", ModelFileError),
        ((401, "GatedRepo"), "hf auth login", ModelFileError),
        ((401, "RepoNotFound"), "check its spelling", ModelFileError),
        ((404, ""), "check its spelling", ModelFileError),
        ((500, ""), "HTTP 500", EndpointError),
        ((429, ""), "HTTP 429", EndpointError),
    ],
)
def test_refusals_are_sentences(
    hub: FakeHub, tmp_path: Path, refuse: tuple[int, str], words: str, kind: type[Exception]
) -> None:
    hub.refuse = refuse
    assert words in refusal(hub, tmp_path)
    with pytest.raises(kind):
        pulled(hub, tmp_path, f"hf:{REPO}")


def test_an_unknown_file(hub: FakeHub, tmp_path: Path) -> None:
    assert f"{REPO} has no file other.gguf" in refusal(hub, tmp_path, f"hf:{REPO}:other.gguf")


def test_a_server_that_states_no_checksum(hub: FakeHub, tmp_path: Path) -> None:
    hub.states_checksums = False
    assert "cannot be verified" in refusal(hub, tmp_path)


def test_an_unreachable_hub(hub: FakeHub, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listening: refuses
        hub.url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        sentence = refusal(hub, tmp_path)
    assert f"cannot reach {hub.url}" in sentence
    assert "give the path of a GGUF file" in sentence


@pytest.mark.parametrize("url", ["no-address", "http://[half"])
def test_an_endpoint_that_is_no_address(hub: FakeHub, tmp_path: Path, url: str) -> None:
    hub.url = url
    assert "HF_ENDPOINT" in refusal(hub, tmp_path)


def test_offline_mode_is_obeyed(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refusal(hub, tmp_path)
    assert hub.seen == []


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["a.gguf"], "a.gguf"),
        (["a-Q8_0.gguf", "a-Q4_K_M.gguf"], "a-Q4_K_M.gguf"),
        (["a-Q8_0.gguf", "a-Q4_K_S.gguf"], None),
        (["a-q4_k_m.gguf", "b-q4_k_m.gguf"], None),
    ],
)
def test_a_repository_without_a_file(hub: FakeHub, tmp_path: Path, files: list[str], chosen: str | None) -> None:
    hub.files = dict.fromkeys(files, CONTENT)
    if chosen:
        path, _ = pulled(hub, tmp_path, f"hf:{REPO}")
        assert path.name == chosen
    else:
        sentence = refusal(hub, tmp_path, f"hf:{REPO}")
        assert all(file in sentence for file in files)
        assert "README" not in sentence


def test_a_repository_without_models(hub: FakeHub, tmp_path: Path) -> None:
    hub.files = {}
    assert "has no GGUF file" in refusal(hub, tmp_path, f"hf:{REPO}")


def test_a_hub_that_lists_a_file_outside_the_store(hub: FakeHub, tmp_path: Path) -> None:
    hub.files = {"../../../outside.gguf": CONTENT}
    with pytest.raises(InputError, match="must be hf:OWNER/REPO"):
        pulled(hub, tmp_path, f"hf:{REPO}")
    assert hub.ranges() == []
