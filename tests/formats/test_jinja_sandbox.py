from datetime import date

import pytest

from puna.errors import DialogError
from puna.formats.jinja import Jinja
from tests.formats.dialogs import dialog

TOOL = "{% set tool = {'name': 'w', 'parameters': {'properties': {'b': {'type': ['string', 'null']}, 'a': {'type': 'number'}}}} %}"


def written(template: str) -> str:
    asked = dialog("Hi", "<think>\nwell\n</think>\n\nHello.", "Bye", system="Be brief.")
    return Jinja(template, "<s>", "</s>", today=date(2026, 11, 22)).text(asked)


# What Jinja 3.1.6 writes in the environment of transformers; 110 templates in use (the 40 of the oracles, and the 70 that
# llama.cpp has in models/templates) were compared with it, each on 72 dialogs, with and without tools, on 2026-11-25.
ORDINARY = [
    ("{{ messages[1:] | length }}{{ messages[-1].content }}{{ messages[0]['role'] }}", "3Byesystem"),
    ("{{ messages[2].content.split('</think>')[-1].lstrip('\n') }}", "Hello."),
    ("{{ messages[2].content.startswith('<think>') }}{{ '</think>' in messages[2].content }}", "TrueTrue"),
    (
        "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role[0] }}{{ loop.last }} {% endfor %}",
        "0uFalse 1aFalse 2uFalse 3sTrue ",
    ),
    ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "4"),
    ("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}", "Hi, Bye"),
    ("{% if messages | selectattr('role', 'equalto', 'nobody') %}as a generator{% endif %}", "as a generator"),
    ("{{ messages | rejectattr('role', 'in', ['user', 'system']) | list | length }}", "1"),
    ("{{ messages | map(attribute='role') | unique | list }}", "['system', 'user', 'assistant']"),
    (
        "{% for role, some in messages | groupby('role') %}{{ role }}{{ some | length }}{% endfor %}",
        "assistant1system1user2",
    ),
    (
        TOOL + "{{ tool | tojson }}",
        '{"name": "w", "parameters": {"properties": {"b": {"type": ["string", "null"]}, "a": {"type": "number"}}}}',
    ),
    (TOOL + "{{ {'é': 1} | tojson(indent=4) }}", '{\n    "é": 1\n}'),
    (TOOL + "{% for k, v in tool.parameters.properties | items %}{{ k }}{{ loop.first }}{% endfor %}", "bTrueaFalse"),
    (
        TOOL + "{% for k, v in tool.parameters.properties | dictsort %}{{ k }}{{ v.type is string }}{% endfor %}",
        "aTruebFalse",
    ),
    (
        TOOL + "{{ tool.parameters.properties.keys() | join('|') }}{{ tool.get('no', 'x') }}{{ 'name' in tool }}",
        "b|axTrue",
    ),
    (
        TOOL + "{{ tool is mapping }}{{ tool.name is string }}{{ [] is iterable }}{{ tool.nope is defined }}",
        "TrueTrueTrueFalse",
    ),
    (TOOL + "{{ tool.nope | default('none') }}{{ '' | default('x', true) }}{{ tool.nope.nope if false }}", "nonex"),
    ("{% macro f(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}", "[1x][12]"),
    (
        "{% macro f(x) %}{% if x is iterable %}{% for y in x %}{{ f(y) }}{% endfor %}{% else %}{{ x }}{% endif %}{% endmacro %}{{ f([1, [2, [3]]]) }}",
        "123",
    ),
    ("{% macro w() %}<{{ caller('q') }}>{% endmacro %}{% call(x) w() %}{{ x }}{% endcall %}", "<q>"),
    ("{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "123"),
    (
        "{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{% filter upper %}b{% endfilter %}{% with c = 2 %}{{ c }}{% endwith %}",
        "A1B2",
    ),
    ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% else %}none{% endfor %}", "HiBye"),
    (
        "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}",
        "Hi",
    ),
    ("{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}{{ range(3) | list }}", "321[0, 1, 2]"),
    (
        "{{ 'a' ~ 1 ~ none }}{{ 'a' * 3 }}{{ [1] + [2] }}{{ 7 // 2 }}{{ 7 % 2 }}{{ 2 ** 3 }}{{ 1 < 2 <= 2 }}{{ 7 / 2 }}",
        "a1Noneaaa[1, 2]318True3.5",
    ),
    ("{{ '%s is %02d' % ('a', 3) }}{{ '%s' | format('b') }}{{ '{}-{x}'.format(1, x=2) }}", "a is 03b1-2"),
    ("{{ ('<a>' | safe) }}{{ '<' + ('a' | safe) }}{{ '<' | e }}", "<a>&lt;a&lt;"),
    ("{{ ' a ' | trim }}{{ 'a b' | title }}{{ 'a,b' | replace(',', ';') }}{{ 'a\nb' | indent(2) }}", "aA Ba;ba\n  b"),
    (
        "{{ [3, 1] | sort }}{{ [3, 1] | max }}{{ [1, 2] | sum }}{{ [1, 2] | first }}{{ [1, 2] | last }}{{ '7' | int + 1 }}",
        "[1, 3]33128",
    ),
    (
        "{{ {'a': [1, 'x', none, true, 1.5]} }}{{ (1,) }}{{ messages[0].items() | list }}",
        "{'a': [1, 'x', None, True, 1.5]}(1,)[('role', 'system'), ('content', 'Be brief.')]",
    ),
    (
        "{{ strftime_now('%d %b %Y, %-d') }}{{ bos_token }}{{ tools is none }}{{ date_string is defined }}",
        "22 Nov 2026, 22<s>TrueFalse",
    ),
    (
        "{% if false %}{{ messages | random }}{% endif %}what is not reached is not missed",
        "what is not reached is not missed",
    ),
]


