"""The Python surface, on the scripted engine."""

import asyncio
import io

import pytest

import puna
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


def test_settings_of_a_local_model_do_not_go_with_a_url():
    with pytest.raises(InputError, match="model"):
        puna.Chat(url="http://127.0.0.1:1", model="x")


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
    with pytest.raises(AttributeError, match="it has AsyncChat"):
        puna.Chatt  # noqa: B018
