"""Sessions: saved by themselves, found, renamed, deleted and brought back. Check 31, and drafts, two tabs and bad files."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Error, expect

from .browser import running
from .playground import Playground, new_context


def saved(playground, look=lambda session: True):
    """The session of the page, once it is saved and as wanted."""

    def found():
        entries = playground.served.sessions()
        session = playground.served.saved(entries[0]["id"]) if entries else None
        return session if session and look(session) else None

    return playground.until(found)


def dialog(playground):
    return playground.page.get_by_role("dialog", name="Sessions")


def opened_dialog(playground):
    playground.button("Sessions").click()
    return dialog(playground)


def row(playground, title):
    return dialog(playground).get_by_role("listitem").filter(has_text=title)


def talk(playground):
    """Branches, settings and a draft; all of it saved."""
    playground.params(temperature=1.1, top_k=12, seed=4)
    playground.box("System message").fill("Be kind")
    playground.send("First question")
    playground.params(seed=5)
    playground.act("Regenerate", playground.replies.last)
    playground.send("Second question")
    playground.button("Previous version", playground.replies.first).click()
    playground.send("Another second question")
    playground.message.fill("an unsent draft")
    return saved(playground, lambda session: session["draft"] == "an unsent draft")


@pytest.fixture(scope="module")
def conversation(_browser, _served):
    """What a page saves of the talk: said once, since that takes longer than most of these tests."""
    browser, loop = _browser
    _served.reset()
    with running(loop), new_context(browser, _served) as context:
        return talk(Playground(context.new_page(), _served).open())


@pytest.fixture
def talked(conversation, served, opened):
    """The talk, opened again."""
    served.http.put(f"/api/sessions/{conversation['id']}", json={**conversation, "revision": 0}).raise_for_status()
    playground = opened(served, path=f"/#s={conversation['id']}")
    expect(playground.replies).to_have_count(2)
    return playground


def seen(playground):
    """What a person sees of the conversation."""
    return (
        [question.locator(".message-text").text_content() for question in playground.questions.all()],
        [playground.text(reply) for reply in playground.replies.all()],
        [count.text_content() for count in playground.page.locator(".version-count").all()],
        {label: playground.number(label).input_value() for label in ("Temperature", "Top-k", "Seed")},
        playground.box("System message").input_value(),
        playground.message.input_value(),
    )


def test_check_31_a_reload_brings_back_tree_settings_and_draft(playground):
    talk(playground)
    before = seen(playground)
    playground.reload()
    expect(playground.replies).to_have_count(2)
    assert seen(playground) == before
    playground.button("Next version", playground.replies.first).click()
    expect(playground.questions.last).to_contain_text("Second question")
    playground.button("Previous version", playground.replies.first).click()
    assert seen(playground) == before
    playground.send("After the reload")
    assert "Another second question" in playground.ledger.last.prompt.text


def test_check_31_the_address_names_the_session_and_opens_it_anywhere(playground, opened):
    session = talk(playground)
    before = seen(playground)
    assert playground.page.url.endswith(f"#s={session['id']}")
    other = opened(playground.served, path=f"/#s={session['id']}")
    expect(other.replies).to_have_count(2)
    assert seen(other) == before


def test_check_31_export_and_import_are_inverses(talked, tmp_path):
    session = saved(talked)
    opened_dialog(talked)
    with talked.page.expect_download() as download:
        row(talked, "First question").get_by_role("button", name="Export First question").click()
    text = download.value.path().read_text()
    assert json.loads(text) == session
    row(talked, "First question").get_by_role("button", name="Delete First question").click()
    expect(dialog(talked).get_by_role("listitem")).to_have_count(0)
    path = tmp_path / "session.json"
    path.write_text(text)
    dialog(talked).get_by_label("Session files").set_input_files(path)
    expect(row(talked, "First question")).to_have_count(1)
    (entry,) = talked.served.sessions()
    again = talked.served.saved(entry["id"])
    assert {**again, "revision": 0, "id": ""} == {**session, "revision": 0, "id": ""}
    dialog(talked).get_by_label("Session files").set_input_files(path)
    expect(row(talked, "First question")).to_have_count(2)


BAD = {
    "no-json.json": "{no json",
    "list.json": "[1, 2]",
    "other.json": '{"hello": "world"}',
    "cycle.json": json.dumps({"v": 1, "nodes": [{"id": 0, "parent": 0, "role": "user", "content": "x"}], "leaf": 0}),
    "binary.json": "\x00\x01\ud7ff",
    "empty.json": "",
}


def test_a_bad_file_is_refused_with_a_sentence_and_nothing_changes(talked, tmp_path):
    before = seen(talked)
    opened_dialog(talked)
    expect(dialog(talked).get_by_role("listitem")).to_have_count(1)
    talked.allowed.append("400 \\(Bad Request\\)")
    for name, text in BAD.items():
        path = tmp_path / name
        path.write_text(text)
        dialog(talked).get_by_label("Session files").set_input_files(path)
        expect(dialog(talked).get_by_role("status")).to_contain_text(name)
        expect(dialog(talked).get_by_role("listitem")).to_have_count(1)
    dialog(talked).get_by_role("button", name="Close").click()
    assert seen(talked) == before


def test_sessions_are_found_by_their_texts(talked):
    opened_dialog(talked).get_by_role("button", name="New session").click()
    expect(talked.replies).to_have_count(0)
    talked.send("Something about volcanoes")
    saved(talked, lambda session: "volcanoes" in session["title"])
    opened_dialog(talked)
    expect(dialog(talked).get_by_role("listitem")).to_have_count(2)
    expect(dialog(talked).get_by_role("listitem").first).to_contain_text("volcanoes")
    search = dialog(talked).get_by_role("searchbox", name="Search")
    search.fill("VOLCANO")
    expect(dialog(talked).get_by_role("listitem")).to_have_count(1)
    search.fill("Another second")
    expect(row(talked, "First question")).to_have_count(1)
    expect(dialog(talked).get_by_role("listitem")).to_have_count(1)
    search.fill("nowhere in it")
    expect(dialog(talked)).to_contain_text("No session has")
    search.fill("")
    row(talked, "First question").get_by_role("button").first.click()
    expect(dialog(talked)).to_be_hidden()
    expect(talked.questions.first).to_contain_text("First question")
    expect(talked.message).to_have_value("an unsent draft")


def test_rename_duplicate_delete_and_undo(talked):
    opened_dialog(talked)
    row(talked, "First question").get_by_role("button", name="Rename First question").click()
    talked.page.keyboard.type("About llamas")
    talked.page.keyboard.press("Enter")
    expect(row(talked, "About llamas")).to_have_count(1)
    saved(talked, lambda session: session["title"] == "About llamas")
    row(talked, "About llamas").get_by_role("button", name="Duplicate About llamas").click()
    expect(row(talked, "About llamas (copy)")).to_have_count(1)
    row(talked, "About llamas (copy)").get_by_role("button", name="Delete About llamas (copy)").click()
    expect(dialog(talked).get_by_role("listitem")).to_have_count(1)
    talked.until(lambda: len(talked.served.sessions()), 1)
    dialog(talked).get_by_role("button", name="Undo").click()
    expect(row(talked, "About llamas (copy)")).to_have_count(1)
    assert len(talked.served.sessions()) == 2


def test_deleting_the_open_session_and_undoing_it_loses_nothing(talked):
    before = seen(talked)
    opened_dialog(talked)
    row(talked, "First question").get_by_role("button", name="Delete First question").click()
    expect(talked.replies).to_have_count(0)
    dialog(talked).get_by_role("button", name="Undo").click()
    expect(talked.replies).to_have_count(2)
    dialog(talked).get_by_role("button", name="Close").click()
    assert seen(talked) == before
    talked.send("Still here")
    saved(talked, lambda session: any(node["content"] == "Still here" for node in session["nodes"]))


def test_two_tabs_on_one_session_the_later_save_wins_and_that_is_said(talked, opened):
    other = opened(talked.served, path=f"/#s={saved(talked)['id']}", context=talked.page.context)
    expect(other.replies).to_have_count(2)
    talked.box("System message").fill("From the first tab")
    saved(talked, lambda session: session["system"] == "From the first tab")
    expect(other.banner).to_contain_text("changed in another tab")
    other.box("System message").fill("From the second tab")
    saved(talked, lambda session: session["system"] == "From the second tab")
    expect(other.banner).to_contain_text("saved over")
    expect(talked.banner).to_contain_text("changed in another tab")
    talked.button("Load it").click()
    expect(talked.box("System message")).to_have_value("From the second tab")
    expect(talked.replies).to_have_count(2)


def test_a_draft_outlives_a_tab_that_crashed(served, opened):
    playground = opened(served)
    playground.send("First question")
    saved(playground)
    playground.message.fill("written, but never sent nor saved")
    address = playground.page.url
    with playground.page.expect_event("crash"), pytest.raises(Error):
        playground.page.goto("chrome://crash")
    page = playground.page.context.new_page()
    again = Playground(page, served)
    page.goto(address)
    again.ready()
    expect(again.replies).to_have_count(1)
    expect(again.message).to_have_value("written, but never sent nor saved")
    again.check()


def test_a_reload_in_the_middle_of_a_reply_keeps_what_had_come(playground):
    playground.served.engine.script.hold = 30
    playground.start("Tell me a story")
    expect(playground.replies.last.locator("[data-i]")).to_have_count(30)
    text = playground.text(playground.replies.last)
    playground.reload()
    playground.until(lambda: playground.ledger.last.left)
    assert playground.text(playground.replies.last) == text
    playground.served.engine.script.hold = None
    playground.act("Continue", playground.replies.last)
    assert playground.text(playground.replies.last).startswith(text)


def test_a_hundred_turns_are_saved_and_opened(served, opened):
    nodes = []
    for n in range(100):
        nodes += [{"id": 2 * n, "parent": 2 * n - 1 if n else None, "role": "user", "content": f"Question {n}"},
                  {"id": 2 * n + 1, "parent": 2 * n, "role": "assistant", "content": f"Answer {n}", "finish": "stop"}]  # fmt: skip
    session = {
        "v": 1, "id": "hundred", "revision": 0, "title": "A hundred", "params": {}, "system": "Be kind", "context": "", "examples": [], "only": False,
        "policy": "watermark", "nodes": nodes, "leaf": 199, "raw": "", "draft": "", "mode": "chat",
    }  # fmt: skip
    served.http.put("/api/sessions/hundred", json=session).raise_for_status()
    playground = opened(served, path="/#s=hundred")
    expect(playground.replies).to_have_count(100)
    expect(playground.replies.last).to_be_in_viewport()
    playground.send("And one more")
    assert "Answer 99" in playground.ledger.last.prompt.text
    expect(playground.replies.last).to_be_in_viewport()
    saved(playground, lambda session: len(session["nodes"]) == 202)


def tabs(talked, opened):
    """Another tab on the same session."""
    other = opened(talked.served, path=f"/#s={saved(talked)['id']}", context=talked.page.context)
    expect(other.replies).to_have_count(2)
    return other


def delete(playground, title="First question"):
    opened_dialog(playground)
    row(playground, title).get_by_role("button", name=f"Delete {title}").click()
    expect(dialog(playground).get_by_role("status")).to_contain_text("Deleted")


def test_a_deletion_is_told_to_the_other_tab_which_saves_only_a_later_change(talked, opened):
    other = tabs(talked, opened)
    other.box("System message").fill("typed just before")
    delete(talked)
    expect(other.banner).to_contain_text("What this tab shows is saved again when you change it.")
    other.page.wait_for_timeout(1500)
    assert talked.served.sessions() == []
    other.box("System message").fill("typed after it")
    session = saved(other, lambda session: session["system"] == "typed after it")
    dialog(talked).get_by_role("button", name="Close").click()
    opened_dialog(talked)
    row(talked, "First question").get_by_role("button").first.click()
    expect(talked.box("System message")).to_have_value("typed after it")
    talked.box("System message").fill("saved by the tab that had deleted it")
    saved(talked, lambda now: now["id"] == session["id"] and now["system"] == "saved by the tab that had deleted it")


def test_undo_of_a_deletion_is_told_to_the_other_tab(talked, opened):
    other = tabs(talked, opened)
    delete(talked)
    expect(other.banner).to_contain_text("deleted in another tab")
    dialog(talked).get_by_role("button", name="Undo").click()
    expect(other.button("Load it")).to_be_visible()


def test_a_session_deleted_in_both_tabs_stays_deleted(talked, opened):
    other = tabs(talked, opened)
    other.allowed.append("404")
    opened_dialog(other)
    expect(dialog(other).get_by_role("listitem")).to_have_count(1)
    delete(talked)
    row(other, "First question").get_by_role("button", name="Delete First question").click()
    expect(dialog(other).get_by_role("status")).to_contain_text("Deleted")
    other.page.wait_for_timeout(1500)
    assert talked.served.sessions() == []


def test_a_deletion_that_fails_leaves_the_session_open_and_saves_its_last_change(talked):
    talked.allowed.append("500")
    opened_dialog(talked)
    expect(row(talked, "First question")).to_have_count(1)
    talked.page.route(
        "**/api/sessions/*",
        lambda route: route.fulfill(status=500, json={}) if route.request.method == "DELETE" else route.continue_(),
    )
    talked.page.evaluate("""() => {
      const box = document.getElementById("system");
      box.value = "not saved yet";
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }""")
    row(talked, "First question").get_by_role("button", name="Delete First question").click()
    expect(dialog(talked).get_by_role("status")).to_contain_text("500")
    expect(talked.replies).to_have_count(2)
    saved(talked, lambda session: session["system"] == "not saved yet")


def test_what_was_loaded_is_changed_and_saved_without_a_notice(talked, opened):
    other = tabs(talked, opened)
    other.box("System message").fill("from the other tab")
    saved(talked, lambda session: session["system"] == "from the other tab")
    expect(talked.button("Load it")).to_be_visible()
    talked.button("Load it").click()
    expect(talked.box("System message")).to_have_value("from the other tab")
    talked.box("System message").fill("and on from there")
    saved(talked, lambda session: session["system"] == "and on from there")
    talked.page.wait_for_timeout(300)
    expect(talked.banner).to_be_hidden()


def test_load_it_while_a_reply_streams_keeps_what_was_loaded(talked, opened):
    other = tabs(talked, opened)
    talked.served.engine.script.hold = 5
    talked.start("A question that is given up")
    expect(talked.replies.last.locator("[data-i]")).to_have_count(5)
    talked.until(lambda: "A question that is given up" in json.dumps(saved(talked)))
    other.box("System message").fill("from the other tab")
    saved(talked, lambda session: session["system"] == "from the other tab")
    nodes = saved(talked)["nodes"]
    expect(talked.button("Load it")).to_be_visible()
    talked.button("Load it").click()
    expect(talked.replies).to_have_count(2)
    talked.page.wait_for_timeout(1500)
    assert saved(talked)["nodes"] == nodes
