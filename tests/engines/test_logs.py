"""Logs of engines are kept, but not for ever."""

import pytest

from puna.engines import logs
from puna.errors import InputError


def test_the_newest_are_kept(tmp_path):
    for n in range(15):
        logs.log_file(tmp_path).with_name(f"engine-{n}.log").touch()
    newest = logs.log_file(tmp_path)
    assert newest.exists()
    assert logs.KEPT - 1 <= len(list((tmp_path / "logs").iterdir())) <= logs.KEPT


def test_a_home_that_cannot_be_written_to_is_a_sentence(tmp_path):
    home = tmp_path / "file"
    home.touch()
    with pytest.raises(InputError, match=r"cannot write in .*logs: Not a directory; name a folder .* in PUNA_HOME"):
        logs.log_file(home)