@pytest.mark.parametrize(("template", "text"), ORDINARY)
def test_what_chat_templates_use_works_as_in_jinja(template: str, text: str) -> None:
    assert written(template) == text


@pytest.mark.parametrize(
    "template",
    [
        *("{{ ''.__class__ }}", "{{ ''['__class__'] }}", "{{ cycler.__init__.__globals__ }}", "{{ f.__globals__ }}"),
        *("{% block x %}{% endblock %}", "{% include 'x' %}", "{% import 'x' as x %}", "{% from 'x' import y %}"),
        *("{% extends 'x' %}", "{% autoescape true %}{% endautoescape %}", "{{ f(*a) }}", "{{ a | join(**b) }}"),
        *(
            "{{ [1] | random }}",
            "{{ '' | attr('x') }}",
            "{{ 1 | pprint }}",
            "{{ 'x' | urlize }}",
            "{{ 1 is nonsense }}",
        ),
    ],
)
def test_what_no_chat_template_needs_is_not_there(template: str) -> None:
    with pytest.raises(
        DialogError, match="a chat template must be one that the sandbox can run, but this one is not: "
    ):
        Jinja(template)


WALKS = [
    *(
        "{{ (''['__cl' ~ 'ass__']).x }}",
        "{{ (messages['__cl' ~ 'ass__']).x }}",
        "{{ (namespace()['__cl' ~ 'ass__']).x }}",
    ),
    *("{{ (range['__cl' ~ 'ass__']).x }}", "{{ (none['__cl' ~ 'ass__']).x }}", "{{ ((1)['__cl' ~ 'ass__']).x }}"),
    *(
        "{{ (messages | map(attribute='__class__') | first).x }}",
        "{{ (messages | map(attribute='0.__class__') | first).x }}",
    ),
    *(
        "{{ (([1] | map('string'))['gi_frame']).x }}",
        "{{ (messages[0].items()['mapping']).x }}",
        "{{ ''.upper.owner.x }}",
    ),
    *(
        "{% for x in [1] %}{{ loop._iterable.x }}{% endfor %}",
        "{% for x in [1] %}{{ (loop['_undefined']).x }}{% endfor %}",
    ),
    *("{% macro f() %}{% endmacro %}{{ f._func.x }}", "{% macro f() %}{% endmacro %}{{ f['_environment'].x }}"),
    *(
        "{{ self._TemplateReference__context.x }}",
        "{{ self }}",
        "{{ nope._undefined_obj }}",
        "{{ messages[9]._undefined_obj }}",
    ),
    *(
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0[a]}'.format({}) }}",
        "{{ ''.format_map({}) }}",
        "{{ '%(a.b)s' % {} }}",
    ),
    *(
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ messages[0].pop('role') }}",
        "{{ ''.encode().x }}",
    ),
    *(
        "{{ namespace }}",
        "{{ ''.upper }}",
        "{{ [messages.index] }}",
        "{{ namespace(a=1) | tojson }}",
        "{{ [1] | map('list') }}",
    ),
    *(
        "{{ lipsum() }}",
        "{{ cycler(1) }}",
        "{{ dict.fromkeys([1]) }}",
        "{{ 1(2) }}",
        "{{ ''() }}",
        "{{ strftime_now('\x00%q') }}",
    ),
]


@pytest.mark.parametrize("template", WALKS)
def test_no_walk_leads_out_of_the_values_that_a_template_is_given(template: str) -> None:
    with pytest.raises(DialogError, match="the model's chat template refuses this dialog: "):
        written(template)


def test_a_deep_chain_of_values_is_given_back_without_a_crash() -> None:
    for link in ("[ns.x]", "{'a': ns.x}", "namespace(a=ns.x)", "{'b': ns.x}.a", "{'b': ns.x}.get", "(ns.x,)"):
        chain = f"{{% for i in range(60000) %}}{{% set ns.x = {link} %}}{{% endfor %}}"
        assert written(f"{{% set ns = namespace(x={{}}) %}}{chain}done") == "done"


def test_a_template_keeps_nothing_from_one_render_to_the_next() -> None:
    form = Jinja("{% for i in range(20000) %}{{ messages[0].content }}{% endfor %}")
    assert {form.text(dialog("q")) for _ in range(20)} == {"q" * 20_000}
