"""What was deleted stays deleted, and what another tab saved is not written over by what was never seen."""

from __future__ import annotations

from playwright.sync_api import expect


def delete_open(playground):
    playground.button("Sessions").click()
    dialog = playground.page.get_by_role("dialog", name="Sessions")
    dialog.get_by_role("button", name="Delete").first.click()
    expect(dialog.get_by_role("status")).to_contain_text("Deleted")
    return dialog


def saved_once(playground):
    playground.send("Tell me a story")
    playground.until(playground.served.sessions)
    return playground.served.sessions()[0]["id"]


def settled(playground):
    """Long enough for a save that nobody wanted."""
    playground.page.wait_for_timeout(1600)


def test_a_session_that_is_deleted_while_it_grows_stays_deleted(playground):
    saved_once(playground)
    playground.served.engine.script.hold = 5
    playground.start("And another")
    expect(playground.replies.last.locator("[data-i]")).to_have_count(5)
    dialog = delete_open(playground)
    settled(playground)
    assert playground.served.sessions() == []
    dialog.get_by_role("button", name="Undo").click()
    playground.until(playground.served.sessions)
    dialog.get_by_role("button", name="Close").click()
    playground.box("System message").fill("Be brief")
    playground.until(lambda: playground.served.saved(playground.served.sessions()[0]["id"])["system"] == "Be brief")


def test_a_session_that_is_deleted_before_a_change_is_saved_stays_deleted(playground):
    saved_once(playground)
    playground.box("System message").fill("never saved")
    delete_open(playground)
    settled(playground)
    assert playground.served.sessions() == []


def test_what_is_loaded_from_another_tab_is_not_written_over(served, opened, playground):
    session = saved_once(playground)
    other = opened(served, context=playground.page.context, path=f"/#s={session}")
    expect(other.replies).to_have_count(1)
    other.send("A second question")
    other.until(lambda: len(served.saved(session)["nodes"]) == 4)
    expect(playground.page.get_by_role("button", name="Load it")).to_be_visible()
    playground.page.evaluate("""() => {
      const box = document.getElementById("system");
      box.value = "old and unsaved";
      box.dispatchEvent(new Event("input", { bubbles: true }));
      document.querySelector("#banner button").click();
    }""")
    expect(playground.replies).to_have_count(2)
    settled(playground)
    kept = served.saved(session)
    assert (len(kept["nodes"]), kept["system"]) == (4, "")


def test_the_other_tab_hears_of_a_deletion(served, opened, playground):
    session = saved_once(playground)
    other = opened(served, context=playground.page.context, path=f"/#s={session}")
    expect(other.replies).to_have_count(1)
    delete_open(playground)
    expect(other.banner).to_contain_text("deleted in another tab")
