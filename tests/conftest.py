"""Every test has a home of its own; the default model is fetched once, into the user's own cache."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from puna import config
from puna.models.catalog import DEFAULT, Entry, resolve
from puna.models.pull import pull
from puna.models.store import find, folder
from tests.server.live import Live

USER_HOME = config.home()

# A shell without job control ignores SIGINT in background jobs, and processes inherit that: tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere, however long each takes on a busy machine; a longer search is a developer's to make.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """PUNA_HOME is empty and no setting of the user's environment counts."""
    for name in list(os.environ):
        if name.startswith(("PUNA_", "AWS_", "BOTOCORE_")) and name != "PUNA_ORACLES":
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PUNA_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def _live() -> Iterator[Live]:
    live = Live()
    yield live
    live.close()


@pytest.fixture
def live(_live: Live) -> Live:
    """One server for all tests; each gets it as new."""
    _live.reset()
    return _live


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The default model's file, pulled when it is missing."""
    entry = resolve(DEFAULT)
    assert isinstance(entry, Entry)
    found: Path = find(entry, USER_HOME) or pull(entry, USER_HOME, lambda _: None)
    return found


@pytest.fixture
def model_home(own_home, model_file):
    """A home of the test's own in which the default model has been pulled."""
    folder(own_home).mkdir()
    (folder(own_home) / model_file.name).symlink_to(model_file)
    return own_home
