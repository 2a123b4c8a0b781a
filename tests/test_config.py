from pathlib import Path

import pytest

from puna import config
from puna.errors import InputError, ModelFileError


def test_flags_come_before_the_environment_before_the_file_before_defaults(tmp_path):
    file = tmp_path / "puna.toml"
    file.write_text('port = 1\nslots = 2\nname = "from-file"\n')
    environ = {"PUNA_PORT": "3", "PUNA_SLOTS": "5"}
    wanted = config.settings({"port": 7, "slots": None}, environ, file)
    assert (wanted.port, wanted.slots, wanted.name, wanted.engine) == (7, 5, "from-file", "llamacpp")


@pytest.mark.parametrize(
    ("flags", "environ", "parts"),
    [
        ({"port": "x"}, {}, ["--port", "0 to 65535", "'x'"]),
        ({"port": 70000}, {}, ["--port", "70000"]),
        ({"slots": 0}, {}, ["--slots", "1 to 256"]),
        ({"context": 1}, {}, ["--context"]),
        ({"cache_reuse": 100_001}, {}, ["--cache-reuse", "0 to 100000"]),
        ({}, {"PUNA_PORT": "many"}, ["PUNA_PORT", "'many'"]),
        ({"engine": "vlm"}, {}, ["--engine", "llamacpp", "scripted"]),
        ({"prompts": ""}, {}, ["--prompts"]),
        ({"name": "bad name"}, {}, ["--name", "'bad name'"]),
        ({"name": "a" * 64}, {}, ["--name", "1 to 63"]),
    ],
)
def test_a_bad_value_is_refused_by_its_place(flags, environ, parts):
    with pytest.raises(InputError) as caught:
        config.settings(flags, environ)
    assert all(part in str(caught.value) for part in parts)


def test_the_port_of_a_sagemaker_container_counts_where_none_is_named(tmp_path):
    file = tmp_path / "puna.toml"
    file.write_text("port = 1\n")
    bound = {"SAGEMAKER_BIND_TO_PORT": "9001", "SAGEMAKER_SAFE_PORT_RANGE": "9000-9010", "SAGEMAKER_REGION": "x"}
    assert config.settings({}, bound).port == config.settings({}, bound, file).port == 9001
    assert config.settings({}, {**bound, "PUNA_PORT": "9002"}).port == 9002
    assert config.settings({"port": 9003}, {**bound, "PUNA_PORT": "9002"}).port == 9003
    assert config.settings({}, {"SAGEMAKER_BIND_TO_PORT": ""}).port == 8080
    with pytest.raises(InputError, match="SAGEMAKER_BIND_TO_PORT must be a whole number from 0 to 65535, not 'http'"):
        config.settings({}, {"SAGEMAKER_BIND_TO_PORT": "http"})


@pytest.mark.model
def test_the_model_may_be_the_one_of_a_folder(tmp_path, model_file):
    (tmp_path / "model.gguf").symlink_to(model_file)
    found = config.find_model(config.settings({"model": str(tmp_path)}))
    assert found is not None
    assert (found.name, found.path) == ("model", tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("port = [", "TOML"),
        ("prot = 1", "Did you mean 'port'"),
        ('port = "x"', "port in"),
        (b"\xff", "TOML"),
        ("port = 1" + "0" * 5000, "TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path, text, part):
    file = tmp_path / "puna.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        config.settings({}, {}, file)
    assert part in str(caught.value)
    assert "puna.toml" in str(caught.value)


def test_a_missing_file_is_refused():
    with pytest.raises(InputError, match="nowhere.toml"):
        config.settings({}, {}, Path("nowhere.toml"))


def test_puna_home_overrides_the_users_cache_folder(tmp_path):
    assert config.home({"PUNA_HOME": str(tmp_path)}) == tmp_path
    assert config.home({}).name == "puna"


@pytest.mark.model
def test_a_window_larger_than_the_models_is_refused(model_home):
    with pytest.raises(InputError, match="at most 8192"):
        config.find_model(config.settings({"context": 9000}))


@pytest.mark.model
def test_a_load_that_cannot_fit_is_refused_with_the_numbers(model_home):
    with pytest.raises(ModelFileError, match=r"GiB are free; what would fit: --slots \d+"):
        config.find_model(
            config.settings({"context": 8192, "slots": 256, "model": "smollm2-135m"}) if _small() else _huge()
        )


def _small() -> bool:
    import psutil

    # 256 slots of 8192 tokens are 45 GiB of KV cache.
    return bool(psutil.virtual_memory().available < 45 * 2**30)


def _huge():
    pytest.skip("this machine has memory for it")
