"""Words that carry content, as they are compared."""

import pytest

from puna.context.words import content_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The llamas live in the Andes.", ["llama", "live", "ande"]),
        ("Bolivia's cities, buses, glasses, Cusco", ["bolivia", "city", "buse", "glasse", "cusco"]),
        ("It costs 3,500.50 or three, not 17:30", ["cost", "3500.50", "3", "not", "17:30"]),
        ("CAF\u00c9 caf\u00e9 cafe\u0301 \uff11\uff12 \ufb01ne", ["caf\u00e9", "caf\u00e9", "caf\u00e9", "12", "fine"]),
        ("K-40 COVID-19 don\u2019t", ["k-40", "covid-19", "don't"]),
        ("\u7f8a\u9a7c hums", ["\u7f8a", "\u9a7c", "hum"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd"],
        ),
        (
            "\u0e1e\u0e39\u0e14\u0e44\u0e17\u0e22 x",
            ["\u0e1e\u0e39\u0e14", "\u0e14\u0e44", "\u0e44\u0e17", "\u0e17\u0e22", "x"],
        ),
        ("\u0e01 \u0e02", ["\u0e01", "\u0e02"]),
        ("", []),
    ],
)
def test_words_are_compared_in_one_form(text, expected):
    assert [word.text for word in content_words(text)] == expected


def test_a_word_knows_its_place():
    text = "They carry 30 kilograms."
    assert [text[word.start : word.end] for word in content_words(text, 5)] == ["carry", "30", "kilograms"]
