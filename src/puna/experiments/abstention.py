"""Whether an output declines or says that it does not know. Knows English sentences; no model, no prompt and no row.

No list of phrases, which misses "the passage gives no date" and finds "I don't know," said the llama. The rules, in order:

1. What stands in quotation marks is somebody else's, unless it is the whole output. Contractions are written out ("don't": do not).
2. A clause abstains where somebody who can answer, in the present tense, denies what an answer takes:
   - the speaker (I, we) denies knowing, being sure, being able or willing to tell, having information;
   - the source (text, passage, question, my knowledge ...) does not say, mention, contain, or is silent;
   - the thing asked for is not given, known, clear, available, or cannot be answered or told;
   - or the speaker asks back what was meant.
   What is denied must fit: "I do not know fear", "I can't wait" and "it is not possible to breathe there" are statements.
3. It counts in the first two sentences, where an answer declines, or in the last one, where it ends with what it does not know.
4. It does not count where "but", "however" or the like leads from it to a statement: "I don't know the day, but it was in March". An
   offer is none ("but I can help you look", "however, you can check").

What is neither, such as a made-up answer, is not judged: that an answer is given does not make it right.
"""

from __future__ import annotations

import re

from puna.experiments.denials import denies

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u00ab\u00bb", '\'\'""""')
_QUOTED = re.compile(r'"[^"]*"')
_MARKUP = re.compile(r"[*_#>`]+")
_LABEL = re.compile(r"^\s*(?:answer|a|response)\s*:\s*", re.IGNORECASE)
_SHORT = (
    (re.compile(r"\bcan(?:not|'t)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bain't\b"), "is not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"\b(it|that|there|what|here)'s\b"), r"\1 is"),
)

_TURNS = re.compile(r"\b(?:but|however|though|although|nevertheless|nonetheless|still|yet|that said)\b")
_SUPPOSES = re.compile(r"(?:if (?:it is|that is|this is|you mean)|assuming)\b.*,")
"""An answer after a question: "Which one do you mean? If it is the old one, it was built in 1889."."""
_OFFER = re.compile(
    r"^\W*(?:(?:i|we) (?:can|could|will|would|may|might|do|am|hope|suggest|recommend|think)\b|you (?:can|could|may|might|should|will)\b|please\b|"
    r"perhaps\b|maybe\b|if\b|let me\b|feel free\b|thank|sorry\b|i am sorry\b|check\b|try\b)"
)


def abstains(text: str) -> bool:
    """Whether the text declines, or says that it does not know; for English, by the rules above."""
    sentences = _sentences(text)
    looked_at = {*range(min(2, len(sentences))), len(sentences) - 1} if sentences else set()
    return any(_declines(sentences, at) for at in looked_at)


def _sentences(text: str) -> list[str]:
    """The sentences of a text in lower case, quotations taken out and contractions written out."""
    plain = _MARKUP.sub("", text.translate(_QUOTES)).strip()
    plain = _LABEL.sub("", plain)
    if plain.count('"') == 2 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    plain = _QUOTED.sub(" quoted ", plain).casefold()
    for short, long in _SHORT:
        plain = short.sub(long, plain)
    return [" ".join(part.split()) for part in re.split(r"[.!?\n]+(?=\s|$)", plain) if part.strip(" .!?\n")]


def _declines(sentences: list[str], at: int) -> bool:
    """Whether a sentence abstains, and nothing behind it turns to an answer."""
    found = None
    for clause in _clauses(sentences[at]):
        if denies(clause.strip()):
            found = clause
        elif found is not None and _answers(clause):
            return False
    if found is None:
        return False
    after = sentences[at + 1] if at + 1 < len(sentences) else ""
    return not (_SUPPOSES.match(after) or (_TURNS.match(after) and _answers(after)))


def _clauses(sentence: str) -> list[str]:
    """A sentence cut before its turns and at its commas, colons and semicolons."""
    cut = _TURNS.sub(lambda turn: f",{turn.group()}", sentence)
    return [part for part in re.split(r"[,;:]|\s-+\s|\u2014", cut) if part.strip()]


def _answers(clause: str) -> bool:
    """Whether a clause that turns away from an abstention makes a statement, and is no offer or abstention itself."""
    turn = _TURNS.match(clause.strip())
    said = clause.strip()[turn.end() :].strip(" ,") if turn else ""
    return bool(said) and not _OFFER.search(said) and not denies(said)
