"""Which family a written prompt is of, by the tags in it and the way they are put together.

The evidence is what stands around contents: tags with nothing but whitespace between them (a seam). Of all the tag
characters in the text, one share stands in seams with the tags of one of the family's own, another one in seams that have
the family's whitespace too. ``</s><s>[INST] `` speaks for Llama 2, ``</s> [INST] `` for Mistral v1, and
``<s>[INST] q [/INST]`` alone for several.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from puna.formats.base import Format
from puna.formats.tags import BOS

PREFERENCE = 0.2
"""What the preferred family needs less of evidence, in [0, 2], where it has any. Small enough that whitespace too much, as
in ``<s> [INST] q [/INST]``, leaves a prompt to the family that writes it so, here Mistral v1."""

_FORGIVEN = 1.9
"""What a seam of the preferred family is worth without some of its whitespace, which people forget: ``<s>[INST]q[/INST]``
is a Llama 2 prompt that lacks spaces before it is one of Mistral's that lacks none."""

_OWN_WORDS = 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family that the text may be of.

    evidence: [0, 2]; 2 where every tag stands just as the family writes it. headed: the tags that begin a user's message
    are all there; ``<|im_sep|>`` of Phi-4, say, is not in a ChatML prompt. decided: something is there that no other family
    writes. rank: the evidence with everything else that speaks for the family.
    """

    form: Format
    evidence: float
    headed: bool
    decided: bool = False
    rank: float = 0.0


def candidates(text: str, forms: Iterable[Format], preferred: str, only: Format | None = None) -> list[Candidate]:
    """The families of which a tag is in the text, those with the most evidence first, the others in the given order.

    preferred: the name of the family that needs less evidence. only: the one that is asked about.

    A family's own system sentence in the text is evidence beyond the tags. Linear in the length of the text.
    """
    known = list(forms)
    text = _DOUBLED.sub(r"\1", text, count=1)  # a slip of every family, and evidence of none
    tags = frozenset(tag for form in known for tag in form.tags)
    seams = _seams_in(text, tags, frozenset(tag for form in known for tag in form.headers))
    here = {tag for seam, _ in seams for tag in _any_of(tags).findall(seam[0])}
    total = sum(count * size for (_, size), count in seams.items())
    found: list[Candidate] = []
    for form in known if only is None else [only]:
        if not here.isdisjoint(form.tags):
            signed = bool(form.own_words) and re.search(form.own_words, text) is not None
            first = form.name == preferred
            evidence = sum(n * size * _worth(form, seam, forgiving=False) for (seam, size), n in seams.items()) / total
            rank = evidence + (_OWN_WORDS if signed else 0.0) + (_FRAMED if _is_framed(form, text) else 0.0)
            if first and evidence:
                lenient = (
                    sum(n * size * _worth(form, seam, forgiving=True) for (seam, size), n in seams.items()) / total
                )
                rank += lenient - evidence + PREFERENCE
            decides = bool(form.decisive) and re.search(form.decisive, text) is not None
            rank += _DECISIVE if decides else 0.0
            found.append(Candidate(form, evidence, here.issuperset(form.headers), decides, rank))
    return ranked(found)


def ranked(found: Iterable[Candidate]) -> list[Candidate]:
    """The candidates in the order in which they are to be tried."""
    return sorted(found, key=lambda candidate: (not candidate.headed, -candidate.rank))


Seam = tuple[str, bool, bool]
"""Tags and the whitespace around them; whether the text begins with them; whether it ends with them."""


@cache
def _any_of(tags: frozenset[str]) -> re.Pattern[str]:
    # Also a word such as "USER:" is looked for as it stands: a word boundary would make the search five times slower.
    return re.compile("|".join(map(re.escape, sorted(tags, key=len, reverse=True))))


_REST, _REST_OF_HEADER = re.compile(r"\s*"), re.compile(r"(?:(?:system|user|assistant|model)\b)?\s*")
"""What may stand between two tags of a seam, or after its last: whitespace, and the role in a header."""

_DOUBLED = re.compile(r"\A(<s>|<bos>|<\|begin_of_text\|>|<\uff5cbegin\u2581of\u2581sentence\uff5c>)(?:\s*\1)+")

_DECISIVE, _FRAMED = 2.0, 1.0
"""What it is worth that the text has something that only this family writes; and that it begins and ends as its prompts do,
whatever tags the messages between may speak of."""


def _seams_in(text: str, tags: frozenset[str], headers: frozenset[str]) -> Counter[tuple[Seam, int]]:
    """How often each seam is in the text, with how many characters of it are tags."""
    found: Counter[tuple[Seam, int]] = Counter()
    start = end = size = 0
    for match in _any_of(tags).finditer(text):
        if size and match.start() != end:
            found[_seam(text, start, end), size] += 1
            size = 0
        if not size:
            start = match.start()
        size += match.end() - match.start()
        rest = (_REST_OF_HEADER if match.group() in headers else _REST).match(text, match.end())
        end = rest.end() if rest else match.end()
    if size:
        found[_seam(text, start, end), size] += 1
    return found


def _seam(text: str, start: int, end: int) -> Seam:
    while start and text[start - 1].isspace():
        start -= 1
    return text[start:end], start == 0, end == len(text)


def _worth(form: Format, seam: Seam, *, forgiving: bool) -> float:
    """2 for a seam of the family's, 1 for one that differs in whitespace, else 0."""
    text, at_start, at_end = seam
    exact, bare = _patterns(form, at_start, at_end)
    if not bare.fullmatch("".join(text.split())):
        return _FORGIVEN if forgiving and _lacks_bos(text, form) else 0
    if exact.fullmatch(text):
        return 2
    return _FORGIVEN if forgiving and _lacks_only(text, form) else 1


def _lacks_bos(text: str, form: Format) -> bool:
    """Whether the seam is the family's, but for ``<s>``, which people leave to the server, or write only once."""
    return any(text == seam.replace(BOS, "") != seam for seams in form.seams for seam in seams)


def _is_framed(form: Format, text: str) -> bool:
    start, end = "".join(text[:200].split()), "".join(text[-200:].split())
    openings, _, endings = _bare_seams(form)
    begins = any(start.startswith(opening) for opening in openings if opening != BOS)
    return begins and any(map(end.endswith, endings))


@cache
def _bare_seams(form: Format) -> tuple[frozenset[str], ...]:
    return tuple(frozenset("".join(seam.split()) for seam in seams) - {""} for seams in form.seams)


def _lacks_only(text: str, form: Format) -> bool:
    """Whether some seam of the family has all the whitespace that this one has, and more."""
    own = (seam for seams in form.seams for seam in seams)
    return any(_is_within(text, seam) for seam in own if "".join(seam.split()) == "".join(text.split()))


def _is_within(short: str, long: str) -> bool:
    characters = iter(long)
    return all(character in characters for character in short)


@cache
def _patterns(form: Format, at_start: bool, at_end: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Seams as they stand, and without whitespace. Several in a row have empty contents between them."""
    openings, betweens, endings = form.seams
    exact = [_one_of(openings), _one_of(betweens), _one_of(endings)]
    bare = [_one_of({"".join(seam.split()) for seam in seams}) for seams in (openings, betweens, endings)]
    return tuple(  # type: ignore[return-value]  # two of them
        re.compile(f"{f'(?:{first})?' if at_start else ''}(?:{middle})*{f'(?:{last})?' if at_end else ''}")
        for first, middle, last in (exact, bare)
    )


def _one_of(seams: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(set(seams) - {""}, key=len, reverse=True)))
