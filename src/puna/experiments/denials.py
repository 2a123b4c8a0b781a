"""How English denies what an answer takes: clauses by which a speaker, a source or a thing asked for abstains. Knows one clause at a time.

Patterns read clauses in lower case, single spaces, contractions written out. Each names who denies and what is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _any(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


def _words(text: str) -> str:
    return _any(*text.split())


_ADVERBS = rf"(?:{_words('also currently honestly just personally really simply still truly unfortunately yet')} )*"
_STRESSED = rf"(?:{_words('actually clearly directly explicitly specifically')} )*"
_FEW = r"(?:[\w-]+ ){0,3}?"

_QUESTION = _words("which what who whom whose when where why how whether if")
_OBJECT = _any(
    _QUESTION, _words("a an any anything enough it much of such that the these this those your you about for from yet")
)
_AWARE_OF = _any(_QUESTION, f"of {_words('any such that this it')}")
_INFORMATION = _any(
    _words(
        "ability access answers? capability clue context data details? expertise idea information knowledge means memory mention record"
    ),
    _any("way of knowing", "way to tell"),
)
_SELF = _words("beliefs? emotions feelings name opinions? preferences?")
_TELL = _words(
    "address answer assist comment comply confirm describe determine disclose discuss engage explain fulfil+ guess help identify predict "
    "provide recall remember reveal share speculate verify"
)
_PICTURE = _words("images? photos? pictures?")
_LOOK = _any(
    _words("access browse hear open"), "look (?:into|up|it up|that up)", rf"see (?:the |your |that |any )?{_PICTURE}"
)
_ABLE = _any(_words("able allowed authori[sz]ed comfortable permitted qualified"), "in a position")
_SAY = _any(
    _words(
        "address answer contain cover disclose discuss explain extend give include indicate list mention provide reveal say specify"
    ),
    _words("state tell"),
    "go into",
    "touch on",
)
_SAID = _words("disclosed given mentioned provided specified stated")
_SOURCE = _any(
    _words(
        "articles? authors? contexts? documents? excerpts? information materials? paragraphs? passages? prompts? questions? sentences? sources? texts?"
    ),
    _words("conversation description details? knowledge message nothing page report story"),
    "training data",
)
_IN_IT = f"in the {_SOURCE}"

_SPEAKER = (
    # to know
    rf"do {_ADVERBS}not {_ADVERBS}{_words('know understand recall remember')}(?! about you\b)(?:$| {_OBJECT}\b)",
    rf"do not {_words('think believe')} {_words('i we the that this it')} (?:{_SOURCE} )?{_words('can know says? mentions? tells?')}\b",
    rf"am {_ADVERBS}not {_ADVERBS}{_words('sure certain')}(?:$| {_any(_QUESTION, 'about', 'of', 'that')}\b)",
    rf"am {_ADVERBS}not {_ADVERBS}{_any(f'aware {_AWARE_OF}', 'familiar with')}\b",
    rf"(?:am|are) {_words('unfamiliar unaware uncertain unsure')}\b",
    r"have (?:not|never) (?:ever )?(?:heard|seen|read|come across|been told|been given|been shown)\b",
    rf"(?:am|are) not {_words('told given shown')}\b",
    r"know nothing(?:$| (?:of|about)\b)",
    # to have
    rf"{_any('do not have', 'do not hold', 'do not possess', 'lack')} {_FEW}{_any(_INFORMATION, _SELF)}(?![\w-])",
    r"do not have(?:$| (?:that|this|it|one)$)",
    rf"have {_ADVERBS}(?:no|not (?:any|an?|the)|never had (?:any|an?|the)) {_FEW}{_INFORMATION}(?![\w-])",
    rf"have not the {_words('faintest slightest foggiest')}\b",
    r"(?:am|seem to be) missing\b",
    rf"(?:(?:will|would) )?need (?:to (?:know|see)|(?:some )?(?:more|further|additional) (?:\w+ )?{_INFORMATION})\b",
    # to be able or willing to tell
    rf"{_words('can could will would')} {_ADVERBS}(?:not|neither) {_ADVERBS}(?:in [\w ]{{1,20}} )?{_any(_TELL, _LOOK)}\b(?! (?:but|\w+ing)\b)",
    r"(?:can|could|will) not do (?:that|this|so|it)\b",
    rf"(?:can|will|do) only {_words('answer discuss help speak talk')}\b|only answer questions\b",
    rf"do not (?:want|wish|like|care) to {_any(_TELL, _words('say tell talk'))}\b",
    r"do not feel (?:comfortable|qualified|able)\b",
    rf"{_words('can could will')} {_ADVERBS}not {_ADVERBS}say(?:$| {_any(_QUESTION, _words('anything exactly for much'))}\b)",
    rf"{_words('can could')} {_ADVERBS}not {_ADVERBS}{_words('tell give offer find')}\b(?! the {_words('path road way')}\b)",
    rf"will not {_words('write tell give offer')}\b(?! anyone\b)",
    rf"(?:am|are) {_ADVERBS}not {_ADVERBS}{_ABLE}\b(?!-)",
    rf"(?:am|are) not {_words('designed going here prepared programmed willing')} to {_any(_TELL, 'say', 'tell', 'do')}\b",
    r"(?:am|are) unable\b|(?:was|were) (?:unable|not able) to (?:find|locate)\b",
    r"(?:must|have to|will|need to|should) (?:\w+ly )?(?:decline|refuse)\b",
    rf"{_words('decline refuse')} to {_any(_TELL, 'say', 'tell')}\b",
    r"would rather not\b",
    r"(?:think i )?(?:will|would|must|have to) pass on\b",
)

_ELIDED = (
    rf"\b(?:i|we) (?:am|are)\b.{{0,60}} (?:and|so) can not {_any(_TELL, _LOOK, _words('tell give'))}\b",
    rf"^can not {_any(_TELL, 'tell', 'say')}\b(?! but\b)",
    r"^(?:do not know|have not (?:heard|the (?:faintest|slightest|foggiest)))\b",
)
"""The speaker stands once for two verbs, "I am a model and can not see", or goes without saying: "Can't say"."""

_SOURCES = (
    rf"(?:{_words('do does can')} not|never) (?:(?:seem|appear) to )?{_STRESSED}{_SAY}s?\b(?! only\b)",
    rf"{_any('makes? no mention', 'says? nothing', 'tells? (?:me |us )?nothing')}\b",
    r"leaves? [\w ]{1,25} open\b",
    rf"{_words('gives? contains? provides? offers? mentions?')} no\b|has no {_INFORMATION}(?![\w-])",
    rf"(?:is|are|remains?) {_any(_words('absent insufficient lacking missing silent unanswerable unavailable unclear unknown'), 'not clear')}\b",
    r"(?:is|are) not (?:enough|sufficient)(?:$| (?:to|for)\b)",
    r"(?:is|are) not (?:in|part of) the\b",
)

_IT_DENIES = _any(
    f"does not {_words('mention say specify state')}",
    "does not tell (?:me|us)",
    "says nothing",
    "makes no mention",
    "gives no",
)
_IT = rf"\bit {_IT_DENIES}\b"
"""A source that was named before."""

_THINGS = (
    rf"\b(?:is|are) not {_STRESSED}{_SAID}\b(?! (?:away|by|to)\b)",
    rf"\b(?:it|this|that) is {_any('not clear', 'unclear', 'unknown', 'not known')}(?:$| {_any(_QUESTION, 'from', 'in', 'to me')}\b)",
    r"^(?:whether|what|who|when|where|why|how)\b.{1,80} (?:is|remains) (?:unclear|unknown|open|not (?:clear|known))\b",
    r"\bis (?:a mystery|a riddle|news|unknown|unclear) to (?:me|us)\b|\bguess is as good as mine\b",
    rf"^no (?:\w+ ){{1,3}}(?:is|are) {_SAID}\b",
    rf"\b(?:nothing|nowhere|none|not something)\b (?:\w+ ){{0,4}}?{_SOURCE} (?:\w+ ){{0,5}}?(?:{_SAY}s?|{_SAID}|talks? about)\b",
    (
        rf"\b{_words('information details? data date price that this it')} is not (?:publicly )?{_words('available known')}"
        rf"(?:$| {_any('to me', 'from', 'here', _IN_IT)}\b)"
    ),
    rf"\bneither\b.{{0,80}} (?:is|are|was|were) {_any(_SAID, _words('available clear included indicated known listed revealed'))}\b",
    rf"\b(?:can|could) not be {_words('answered determined inferred deduced established derived')}\b",
    rf"\b{_any('impossible', 'not possible', 'no way')} (?:for me )?to {_words('answer determine know say tell')}\b",
    (
        rf"\bthere (?:is|are) (?:{_words('simply just currently')} )?{_any('no', 'not any', 'not enough', 'nothing', 'insufficient')} {_FEW}"
        rf"{_any(_words('information mention details? indication data'), 'about (?:that|this|it)', 'way to (?:know|tell|say)', _IN_IT)}\b(?! too\b|-)"
    ),
    (
        rf"\b{_any('no', 'not enough', 'insufficient')} {_words('information details? data context answer')} (?:(?:about|on) [\w ]+ )?"
        rf"(?:(?:is|are|can be) )?{_any(_SAID, _words('available found about on'), 'in the')}\b"
    ),
    r"\b(?:answer|detail|information)s? (?:is|are) not (?:in|here|there|part)\b",
    r"\bnot something (?:that )?(?:i|we) (?:am|can|could|know)\b",
    rf"\b(?:beyond|outside)(?: of)? (?:what i (?:am|can|know)|(?:the scope of )?my (?:area of )?{_words('abilit capabilit competence expertise knowledge scope training')})",
    r"\byou (?:have )?(?:not|never|did not) (?:yet )?(?:gave|given|mention(?:ed)?|provided?|said|say|shared?|specif(?:y|ied)|tell|told|give)\b",
    r"\b(?:inappropriate|not appropriate|wrong) for me to\b",
)

_BARE = _any(
    _words("unknown unsure n/?a unanswerable"),
    _any("no idea", "no answer", "none given", "no comment", "not that (?:i|we) (?:know|am aware) of"),
    f"not {_words('sure stated given mentioned specified known available provided')}",
    f"(?:not enough|no|insufficient) {_words('information context data details?')}(?: {_words('given provided available')})?",
    "can not (?:say|answer|tell|be determined)",
)
"""A whole clause without a verb of its own."""

_MORE = (
    rf"(?:{_any('some', 'any', 'a bit', 'a little')} )?{_words('more additional further the some')} (?:\w+ )?"
    rf"{_words('context details? information')}"
)
_ASKS_BACK = (
    rf"\b{_words('could can would will')} you (?:please |kindly )?{_any('clarify', 'elaborate', 'specify', 'rephrase')}\b",
    rf"\b{_words('could can would will')} you (?:please |kindly )?tell me (?:more|what|which|who)\b",
    rf"\b{_words('could can would will')} you (?:please |kindly )?{_words('provide give share')} (?:(?:with )?(?:me|us) )?(?:with )?{_MORE}\b",
    rf"^(?:please )?(?:clarify|specify) {_words('what which who')}\b",
    r"^please (?:give|paste|provide|send|share|upload) (?:me |us )?(?:with )?(?:the|your|more|some)\b",
    rf"\b{_words('which what who')} {_FEW}{_any('do you mean', 'are you (?:referring|talking)')}\b",
)


def _behind(who: str, denied: Iterable[str]) -> list[str]:
    return [who + one for one in denied]


_DENIES = re.compile(
    "|".join(
        (
            *_behind(rf"\b(?:i|we) {_ADVERBS}", _SPEAKER),
            *_ELIDED,
            *_behind(rf"\b{_SOURCE} (?:(?!(?:but|and|who|which|that)\b)[\w-]+ ){{0,6}}?", _SOURCES),
            _IT,
            *_THINGS,
            rf"^(?:{_words('sorry unfortunately hmm well')} )?{_BARE}$",
            *_ASKS_BACK,
        )
    )
)


_SUPPOSED = re.compile(r"(?:if|in case|unless|when|whenever|what (?:i|we|you)|to)\b")
"""How a clause begins that supposes or names something and says nothing yet."""


def denies(clause: str) -> bool:
    """Whether a clause denies what an answer takes."""
    return _SUPPOSED.match(clause) is None and _DENIES.search(clause) is not None
