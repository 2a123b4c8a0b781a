"""Which files are read, and what is said of the others."""

import os

import pytest

from puna.errors import InputError
from puna.retrieval.folder import MAX_FILE, OTHER_KIND, Skipped, look, named, read, text_of


def shown(files):
    return [file.shown for file in files]


def reasons(skipped):
    return {entry.path: entry.why for entry in skipped}


def test_a_folder_gives_its_texts_in_the_order_of_their_names_and_says_what_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "docs/b.md",
        "docs/A.TXT",
        "docs/sub/c.html",
        "docs/code.py",
        "docs/.git/config.txt",
        "docs/.hidden.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    files, skipped = look(named(["docs/"]))
    assert [(file.shown, file.kind) for file in files] == [
        ("docs/A.TXT", "text"),
        ("docs/b.md", "markdown"),
        ("docs/sub/c.html", "html"),
    ]
    assert reasons(skipped) == {"docs/.git": "hidden", "docs/.hidden.md": "hidden", "docs/code.py": OTHER_KIND}


def test_a_file_that_is_named_is_read_whatever_its_name_ends_in(tmp_path):
    (tmp_path / "LICENSE").write_text("free", encoding="utf-8")
    (file,), _ = look(named([tmp_path / "LICENSE"]))
    assert file.kind == "text"
    assert file.shown == str(tmp_path / "LICENSE")


def test_paths_below_the_current_folder_are_told_as_they_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.md").write_text("x", encoding="utf-8")
    assert shown(look(named(["."]))[0]) == ["a.md"]
    assert shown(look(named([tmp_path]))[0]) == [str(tmp_path / "a.md")]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("x", encoding="utf-8")
    files, _ = look(named([tmp_path, tmp_path / "sub", tmp_path / "sub" / "a.md", str(tmp_path)]))
    assert len(files) == 1


def test_links_inside_a_folder_are_told_and_never_followed(tmp_path):
    docs, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    docs.mkdir()
    elsewhere.mkdir()
    (elsewhere / "secret.txt").write_text("not yours", encoding="utf-8")
    (docs / "a.md").write_text("x", encoding="utf-8")
    (docs / "circle").symlink_to(docs)
    (docs / "out").symlink_to(elsewhere)
    (docs / "b.md").symlink_to(elsewhere / "secret.txt")
    (docs / "broken.md").symlink_to(docs / "gone")
    files, skipped = look(named([docs]))
    assert shown(files) == [str(docs / "a.md")]
    assert set(reasons(skipped).values()) == {"a link; name what it leads to"}
    assert len(skipped) == 4


def test_a_link_that_is_named_itself_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.md").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert shown(look(named([tmp_path / "link"]))[0]) == [str(tmp_path / "link" / "a.md")]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    assert reasons(look(named([tmp_path]))[1]) == {str(tmp_path / "pipe.txt"): "no plain file"}


def test_a_file_that_has_become_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x", encoding="utf-8")
    (file,), _ = look(named([tmp_path]))
    path.unlink()
    os.mkfifo(path)
    assert read(file) == Skipped(str(path), "no plain file")


def test_a_file_that_is_gone_by_now_is_told(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x", encoding="utf-8")
    (file,), _ = look(named([tmp_path]))
    path.unlink()
    found = read(file)
    assert isinstance(found, Skipped)
    assert "No such file" in found.why


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbfwith a mark", "with a mark"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (b"", ""),
        ("caf\u00e9".encode("latin-1"), "not UTF-8"),
        ("caf\u00e9".encode("utf-16"), "caf\u00e9"),
        (b"\xfe\xff" + "caf\u00e9".encode("utf-16-be"), "caf\u00e9"),
        ("caf\u00e9".encode("utf-32"), "caf\u00e9"),
        (b"\xff\xfea", "not the UTF-16 that it begins as"),
        ("text".encode("utf-16-le"), "binary, not text"),
        (b"<meta charset=latin1>caf\xe9", "not UTF-8"),  # in a text, that declares nothing
        (b"\x7fELF\0\0", "binary, not text"),
    ],
)
def test_what_bytes_say(tmp_path, data, said):
    (tmp_path / "a.txt").write_bytes(data)
    (file,), _ = look(named([tmp_path]))
    text = text_of(file, data)
    assert (text.why if isinstance(text, Skipped) else text) == said


@pytest.mark.parametrize(
    ("head", "encoding", "said"),
    [
        ('<meta charset="iso-8859-1">', "cp1252", True),  # as browsers take it
        ("<META http-equiv=Content-Type content='text/html; charset=Windows-1251'>", "cp1251", True),
        ("<?xml version='1.0' encoding='Shift_JIS'?>", "shift_jis", True),
        ("<meta charset=utf-8>", "cp1252", False),
        ("<meta charset=punycode>", "cp1252", True),
        ("<meta charset=zip>", "cp1252", False),
        ("<meta charset=no-such-thing>", "cp1252", False),
        (" " * 1024 + "<meta charset=cp1252>", "cp1252", False),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_declares(tmp_path, head, encoding, said):
    words = {"cp1252": "na\u00efve \u2019", "cp1251": "\u043b\u0430\u043c\u0430", "shift_jis": "\u7f8a"}[encoding]
    (tmp_path / "a.html").write_bytes(f"{head}{words}".encode(encoding))
    (file,), _ = look(named([tmp_path]))
    found = read(file)
    assert not isinstance(found, Skipped)
    assert text_of(file, found[0]) == (f"{head}{words}" if said else Skipped(file.shown, "not UTF-8"))


def test_a_file_that_is_too_large_is_told_before_it_is_read(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    assert reasons(look(named([tmp_path]))[1]) == {str(tmp_path / "a.txt"): "larger than 8 MiB"}


def test_a_name_that_is_no_utf8_is_told_in_escapes(tmp_path):
    with open(os.fsencode(tmp_path) + b"/b\xffd.txt", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    (found,), _ = look(named([tmp_path]))
    assert found.shown.endswith("b\\xffd.txt")
    assert read(found) == (b"x", found.stamp)


@pytest.mark.parametrize(
    ("paths", "part"),
    [([], "none was named"), (["no/such"], "no/such: No such file"), (["a\0b"], "null"), ([""], "the path is empty")],
)
def test_what_is_not_there_is_refused_with_its_name(paths, part):
    with pytest.raises(InputError, match=part):
        named(paths)
