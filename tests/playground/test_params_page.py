"""Sampling: numbers, ranges, seeds and presets. Checks 20 to 22."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

NAMES = {
    "temperature": "Temperature", "top_p": "Top-p", "top_k": "Top-k", "min_p": "Min-p", "max_tokens": "Max tokens",
    "repetition_penalty": "Repetition penalty", "presence_penalty": "Presence penalty", "frequency_penalty": "Frequency penalty",
}  # fmt: skip


def asked(playground):
    """The parameters of the last request."""
    return playground.posts("/api/generate")[-1]["params"]


VALUES = {
    "temperature": 1.3, "top_p": 0.42, "top_k": 7, "min_p": 0.11, "max_tokens": 33, "repetition_penalty": 1.21, "presence_penalty": -0.5,
    "frequency_penalty": 0.75,
}  # fmt: skip


def test_check_20_number_and_range_agree_and_the_request_carries_what_is_shown(playground):
    for name, value in VALUES.items():
        label = NAMES[name]
        playground.set(label, value)
        assert float(playground.slider(label).input_value()) == pytest.approx(value), name
        playground.slider(label).press("ArrowRight")
        shown_value = float(playground.number(label).input_value())
        assert shown_value > value
        assert float(playground.slider(label).input_value()) == pytest.approx(shown_value), name
    all_shown = shown(playground)
    playground.send("Hi")
    assert {name: asked(playground)[name] for name in NAMES} == pytest.approx(all_shown)
    got = playground.ledger.last.sampling
    assert {name: getattr(got, name) for name in NAMES} == pytest.approx(all_shown)


def test_check_20_every_parameter_of_a_request_is_the_shown_one(playground):
    playground.send("Hi")
    for name, label in NAMES.items():
        assert asked(playground)[name] == pytest.approx(float(playground.number(label).input_value())), name
    assert asked(playground)["seed"] is None
    assert playground.number("Seed").input_value() == ""
    assert asked(playground)["stop"] == []


OUTSIDE = (
    ("Temperature", "9", "2"), ("Temperature", "-1", "0"), ("Top-p", "1.5", "1"), ("Max tokens", "0", "1"), ("Max tokens", "999999", "4096"),
    ("Seed", "-3", "0"), ("Top-k", "2.6", "3"),
)  # fmt: skip


def test_check_20_what_is_out_of_range_is_clamped_and_that_is_said(playground):
    for label, typed, kept in OUTSIDE:
        playground.set(label, typed)
        playground.message.focus()
        expect(playground.number(label)).to_have_value(kept)
        note = playground.page.locator(".param", has=playground.number(label)).get_by_role("status")
        expect(note).to_contain_text(kept)
        expect(note).to_be_visible()
        playground.set(label, "1")
        expect(note).to_be_empty()


def test_check_20_what_is_no_number_goes_back(playground):
    before = playground.number("Temperature").input_value()
    playground.number("Temperature").focus()
    playground.page.keyboard.press("Control+A")
    playground.page.keyboard.type("e")
    playground.page.keyboard.press("Tab")
    expect(playground.number("Temperature")).to_have_value(before)


def test_stop_sequences_are_chips_with_line_breaks_escaped(playground):
    box = playground.box("Stop sequences")
    for text in (r"\n", "END", "END"):
        box.fill(text)
        box.press("Enter")
    chips = playground.page.get_by_role("list", name="Stop sequences set").get_by_role("listitem")
    expect(chips).to_have_count(2)
    expect(chips.first).to_contain_text(r"\n")
    playground.send("Hi")
    assert asked(playground)["stop"] == ["\n", "END"]
    playground.button(r"Remove \n").click()
    expect(chips).to_have_count(1)
    playground.send("Hi")
    assert asked(playground)["stop"] == ["END"]


def test_a_stop_sequence_ends_the_reply_and_is_no_part_of_it(playground):
    playground.served.engine.script.text = "One llama. Two llamas. END and more"
    playground.box("Stop sequences").fill(" END")
    playground.box("Stop sequences").press("Enter")
    assert playground.text(playground.send("Hi")) == "One llama. Two llamas."


def test_check_21_the_same_seed_gives_the_same_reply(playground):
    playground.params(seed=7, temperature=1)
    first = playground.text(playground.send("Tell me a story"))
    playground.act("Regenerate", playground.replies.last)
    assert playground.text(playground.replies.last) == first
    playground.params(seed=8)
    playground.act("Regenerate", playground.replies.last)
    assert playground.text(playground.replies.last) != first


def test_check_21_an_empty_seed_tells_the_one_that_was_drawn_and_it_can_be_used_again(playground):
    playground.params(temperature=1)
    reply = playground.send("Tell me a story")
    first, used = playground.text(reply), playground.ledger.last.sampling.seed
    expect(reply).to_contain_text(f"seed {used}")
    playground.act("Regenerate", reply)
    assert playground.text(playground.replies.last) != first
    playground.button("Previous version", playground.replies.last).click()
    playground.replies.last.get_by_role("button", name="reuse").click()
    expect(playground.number("Seed")).to_have_value(str(used))
    playground.act("Regenerate", playground.replies.last)
    assert playground.text(playground.replies.last) == first


def shown(playground):
    return {name: float(playground.number(label).input_value()) for name, label in NAMES.items()}


def test_check_22_a_preset_sets_all_and_a_change_shows_the_dot(playground):
    choice = playground.page.get_by_role("combobox", name="Preset", exact=True)
    for preset in playground.served.info["presets"]:
        choice.select_option(label=preset["name"])
        playground.until(
            lambda: shown(playground),
            lambda now, preset=preset: all(
                now[name] == pytest.approx(value) for name, value in preset["params"].items()
            ),
        )
    dots = playground.page.locator(".param .dot:visible")
    expect(dots).to_have_count(0)
    playground.params(temperature=0.35, top_k=3)
    expect(dots).to_have_count(2)
    playground.button("Neutral").click()
    assert shown(playground) | {"max_tokens": 0} == {
        "temperature": 1, "top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0, "max_tokens": 0,
    }  # fmt: skip


def test_check_22_a_double_click_or_backspace_on_the_name_resets(playground):
    for reset in (lambda label: label.dblclick(), lambda label: label.press("Backspace")):
        playground.params(temperature=1.7)
        reset(playground.page.locator("label", has_text="Temperature").first)
        expect(playground.number("Temperature")).to_have_value("0.6")
        expect(playground.page.locator(".param .dot:visible")).to_have_count(0)


def test_check_22_a_saved_preset_survives_a_reload(playground):
    playground.params(temperature=0.35, top_k=3)
    playground.button("Save as").click()
    playground.page.keyboard.type("Mine")
    playground.page.keyboard.press("Enter")
    choice = playground.page.get_by_role("combobox", name="Preset", exact=True)
    expect(choice.locator("option:checked")).to_have_text("Mine")
    playground.reload()
    choice.select_option(label="Greedy")
    expect(playground.number("Temperature")).to_have_value("0")
    choice.select_option(label="Mine")
    expect(playground.number("Temperature")).to_have_value("0.35")
    expect(playground.number("Top-k")).to_have_value("3")


def test_every_parameter_has_a_line_of_help(playground):
    for entry in playground.served.info["params"]:
        assert playground.number(entry["label"]).evaluate(
            "field => field.ariaDescription || document.getElementById(field.getAttribute('aria-describedby'))?.textContent"
        )
    playground.number("Min-p").focus()
    expect(playground.page.locator("#setup")).to_contain_text(
        next(entry["help"] for entry in playground.served.info["params"] if entry["name"] == "min_p")
    )


def test_what_the_server_would_refuse_cannot_be_set(playground):
    box = playground.box("Stop sequences")
    for n in range(17):
        box.fill(f"stop {n}")
        box.press("Enter")
    expect(playground.page.locator("#stop-note")).to_contain_text("There are 16 stop sequences, which is the most")
    playground.params(temperature=0.0005)
    expect(playground.number("Temperature")).to_have_value("0.001")
    expect(playground.page.locator("#params")).to_contain_text("Temperature is 0, or from 0.001 to 2; set to 0.001.")
    playground.send("Hi")
    assert len(playground.ledger.last.sampling.stop) >= 16
    assert playground.ledger.last.sampling.temperature == 0.001


def test_a_stop_sequence_that_is_too_long_stays_in_its_box_to_be_made_shorter(playground):
    box, note = playground.box("Stop sequences"), playground.page.locator("#stop-note")
    box.fill("x" * 1001)
    box.press("Enter")
    expect(note).to_have_text("A stop sequence has at most 1000 characters, and this one has 1001.")
    expect(box).to_have_value("x" * 1001)
    box.fill("🦙" * 1000)
    expect(note).to_be_empty()
    box.press("Enter")
    expect(box).to_have_value("")
    playground.send("Hi")
    assert asked(playground)["stop"] == ["🦙" * 1000]


def save_preset(playground, name):
    playground.button("Save as").click()
    playground.box("Preset name").fill(name)
    playground.page.keyboard.press("Enter")
    return playground.page.locator(".preset-form .note")


def test_a_preset_that_cannot_be_saved_says_why(playground):
    expect(save_preset(playground, "  ")).to_contain_text("wants a name")
    expect(save_preset(playground, "Greedy")).to_contain_text("Greedy is a preset of the server")
    playground.page.evaluate(
        "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"
    )
    expect(save_preset(playground, "Mine")).to_contain_text("the preset is not saved")


BROKEN = {"no JSON": "{oops", "no list": "{}", "no presets": '[null, 7, {"name": "x"}, {"name": 1, "params": {}}]'}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_presets_that_cannot_be_read_are_none(served, opened, text):
    playground = opened(served, path=None)
    playground.page.add_init_script(
        f"localStorage.getItem('puna.presets') || localStorage.setItem('puna.presets', {text!r})"
    )
    playground.open()
    expect(playground.banner).to_be_hidden()
    save_preset(playground, "Mine")
    expect(playground.page.get_by_role("combobox", name="Preset", exact=True).locator("option:checked")).to_have_text(
        "Mine"
    )


def test_a_kept_preset_sets_only_what_the_server_takes(served, opened):
    kept = (
        '[{"name": "Wild", "params": {"temperature": 99, "max_tokens": 1000000, "top_k": "many", "stop": [1, "END"]}}]'
    )
    playground = opened(served, path=None)
    playground.page.add_init_script(f"localStorage.setItem('puna.presets', {kept!r})")
    playground.open()
    playground.page.get_by_role("combobox", name="Preset", exact=True).select_option(label="Wild")
    expect(playground.number("Temperature")).to_have_value("2")
    expect(playground.number("Max tokens")).to_have_value("4096")
    playground.params(max_tokens=20)
    playground.send("Hi")
    assert playground.ledger.last.sampling.stop[0] == "END"
