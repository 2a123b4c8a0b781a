"""``puna prompt``: what it prints, what it refuses, and how it exits."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from puna.cli import main
from puna.formats.catalog import FORMATS
from tests.models.gguf_writer import gguf_bytes
from tests.oracles import oracle, oracle_json

HI = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 🦙"}]}
CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi 🦙<|im_end|>\n<|im_start|>assistant\n"


class Done:
    def __init__(self, status: int, out: bytes, err: str) -> None:
        self.status, self.out, self.err = status, out.decode(), err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def prompt(capfdbinary, monkeypatch):
    """Run ``puna prompt`` with a text, bytes or JSON on its standard input."""

    def run(*arguments: str, given: object = "") -> Done:
        data = given if isinstance(given, bytes) else (given if isinstance(given, str) else json.dumps(given)).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        try:
            status = main(["prompt", *arguments])
        except SystemExit as error:  # argparse
            status = int(str(error.code))
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        assert b"Traceback" not in err
        return Done(status, out, err.decode())

    return run


def test_formats(prompt):
    assert [entry["name"] for entry in prompt("formats", "--json").json] == list(FORMATS)
    assert len(prompt("formats").out.splitlines()) == len(FORMATS) + 1


def test_render_is_exact_to_the_byte(prompt):
    done = prompt("render", "--format", "chatml", "-", given=HI)
    assert (done.status, done.out, done.err) == (0, CHATML, "")
    whole = prompt("render", "--format", "chatml", "--no-generation-prompt", "-", given=HI)
    assert f"{whole.out}<|im_start|>assistant\n" == CHATML


def test_render_as_json_has_segments_and_stops(prompt):
    said = prompt("render", "--format", "chatml", "--json", "-", given=HI).json
    assert (said["format"], said["text"], said["stops"]) == ("chatml", CHATML, ["<|im_end|>"])
    assert "".join(segment["text"] for segment in said["segments"]) == CHATML
    assert {"kind": "content", "role": "user", "text": "Hi 🦙"} in said["segments"]


def test_a_begun_answer_can_be_continued(prompt):
    begun = {"messages": [*HI["messages"], {"role": "assistant", "content": "Once"}]}
    assert prompt("render", "--format", "chatml", "--continue", "-", given=begun).out == f"{CHATML}Once"
    assert "begun answer" in prompt("render", "--format", "chatml", "--continue", "-", given=HI).err


@pytest.mark.parametrize(("name", "date", "said"), [
    ("llama3.1", None, "26 Jul 2024"), ("llama3.1", "2026-11-22", "22 Nov 2026"), ("llama3.2", "2026-01-02", "02 Jan 2026"),
])  # fmt: skip
def test_the_date_is_the_one_that_was_given(prompt, name, date, said):
    more = ["--date", date] if date else []
    assert f"Today Date: {said}\n" in prompt("render", "--format", name, *more, "-", given=HI).out


def test_what_a_family_leaves_out_is_said(prompt):
    whole = {"messages": [*HI["messages"], {"role": "assistant", "content": "Hello."}]}
    done = prompt("render", "--format", "mistral-v3", "-", given=whole)
    assert "Be brief" not in done.out
    assert done.err.startswith("note: Mistral v3 writes the system text into the last message")


def test_a_template_file_is_a_format(prompt, tmp_path):
    plain = tmp_path / "plain.jinja"
    plain.write_text("{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}")
    done = prompt("render", "--format", f"jinja:{plain}", "--bos", "<B>", "--eos", "<E>", "-", given=HI)
    assert done.out == "<B>[system] Be brief.<E>[user] Hi 🦙<E>"
    config = tmp_path / "tokenizer_config.json"
    config.write_text(
        json.dumps({"chat_template": plain.read_text(), "bos_token": {"content": "<C>"}, "eos_token": "<D>"})
    )
    assert prompt("render", "--format", f"jinja:{config}", "-", given=HI).out.startswith("<C>[system] Be brief.<D>")
    model = tmp_path / "model.gguf"
    model.write_bytes(gguf_bytes({"tokenizer.chat_template": plain.read_text()}))
    assert (
        prompt("render", "--format", f"jinja:{model}", "-", given=HI).out == "<s>[system] Be brief.</s>[user] Hi 🦙</s>"
    )


def test_tokens_of_llama_2_are_the_reference_s(prompt):
    vocabulary = str(oracle("formats/llama2.tokenizer.model"))
    for case in oracle_json("formats/llama2_tokens.json")[:6]:
        said = prompt("tokens", "--format", "llama2", "--tokenizer", vocabulary, "--json", "-", given=case).json
        assert (said["ids"], said["count"]) == (case["ids"], case["n"])
        assert len(said["pieces"]) == case["n"]
    listed = prompt("tokens", "--format", "llama2", "--tokenizer", vocabulary, "-", given=HI)
    assert re.search(r"^ +1  '<s>' +control$", listed.out, re.MULTILINE)
    # The llama is four byte tokens, and shown with the last of them.
    assert re.search(r"'<0x99>' +''$|'<0x99>' +'\U0001f999'$", listed.out, re.MULTILINE)
    assert listed.out.count("\U0001f999") == 1
    assert listed.out.splitlines()[-1].endswith("tokens, 1 of them control; 2 contents")


def test_another_family_s_tokenizer_is_noticed(prompt):
    done = prompt(
        "tokens", "--format", "llama3", "--tokenizer", str(oracle("formats/llama2.tokenizer.model")), "-", given=HI
    )
    assert "no control token '<|eot_id|>'" in done.err


def test_parse_says_family_doubt_and_dialog(prompt):
    said = prompt("parse", "--json", "-", given="<s>[INST] q [/INST]").json
    assert (said["format"], said["also"]) == ("llama2", ["mistral-old"])
    assert said["messages"] == [{"role": "user", "content": "q"}]
    assert said["findings"] == []
    assert "fits mistral-old as well" in prompt("parse", "-", given="<s>[INST] q [/INST]").out


def test_lint_exits_1_on_errors_only(prompt):
    done = prompt("lint", "-", given="<s>[INST] q [/INST] a <\\s><s>[INST] r [/INST]")
    assert done.status == 1
    assert "1:23" in done.out
    assert "backslash-s-typo" in done.out
    assert prompt("lint", "-", given="[INST]q[/INST]").status == 0
    finding = prompt("lint", "--json", "-", given="[INST] q [/INST]\n").json["findings"][-1]
    assert finding == {"code": "trailing-newline", "severity": "warning", "start": 16, "end": 17, "fix": "",
                       "message": finding["message"]}  # fmt: skip


def test_lint_fix_writes_the_canonical_text_and_nothing_else(prompt):
    done = prompt("lint", "--fix", "-", given="[INST]q [/INST] a <\\s>[INST] r[/INST]\n")
    assert (done.status, done.out) == (0, "<s>[INST] q [/INST] a </s><s>[INST] r [/INST]")
    assert "backslash-s-typo" in done.err
    assert prompt("lint", "--fix", "-", given=done.out).out == done.out
    assert prompt("lint", "--fix", "--json", "-", given="[INST]q[/INST]").json["text"] == "<s>[INST] q [/INST]"


def test_translate_says_what_it_had_to_do(prompt):
    done = prompt("translate", "--to", "gemma2", "-", given=CHATML)
    assert done.out == "<bos><start_of_turn>user\nBe brief.\n\nHi 🦙<end_of_turn>\n<start_of_turn>model\n"
    assert (
        done.err == "note: Gemma 2 has no system message: its text was put at the beginning of the first user message\n"
    )
    said = prompt("translate", "--to", "gemma2", "--json", "-", given=CHATML).json
    assert (said["format"], said["from"], len(said["changes"])) == ("gemma2", "chatml", 1)


def long_chat(turns: int):
    messages = [
        {"role": ("assistant" if n % 2 else "user"), "content": f"turn {n} " + "word " * 20}
        for n in range(2 * turns - 1)
    ]
    return {"messages": [{"role": "system", "content": "Be brief."}, *messages]}


@pytest.mark.parametrize("policy", ["watermark", "oldest"])
def test_fit_counts_exactly_and_says_what_it_dropped(prompt, policy):
    vocabulary = str(oracle("formats/llama2.tokenizer.model"))
    given = long_chat(30)
    said = prompt("fit", "--format", "llama2", "--context", "600", "--reserve", "100", "--policy", policy,
                  "--tokenizer", vocabulary, "--pin", "3", "--json", "-", given=given).json  # fmt: skip
    dropped = [entry["index"] for entry in said["dropped"]]
    assert sorted([*said["kept"], *dropped]) == list(range(60))
    assert {0, 3, 4, 59} <= set(said["kept"])
    kept = {"messages": [given["messages"][n] for n in said["kept"]]}
    counted = prompt("tokens", "--format", "llama2", "--tokenizer", vocabulary, "--json", "-", given=kept).json["count"]
    assert said["prompt_tokens"] == counted <= 500
    assert (said["reserve"], said["context"]) == (100, 600)
    assert all(entry["tokens"] > 0 and entry["why"] for entry in said["dropped"])


def test_fit_shows_where_the_window_s_tokens_go(prompt):
    vocabulary = str(oracle("formats/llama2.tokenizer.model"))
    done = prompt("fit", "--format", "llama2", "--context", "600", "--reserve", "100", "--pin", "3", "--tokenizer", vocabulary,
                  "-", given=long_chat(30))  # fmt: skip
    bar, parts, total, kept, *dropped = done.out.splitlines()
    assert set("SPhT.=") <= set(bar)
    assert sum(int(n) for n in re.findall(r"-?\d+", parts)) == 600
    assert total.endswith("= 600 tokens of context")
    assert kept.startswith("kept ")
    assert all(line.startswith("dropped ") for line in dropped)


def test_fit_refuses_with_the_numbers_and_the_ways_out(prompt):
    vocabulary = str(oracle("formats/llama2.tokenizer.model"))
    given = {"messages": [{"role": "user", "content": "word " * 500}]}
    done = prompt(
        "fit", "--format", "llama2", "--context", "300", "--reserve", "100", "--tokenizer", vocabulary, "-", given=given
    )
    assert done.status == 2
    assert "300" in done.err
    assert "shorten the last turn" in done.err
    full = prompt("fit", "--format", "llama2", "--context", "600", "--reserve", "100", "--policy", "none",
                  "--tokenizer", vocabulary, "-", given=long_chat(30))  # fmt: skip
    assert full.status == 2


def test_tokens_and_fit_use_the_model_s_own_tokenizer_by_default(prompt, model_home):
    done = prompt("tokens", "--format", "smollm2", "--json", "-", given=HI)
    assert done.json["pieces"][0] == "<|im_start|>"
    assert "counted with the tokenizer of smollm2-135m" in done.err


SURROGATE = '{"messages": [{"role": "user", "content": "\\ud800"}]}'
BAD = [
    (("render", "--format", "llama2"), "not json", "must hold"),
    (("render", "--format", "llama2"), "[" * 100_000, "must hold"),
    (("render", "--format", "llama2"), "[]", '"messages"'),
    (("render", "--format", "llama2"), '{"messages": 3}', "list"),
    (("render", "--format", "llama2"), '{"messages": []}', "add"),
    (("render", "--format", "llama2"), '{"messages": [{"role": "tool", "content": "x"}]}', "unknown role 'tool'"),
    (("render", "--format", "llama2"), '{"messages": [{"role": "user", "content": 3}]}', "must be text"),
    (("render", "--format", "llama2"), '{"messages": [{"role": "user"}]}', "content"),
    (("render", "--format", "llama2"), '{"messages": [{"role": "user", "content": "a\\u0000b"}]}', "NUL"),
    (("render", "--format", "llama2"), SURROGATE, "surrogate"),
    (("tokens", "--format", "llama2", "--tokenizer", "/no/such"), HI, "/no/such"),
    (("render", "--format", "lama2"), HI, "Did you mean 'llama2'"),
    (("render", "--format", "jinja:/no/such"), HI, "/no/such"),
    (("render", "--format", "jinja:"), HI, "cannot read"),
    (("render", "--format", "llama3.2", "--date", "yesterday"), HI, "2026-11-22"),
    (("parse",), b"\xff\xfe", "UTF-8"),
    (("parse",), "a\0b", "NUL"),
    (("parse", "--format", "chatml"), "[INST] q [/INST]", "no message begins"),
    (("lint", "--format", "lama2"), "x", "Did you mean 'llama2'"),
    (("translate", "--to", "lama2"), "x", "Did you mean 'llama2'"),
    (("fit", "--format", "llama2", "--context", "10", "--reserve", "10"), HI, "reserve"),
    (("fit", "--format", "llama2", "--context", "-1"), HI, "context"),
    (("fit", "--format", "llama2", "--context", "99", "--policy", "newest"), HI, "watermark"),
    (("fit", "--format", "llama2", "--context", "99", "--pin", "7"), HI, "7"),
]


@pytest.mark.parametrize(("arguments", "given", "part"), BAD, ids=[" ".join(a) + f" {g}"[:24] for a, g, _ in BAD])
def test_bad_input_exits_2_with_one_sentence(prompt, arguments, given, part):
    if arguments[0] == "fit":
        arguments = (*arguments, "--tokenizer", str(oracle("formats/llama2.tokenizer.model")))
    done = prompt(*arguments, "-", given=given)
    assert (done.status, done.out) == (2, "")
    assert part in done.err
    if not done.err.startswith("usage:"):
        assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "verb", [("parse",), ("lint",), ("translate", "--to", "llama2"), ("render", "--format", "llama2")]
)
def test_ten_megabytes_are_refused_before_they_are_read(prompt, verb):
    done = prompt(*verb, "-", given=b"a" * 10_000_000)
    assert (done.status, done.out) == (2, "")
    assert "at most 6291456 bytes" in done.err


@pytest.mark.parametrize(("name", "content"), [
    ("tokenizer.json", b'{"name": "x"}'), ("tokenizer.json", b'{"model": '), ("tokenizer.model", b"\n\x0e\n\x05<unk>"),
    ("model.gguf", b"GGUF\x03\x00"), ("notes.txt", b"hello"), ("empty", b""),
])  # fmt: skip
def test_a_file_that_holds_no_tokenizer_is_refused(prompt, tmp_path: Path, name, content):
    (tmp_path / name).write_bytes(content)
    done = prompt("tokens", "--format", "llama2", "--tokenizer", str(tmp_path / name), "-", given=HI)
    assert (done.status, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert name in done.err
