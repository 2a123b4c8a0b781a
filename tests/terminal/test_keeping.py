"""Sessions of the chat on disk: made whole after a crash, shared with the playground, never overwritten."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.dialog.history import History
from puna.errors import InputError
from puna.messages import Role
from puna.sessions.session import check
from puna.sessions.store import Sessions
from puna.terminal import journal
from puna.terminal.journal import Journal
from puna.terminal.keeping import CUT, Keeper, id_of, read_file, write_file
from puna.terminal.lines import Joining, goes_on, unquoted
from puna.terminal.talk import Talk, of_session


@pytest.fixture
def keeper(tmp_path):
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.close()


def asked(keeper, name="s", question="why?"):
    """A conversation whose newest question is about to be answered."""
    talk = keeper.open(name)
    talk.history = talk.history.append(Role.USER, question)
    keeper.save(talk)
    keeper.begin(talk)
    return talk


def test_what_a_killed_process_has_left_is_in_the_conversation(tmp_path, keeper):
    asked(keeper)
    for piece in ("be", "cause\n", "\u2028é"):
        keeper.add(piece)
    keeper.close()  # as a process that ends closes it: the journal stays
    again = Keeper(tmp_path)
    talk = again.open("s")
    assert [m.content for m in talk.history.path] == ["why?", "because\n\u2028é"]
    assert talk.facts[1]["finish"] == "broken"
    assert talk.facts[1]["error"] == {"message": CUT}
    assert "cut off" in again.told[0]
    assert not (tmp_path / "s.journal").exists()
    assert Sessions(tmp_path).get("s")["nodes"][1]["content"] == "because\n\u2028é"


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.data())
def test_a_journal_that_ends_anywhere_has_every_whole_piece(tmp_path_factory, pieces, data):
    path = tmp_path_factory.mktemp("j") / "s.journal"
    written = Journal(path)
    written.begin(0, 1, "why?", {})
    sizes = []
    for piece in pieces:
        written.add(piece.encode("utf-8", "replace").decode())
        sizes.append(path.stat().st_size)
    written.close()
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at])
    expected = "".join(p.encode("utf-8", "replace").decode() for p, end in zip(pieces, sizes, strict=True) if end <= at)
    found = journal.read(path)
    assert (found.text if found else "") == expected


def test_a_crash_between_saving_and_the_journals_end_adds_nothing(tmp_path, keeper):
    talk = asked(keeper)
    keeper.add("because")
    talk.answered("because", {})
    keeper.save(talk)
    keeper.close()
    again = Keeper(tmp_path)
    assert [m.content for m in again.open("s").history.path] == ["why?", "because"]
    assert again.told == []


def test_what_was_left_comes_under_its_question_though_the_page_has_gone_on(tmp_path, keeper):
    asked(keeper)
    keeper.add("because")
    keeper.close()
    store = Sessions(tmp_path)
    other = of_session(store.get("s"))
    other.history = other.history.append(Role.ASSISTANT, "from the page").append(Role.USER, "and?")
    store.put("s", other.as_session())
    talk = Keeper(tmp_path).open("s")
    assert [m.content for m in talk.history.path] == ["why?", "because"]
    assert [n.message.content for n in talk.history.nodes] == ["why?", "from the page", "and?", "because"]


def test_a_journal_that_is_none_is_put_aside_and_told(tmp_path, keeper):
    asked(keeper)
    keeper.close()
    (tmp_path / "s.journal").write_text('{"journal": 99}\n')
    again = Keeper(tmp_path)
    again.open("s")
    assert "s.journal.damaged" in again.told[0]
    assert (tmp_path / "s.journal.damaged").exists()


def test_a_session_is_open_once(tmp_path, keeper):
    keeper.open("s")
    with pytest.raises(InputError, match="open in another terminal"):
        Keeper(tmp_path).open("S")
    keeper.close()
    Keeper(tmp_path).open("s")


def test_a_session_of_the_page_keeps_what_only_the_page_has(tmp_path, keeper):
    page: dict = {
        "v": 1, "id": "llamas-7f3a", "revision": 0, "title": "Llamas", "params": {"temperature": 0.8}, "system": "Be kind.", "context": "Llamas hum.",
        "examples": [{"question": "q", "answer": "a"}], "only": True, "policy": "oldest", "raw": "r", "draft": "d", "mode": "compare", "leaf": 0,
        "nodes": [{"id": 0, "parent": None, "role": "user", "content": "Hi", "finish": "stop"}],
    }  # fmt: skip
    store = Sessions(tmp_path)
    store.put("llamas-7f3a", page)
    talk = keeper.open("llamas-7f3a")
    assert [m.role for m in talk.dialog()] == ["system", "user", "assistant", "user"]
    assert "Llamas hum." in talk.dialog()[0].content
    assert talk.ask().pinned == (1, 2)
    talk.answered("Hello", {"finish": "stop", "seed": 3})
    keeper.save(talk)
    kept = store.get("llamas-7f3a")
    assert {name: kept[name] for name in page if name not in {"nodes", "leaf", "revision"}} == {
        name: page[name] for name in page if name not in {"nodes", "leaf", "revision"}
    }
    assert kept["nodes"][0] == page["nodes"][0]
    assert kept["nodes"][1] == {
        "id": 1,
        "parent": 0,
        "role": "assistant",
        "content": "Hello",
        "finish": "stop",
        "seed": 3,
    }


@pytest.mark.parametrize("name", ["s", "My.Chat"])
def test_a_session_of_an_older_release_is_read_and_kept_in_todays_form(tmp_path, keeper, name):
    messages = [{"role": r, "content": c} for r, c in (("system", "Be kind."), ("user", "one"), ("assistant", "two"))]
    (tmp_path / f"{name}.json").write_text(json.dumps({"messages": messages}))
    talk = keeper.open(name)
    assert (talk.system, [m.content for m in talk.history.path]) == ("Be kind.", ["one", "two"])
    kept = Sessions(tmp_path).get(id_of(name))
    assert kept["title"] == name
    assert [node["content"] for node in kept["nodes"]] == ["one", "two"]


def test_a_damaged_session_is_refused_and_stays(tmp_path, keeper):
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(InputError, match=r"s\.json"):
        keeper.open("s")
    assert (tmp_path / "s.json").read_text() == "{"
    keeper.open("t")  # and its lock is free


def test_files_are_for_their_owner(tmp_path, keeper):
    asked(keeper)
    keeper.add("x")
    for file in ("s.json", "s.journal"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "é"])
def test_a_name_that_is_no_files_name_is_refused(keeper, name):
    with pytest.raises(InputError, match="a session's name"):
        keeper.open(name)


def test_a_conversation_in_a_file_is_read_again(tmp_path):
    talk = Talk(system="Be kind.", history=History().append("user", "a").append("assistant", "b"), params={"top_k": 3})
    write_file(tmp_path / "f.json", json.dumps(talk.as_session()))
    assert read_file(tmp_path / "f.json").as_session() == check(talk.as_session())
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(InputError, match="holds no conversation"):
        read_file(tmp_path / "none.json")


def test_undo_goes_back_over_whole_turns_and_then_has_nothing():
    talk = Talk(history=History().append("user", "a").append("assistant", "b"))
    talk.mark()
    talk.history = talk.history.append("user", "c")
    talk.answered("d", {})
    talk.undo()
    assert [m.content for m in talk.history.path] == ["a", "b"]
    talk.undo()  # of what was read, by its last question
    assert talk.history.head is None
    with pytest.raises(InputError, match="nothing to undo"):
        talk.undo()


def joined(*lines):
    joining = Joining()
    found = [message for line in lines if (message := joining.feed(line)) is not None]
    return [*found, *filter(None, [joining.end()])]


def test_lines_that_go_on():
    assert joined("a", "b\\", "c", '"""d', "", 'e"""', "f") == ["a", "b\nc", '"""d\n\ne"""', "f"]
    assert joined('"""never closed', "x") == ['"""never closed\nx\n']
    assert unquoted('"""\nd\ne\n"""') == "d\ne"
    assert unquoted('say """x""" twice') == 'say """x""" twice'
    assert goes_on('"""')
    assert not goes_on('a """b')
