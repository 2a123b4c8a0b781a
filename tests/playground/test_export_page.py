"""Exported programs: each one is run, and gives what the page got. Check 30."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from playwright.sync_api import expect

TARGETS = ("curl", "boto3", "openai", "client", "notebook")


def exported(playground, target):
    """The program as the dialog shows it."""
    playground.button("Export").click()
    dialog = playground.page.get_by_role("dialog", name="Export")
    dialog.get_by_role("tab", name=target, exact=True).click()
    expect(dialog.get_by_role("tab", name=target, exact=True)).to_have_attribute("aria-selected", "true")
    expect(dialog.get_by_role("button", name="Download")).to_be_enabled()
    with playground.page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    text = dialog.get_by_role("tabpanel").locator("pre").text_content()
    assert download.value.path().read_text() == text
    dialog.get_by_role("button", name="Close").click()
    return download.value.suggested_filename, text


def run(program, folder):
    """What the program prints. program: its file's name, and its text."""
    filename, text = program
    path = folder / filename
    path.write_text(text)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ACCESS_KEY_ID": "AKIDLOCAL", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1", "OPENAI_API_KEY": "local", "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    if filename.endswith(".sh"):
        command = ["bash", str(path)]
    elif filename.endswith(".ipynb"):
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        code = "\n".join(cell for cell in cells if not cell.lstrip().startswith(("%", "!")))
        command = [sys.executable, "-c", code]
    else:
        command = [sys.executable, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_check_30_the_exported_programs_give_the_same_text(playground, tmp_path):
    playground.params(seed=11, temperature=1.1, top_k=12, max_tokens=30)
    playground.box("System message").fill("Be kind to 'llamas' & \"people\" $HOME\n\\n 🦙")
    playground.send("First question")
    told = playground.text(playground.send('It\'s the "second" question, `really`\nwith two lines'))
    mine = playground.ledger.last
    for target in TARGETS:
        printed = run(exported(playground, target), tmp_path)
        again = playground.ledger.last
        assert again.prompt.ids == mine.prompt.ids, (target, again.prompt.text, mine.prompt.text)
        assert again.sampling == mine.sampling, target
        # A begun answer's space belongs to Llama 2's format, and programs print what a route gives.
        assert told.strip() in printed, target


def test_check_30_greedy_and_unseeded_replies_too(playground, tmp_path):
    playground.params(temperature=0)
    told = playground.text(playground.send("Tell me a story"))
    assert told.strip() in run(exported(playground, "curl"), tmp_path)
    playground.params(temperature=1)
    playground.act("Regenerate", playground.replies.last)
    told = playground.text(playground.replies.last)
    assert told.strip() in run(exported(playground, "curl"), tmp_path), "the seed that was drawn is not in it"


def test_check_30_a_raw_prompt_is_asked_by_its_very_tokens(playground, tmp_path):
    text = "<s>[INST]slips  and <\\s> all [/INST] \n"
    playground.params(seed=3)
    playground.mode("Raw")
    playground.box("Raw prompt").fill(text)
    playground.until(lambda: playground.prompt, text)
    playground.button("Send").click()
    playground.until(lambda: playground.ledger.asked)
    playground.finished()
    told = playground.page.locator("#raw .token-view").text_content()
    ids = playground.ledger.last.prompt.ids
    for target in TARGETS:
        printed = run(exported(playground, target), tmp_path)
        assert playground.ledger.last.prompt.ids == ids, target
        assert told.strip() in printed, target


def test_check_30_secrets_are_never_included(serve, opened):
    playground = opened(serve(token="a-secret-token"), path=None)
    playground.allowed.append("401")
    playground.page.goto(playground.served.url)
    playground.page.get_by_label("Access token").fill("a-secret-token")
    playground.page.keyboard.press("Enter")
    playground.ready()
    playground.send("Hi")
    for target in TARGETS:
        _, text = exported(playground, target)
        assert "a-secret-token" not in text


def test_with_nothing_to_export_that_is_said(playground):
    playground.button("Export").click()
    dialog = playground.page.get_by_role("dialog", name="Export")
    expect(dialog).to_contain_text("Nothing to export yet")
    expect(dialog.get_by_role("button", name="Download")).to_be_disabled()


def test_copy_takes_the_program(served, opened):
    playground = opened(served, permissions=["clipboard-read", "clipboard-write"])
    playground.message.fill("Hi")
    playground.until(lambda: playground.prompt, lambda prompt: "Hi" in prompt)
    playground.button("Export").click()
    dialog = playground.page.get_by_role("dialog", name="Export")
    expect(dialog.get_by_role("button", name="Copy")).to_be_enabled()
    dialog.get_by_role("button", name="Copy").click()
    playground.until(
        lambda: playground.page.evaluate("navigator.clipboard.readText()"), dialog.locator("pre").text_content()
    )


def test_a_reply_that_goes_on_from_a_token_is_exported_with_its_tokens(playground, tmp_path):
    playground.params(seed=11, temperature=1.1, max_tokens=30)
    reply = playground.send("Tell me a story")
    reply.locator("[data-i='4']").hover()
    tip = playground.page.locator(".token-popover:popover-open")
    tip.get_by_role("button").nth(1).click()
    playground.until(lambda: len(playground.ledger.asked) == 2)
    told = playground.text(playground.finished())
    printed = run(exported(playground, "curl"), tmp_path)
    assert printed.rstrip("\n")
    assert told.endswith(printed.rstrip("\n"))
    playground.params(temperature=0.2)
    playground.button("Export").click()
    expect(playground.page.get_by_role("dialog", name="Export")).to_contain_text(
        "Changed since that reply, so that the text will differ: Temperature."
    )
