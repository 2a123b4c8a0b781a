"""Which file is the model of a folder, as SageMaker unpacks one."""

import os

import pytest

from puna.errors import ModelFileError
from puna.models.folder import model_in


def laid(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["a.gguf"],
        ["A.GGUF"],
        ["a.gguf", "LICENSE", "._a.gguf", ".cache/b.gguf"],
        ["a.gguf", "code/b.gguf"],
        ["export/a.gguf", "export/config.json"],
    ],
    ids=" ".join,
)
def test_the_one_model_is_found(tmp_path, names):
    assert model_in(laid(tmp_path, *names)).name.lower() == "a.gguf"


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ([], ["no .gguf file in", "it is empty", "PUNA_MODEL"]),
        (["model.safetensors"], ["no .gguf file in", "it holds model.safetensors;"]),
        ([f"{n}.txt" for n in range(5)], ["0.txt, 1.txt, 2.txt and 2 more"]),
        (["deep/deeper/a.gguf"], ["no .gguf file in", "it holds deep"]),
        (["a.gguf", "b.gguf"], ["must be one model", "there are 2: a.gguf, b.gguf", "--model"]),
        (["x/a.gguf", "y/a.gguf"], ["must be one model", "there are 2"]),
        (
            ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"],
            ["split into 2 parts", "llama-gguf-split --merge"],
        ),
        (["m-00001-of-00002.gguf", "n.gguf"], ["must be one model"]),
    ],
)
def test_anything_else_is_a_sentence(tmp_path, names, parts):
    with pytest.raises(ModelFileError) as caught:
        model_in(laid(tmp_path, *names))
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_link_to_nowhere_is_no_model(tmp_path):
    (tmp_path / "a.gguf").symlink_to(tmp_path / "gone")
    with pytest.raises(ModelFileError, match="it holds a.gguf"):
        model_in(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path):
    tmp_path.chmod(0)
    try:
        with pytest.raises(ModelFileError, match="Permission denied"):
            model_in(tmp_path)
    finally:
        tmp_path.chmod(0o700)
