"""The Python surface, on the scripted engine."""

import asyncio
import io
import subprocess
import sys

import pytest

import puna
from puna.api import running
from puna.errors import ContextWindowError, EngineError, InputError, SamplingError
from puna.generation import Finish


def chat(**options):
    return puna.Chat(engine="scripted", **options)


def test_a_conversation_goes_on():
    with chat(system="Be kind.") as talk:
        assert "".join(talk.stream("one")) == "You said: one"
        reply = talk.send("two", max_tokens=2)
        assert reply.text == "You said:"
        assert reply.receipt.finish is Finish.LENGTH
        assert [message.content for message in talk.history] == ["Be kind.", "one", "You said: one", "two", "You said:"]


def test_a_stream_that_is_left_keeps_what_had_come():
    with chat() as talk:
        pieces = talk.stream("a b c d e f")
        first = next(pieces)
        pieces.close()
        assert talk.reply is not None
        assert talk.reply.text.startswith(first)
        assert talk.history[-1].content == talk.reply.text


def test_a_refused_turn_leaves_the_history_as_it_was():
    with chat(context=64) as talk:
        with pytest.raises(ContextWindowError):
            talk.send("word " * 100)
        with pytest.raises(SamplingError):
            talk.send("x", temperature=3)
        assert len(talk.history) == 0
        assert talk.send("fine", max_tokens_to_sample=5).text == "You said: fine"


def test_a_conversation_outgrows_its_window():
    with chat(context=64, system="Be kind.") as talk:
        dropped = [len(talk.send(f"word {n} and more", max_tokens=8).receipt.dropped) for n in range(20)]
        assert dropped[0] == 0
        assert dropped[-1] > 10
        assert len(talk.history) == 41  # the history keeps what the prompt leaves out
    with chat(context=64, policy="none") as talk, pytest.raises(ContextWindowError):
        for n in range(20):
            talk.send(f"word {n} and more", max_tokens=8)
    with pytest.raises(InputError, match="unknown policy 'newest'"):
        chat(policy="newest")


def test_clear_keeps_the_system_message_only():
    with chat(system="s") as talk:
        talk.send("one")
        talk.clear()
        assert [message.role for message in talk.history] == ["system"]


def test_the_async_chat_is_the_same():
    async def scenario():
        async with puna.AsyncChat(engine="scripted") as talk:
            pieces = [piece async for piece in talk.stream("hi")]
            return "".join(pieces), (await talk.send("there")).text

    assert asyncio.run(scenario()) == ("You said: hi", "You said: there")


def test_a_turn_beside_another_of_the_same_conversation_is_refused_and_none_is_lost():
    async def scenario():
        talk = puna.AsyncChat(engine="scripted")  # opening it is what the turns meet at
        results = await asyncio.gather(*[talk.send(str(n)) for n in range(3)], return_exceptions=True)
        await talk.close()
        return results, len(talk.history)

    results, length = asyncio.run(scenario())
    answered = [result for result in results if isinstance(result, puna.Reply)]
    refused = [result for result in results if isinstance(result, InputError)]
    assert len(answered) + len(refused) == 3
    assert length == 2 * len(answered)
    assert "under way" in str(refused[0])


def test_a_conversation_of_another_loop_is_refused():
    talk = puna.AsyncChat(engine="scripted")
    asyncio.run(talk.send("one"))
    with pytest.raises(InputError, match="another event loop"):
        asyncio.run(talk.send("two"))


def test_run_takes_a_system_message_and_keeps_one_model():
    out = io.StringIO()
    for n in range(3):
        assert puna.run("hi", system=f"You are {n}.", engine="scripted", context=500, file=out) == "You said: hi"
    assert len(running._kept) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: puna.parse(None),  # type: ignore[arg-type]
        lambda: puna.parse(b"x"),  # type: ignore[arg-type]
        lambda: puna.translate("x", to=None),  # type: ignore[arg-type]
        lambda: puna.render([{"role": "user", "content": "x"}], format=[]),  # type: ignore[arg-type]
        lambda: puna.render(None),  # type: ignore[arg-type]
        lambda: puna.Chat(engine="scripted", system=5),
        lambda: puna.Chat(engine="scripted", history=5),
        lambda: puna.Chat(url=5),
        lambda: puna.Chat(engine="scripted").send(None),  # type: ignore[arg-type]
        lambda: puna.run(None, engine="scripted"),  # type: ignore[arg-type]
        lambda: puna.run("x", engine="scripted", file="out.txt"),  # type: ignore[arg-type]
        lambda: puna.run("x", engine="scripted", max_tokens=1, max_tokens_to_sample=2),
        lambda: puna.Chat(engine="scripted", file="/no/such.toml"),
    ],
)
def test_wrong_types_are_refused_with_a_sentence(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.model
def test_a_script_that_forgets_to_close_ends_at_once_and_says_nothing(model_home):
    script = "import puna; c = puna.Chat(context=512, slots=1); g = c.stream('Tell me a long story', max_tokens=400); next(g)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_async_conversations_do_not_mix():
    async def scenario():
        async with puna.AsyncChat(engine="scripted") as one, puna.AsyncChat(engine="scripted") as two:
            return await asyncio.gather(one.send("first"), two.send("second"))

    replies = asyncio.run(scenario())
    assert [reply.text for reply in replies] == ["You said: first", "You said: second"]


@pytest.mark.parametrize("prompt", ["<s>[INST]hello [/INST]", "hello"])
def test_run_streams_to_a_file_and_returns_the_text(prompt):
    out = io.StringIO()
    assert puna.run(prompt, engine="scripted", file=out, temperature=0.6, max_tokens_to_sample=200) == "You said: hello"
    assert out.getvalue() == "You said: hello"


def test_the_raw_setting_holds_for_run_too():
    out = io.StringIO()
    assert puna.run("a b", engine="scripted", prompts="raw", file=out) == "You said: a b"
    with chat(prompts="raw") as talk:
        *_, receipt = talk.complete("a b")
    assert (receipt.written, receipt.format) == ("as-is", "raw")


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(InputError, match="Did you mean 'context'"):
        puna.Chat(contxt=5)


def test_an_endpoint_that_is_not_there_is_told_in_one_sentence():
    with puna.Chat(url="http://127.0.0.1:9") as talk, pytest.raises(EngineError, match="is it up"):
        talk.send("hi")


def test_render_parse_and_translate():
    messages = [{"role": "user", "content": "Hi"}]
    assert puna.render(messages, format="llama2").text == "<s>[INST] Hi [/INST]"
    assert puna.parse("[INST]Hi[/INST]").dialog.as_json() == messages
    translated = puna.translate("<s>[INST] Hi [/INST]", to="chatml")
    assert translated.text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_surface_is_what_it_says():
    for name in puna.__all__:
        assert getattr(puna, name)
    with pytest.raises(AttributeError, match="it has Answer, .*AsyncChat"):
        puna.Chatt  # noqa: B018
