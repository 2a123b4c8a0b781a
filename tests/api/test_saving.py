"""A conversation and the one shape in which sessions are kept: by the playground, in the terminal, in a file."""

import copy
import json

import pytest
from hypothesis import assume, given

import puna
from puna.dialog.history import History
from puna.errors import EngineError, InputError
from puna.messages import dialog_of
from puna.playground.asking import asked
from puna.playground.bodies import talk_of
from puna.sessions.session import check
from puna.sessions.store import Sessions
from tests.playground.served import Served
from tests.sessions.saved import NODES, session, whole_sessions

from .talks import contents, gated, on, seen


def of(value, **arguments):
    return puna.Chat.from_json(value, engine="scripted", **arguments)


@given(whole_sessions())
def test_nothing_of_a_session_is_lost(value):
    before = copy.deepcopy(value)
    kept = of(value).as_json()
    if not value["title"] and not value["nodes"]:
        value["title"] = kept["title"]
    value["system"] = value["system"] if value["system"].strip() else ""
    value["params"] = {name: param for name, param in value["params"].items() if param is not None}
    assert kept == value
    assert before["nodes"] == kept["nodes"]


@given(whole_sessions())
def test_what_is_sent_is_what_the_playground_sends(value):
    assume("\\u0000" not in json.dumps(value))  # which the page may not send
    chat = of({**value, "policy": "none"})
    body = {name: value[name] for name in ("system", "context", "examples", "only")} | {"policy": "none"}
    whole = asked(talk_of({**body, "messages": [m.as_json() for m in chat.tree.path]}))
    assert chat.history == whole.dialog
    assert chat._chat._talk.pinned(chat.tree) == whole.ask().pinned


def test_a_conversation_goes_on_after_it_was_saved(tmp_path):
    file = tmp_path / "talk.json"
    with puna.Chat(engine="scripted", system="Be kind.", sampling={"max_tokens": 5, "stop": "x"}) as chat:
        chat.send("Where?\nThere?")
        chat.edit(1, "When?")
        chat.save(file)
    assert list(tmp_path.iterdir()) == [file]
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert check(copy.deepcopy(kept)) == kept
    assert (kept["title"], kept["params"], kept["leaf"]) == ("Where?", {"max_tokens": 5, "stop": ["x"]}, 3)
    with puna.Chat.load(file, engine="scripted") as again:
        assert contents(again) == ["Be kind.", "When?", "You said: When?"]
        assert again.versions(1) == ("Where?\nThere?", "When?")
        assert dict(again.sampling) == {"max_tokens": 5, "stop": ("x",)}
        again.send("And?")
        again.save(file)
    assert json.loads(file.read_text(encoding="utf-8"))["id"] == kept["id"]


def test_an_answer_is_saved_with_what_is_known_of_it():
    with puna.Chat(engine="scripted") as chat:
        chat.stream("a", logprobs=0, seed=7, max_tokens=2).wait()
        _, node = chat.as_json()["nodes"]
    assert node["finish"] == "length"
    assert node["seed"] == node["params"]["seed"] == 7
    assert node["usage"]["output"] == 2
    assert [text for _, text, _ in node["tokens"]] == ["You", " said:"]


def test_an_answer_that_was_stopped_or_broke_off_is_saved_as_such():
    chat, gate, _ = gated()
    with chat:
        stream = chat.stream("a").start()
        gate.let(1)
        seen(stream, 1)
        stream.stop()
        assert chat.as_json()["nodes"][1]["finish"] == "stopped"
    from puna.engines.scripted import Scripted

    with on(Scripted(fail_after=1)) as other:
        with pytest.raises(EngineError):
            other.send("a b")
        broken = other.as_json()["nodes"][1]
    assert (broken["finish"], "fails after 1" in broken["error"]) == ("broken", True)


def test_arguments_stand_before_what_the_file_says():
    value = session(system="old", params={"temperature": 0.5, "seed": 7}, policy="none")
    chat = of(value, system="new", sampling={"seed": 8}, policy="watermark")
    assert (chat.system, dict(chat.sampling)) == ("new", {"temperature": 0.5, "seed": 8})
    assert chat.as_json()["policy"] == "watermark"
    assert of(value).as_json()["policy"] == "none"
    with pytest.raises(InputError, match="has its messages already"):
        of(value, history=[])


def test_facts_stay_with_their_nodes_when_the_tree_is_set():
    chat = of(session(nodes=copy.deepcopy(NODES), leaf=2))
    tree = chat.tree
    chat.tree = tree.append("assistant", "Auch dort.")
    assert chat.as_json()["nodes"][:4] == NODES
    chat.tree = History().append("user", "Wo lebt das Lama?").append("assistant", "Anderswo")
    assert "tokens" not in chat.as_json()["nodes"][1]


def test_a_tree_with_a_later_system_message_cannot_be_saved(tmp_path):
    history = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    chat = puna.Chat(engine="scripted", history=history)
    with pytest.raises(InputError, match="one system message, before the others"):
        chat.save(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("", "does not hold a session"),
        ("{", "does not hold a session"),
        ("[]", "a session must be an object"),
        ('{"messages": []}', "unknown name 'messages'"),
        ('{"v": 1, "v": 1}', "does not hold a session"),
    ],
)
def test_a_file_that_holds_no_session_is_refused(tmp_path, text, sentence):
    file = tmp_path / "talk.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        puna.Chat.load(file, engine="scripted")


def test_a_file_that_cannot_be_written_is_told_and_the_old_one_stays(tmp_path):
    chat = puna.Chat(engine="scripted")
    with pytest.raises(InputError, match="cannot be saved to"):
        chat.save(tmp_path / "missing" / "talk.json")
    folder = tmp_path / "talk.json"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot be saved to"):
        chat.save(folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_saved_file_is_imported_by_the_playground_and_the_other_way_round(tmp_path):
    """As the page's Import does it: the file's JSON under its id, as revision 0."""
    file = tmp_path / "talk.json"
    with puna.Chat(engine="scripted", system="Be kind.", sampling={"temperature": 0.2}) as chat:
        chat.send("Where?")
        chat.edit(1, "When?")
        chat.save(file)
    value = json.loads(file.read_text(encoding="utf-8"))
    with Served(tmp_path / "home") as served:
        path = f"/api/sessions/{value['id']}"
        put = served.http.put(path, json={**value, "revision": 0})
        assert put.status_code == 200, put.text
        (row,) = served.http.get("/api/sessions").json()["sessions"]
        assert (row["title"], row["turns"]) == ("Where?", 1)
        back = served.http.get(path).json()
    assert {**back, "revision": 0} == value
    with of(back) as again:
        assert contents(again) == ["Be kind.", "When?", "You said: When?"]
        assert again.as_json() == back


def test_a_session_of_the_store_is_a_conversation(tmp_path):
    store = Sessions(tmp_path)
    store.put("llamas", session(id="llamas", nodes=copy.deepcopy(NODES), leaf=2, system="Kurz."))
    with of(store.get("llamas")) as chat:
        assert [m.as_json() for m in chat.history] == dialog_of(
            [
                {"role": "system", "content": "Kurz."},
                *({"role": node["role"], "content": node["content"]} for node in NODES[:3]),
            ]
        ).as_json()
        assert str(chat.stream()) == "You said: Und das Alpaka?"
        store.put("llamas", chat.as_json())
    assert len(store.get("llamas")["nodes"]) == 5
