"""Hostile templates, each of which must be refused in bounded time and memory. Run as a program, it runs them fenced.

Fenced: each in a process of its own, which the system ends past ``CPU_SECONDS``, and gives no more than ``ADDRESS_BYTES``.
"""

import json
import os
import resource
import sys
from datetime import date

from puna.errors import DialogError
from puna.formats.jinja import Jinja
from puna.messages import Dialog, Message, Role

CPU_SECONDS = 5
ADDRESS_BYTES = 1 << 30
RESIDENT_BYTES = 300 << 20


def _laughs(use: str, kind: str = "[{0}, {0}]") -> str:
    """Two values that print as 2**60 letters, and what is done to them."""
    grow = "".join(f"{{% set ns.{name} = {kind.format('ns.' + name)} %}}" for name in "xy")
    return f"{{% set ns = namespace(x='a', y='a') %}}{{% for i in range(55) %}}{grow}{{% endfor %}}{use}"


def _loop(body: str, turns: int = 100_000) -> str:
    head = "{% set long = 'x' * 100000 %}{% set wide = 'é🦙' * 50000 %}{% set many = range(100000) | list %}"
    return f"{head}{{% set words = range(1000) | map('string') | list %}}{{% for i in range({turns}) %}}{body}{{% endfor %}}"


def _grow(step: str) -> str:
    return f"{{% set n = namespace(x='abcd' * 999, l=['a'], y=0) %}}{{% for i in range(60) %}}{step}{{% endfor %}}"


WORK = [
    # loops, and what loops without being one
    "{% for i in range(10**9) %}a{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) if range(99999) | map('string') | list %}{% endfor %}",
    "{% for i in range(99999) if 'a' * 99999 == 'a' * 99999 %}{% endfor %}",
    *(
        _loop(f"{{% set q = {work} %}}")
        for work in (
            *(
                "many | sum",
                "many | unique | list",
                "-1 in many",
                "'no' in words",
                "words | sort",
                "many | max",
                "many == many[:]",
            ),
            *(
                "words | groupby(0)",
                "words | map('upper') | list",
                "many | select('odd') | list",
                "many[::2]",
                "many * 2",
            ),
            *(
                "many + many",
                "many | reverse | list",
                "many | batch(2) | list",
                "many | slice(9) | list",
                "many | tojson",
            ),
            *(
                "many | string",
                "many | join(',')",
                "','.join(words)",
                "many.index(99999)",
                "many.count(1)",
                "many | list",
            ),
            *("dict(many | batch(2))", "words | map(attribute='0.0.0') | list", "many < many[:]", "[many] | string"),
            *(
                "long.upper()",
                "wide | lower",
                "wide.title()",
                "wide | title",
                "long.replace('x', 'y')",
                "long.split('x')",
            ),
            *(
                "long.splitlines()",
                "wide | list",
                "wide | tojson",
                "long.strip('zyx')",
                "long | indent",
                "('<' * 99999) | e",
            ),
            *(
                "long ~ long",
                "long + long",
                "'%s' % long",
                "'{}'.format(long)",
                "long.center(99999)",
                "long | truncate(9)",
            ),
            *("long + 'a' == long + 'b'", "long + 'a' < long + 'b'", "(long | safe) == long ~ ''", "wide is upper"),
            *("long.find('x' * 90 ~ 'y' ~ 'x' * 90)", "long.rfind('y' ~ 'x' * 5000)", "long.count('x' * 9 ~ 'y')"),
            *("long.strip(long ~ 'a')", "(long | safe) + long", "[long | safe] | join", "{wide ~ i: 1}", "long[1:]"),
            *("('9' * 4000) | int(5)", "long.startswith((long, long))", "messages | map('tojson', indent=9) | list"),
        )
    ),
    _loop("{{ messages[0].content * 9999 }}"),
    _loop("{% set q %}{{ long }}{% endset %}"),
    _loop("{% filter upper %}{{ wide }}{% endfilter %}"),
    _loop("{% for c in wide %}{% endfor %}"),
    # calls
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
    "{% for a in messages recursive %}{{ loop(messages) }}{{ loop(messages) }}{% endfor %}",
    # long at one stroke
    *("{{ 'a' * 10**9 }}", "{{ messages * 10**9 }}", "{{ 9 ** 999999999 }}", "{{ 9 ** 9 ** 9 }}", "{{ 2 ** 60 }}"),
    *(
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ 'é'.ljust(10**9) }}",
    ),
    *("{{ '%1000000000d' % 1 }}", "{{ '%1000000000d' | format(1) }}", "{{ '%*d' % (1000000000, 1) }}"),
    *("{{ '%.1000000000f' % 1 }}", "{{ '%(a(b))1000000000s' % {} }}", "{{ '%1000000000d' is even }}"),
    *("{{ '{:1000000000}'.format(1) }}", "{{ '{0:{1}}'.format(1, 10**9) }}", "{{ [1] | tojson(indent=10**9) }}"),
    *("{{ [1] | tojson(indent='x' * 10**6) }}", "{{ [1, 2] | tojson(separators=('x' * 10**6, ':')) }}"),
    *("{{ 123 | round(-999999999) }}", "{{ 1.5 | round(999999999, 'ceil') }}", "{{ [1] | batch(10**9, 0) | list }}"),
    *("{{ [1] | slice(10**9) | list }}", "{{ 'a\nb' | indent(10**9) }}", "{{ range(10**9) | list }}"),
    *("{{ strftime_now('%9999999999d') }}", "{{ strftime_now('%d' * 1000) }}", "{{ strftime_now('%s') }}"),
    "{% filter center(1000000000) %}a{% endfilter %}",
    "{{ ('a' * 9999) | map('center', 99999) | list | length }}",
    # growth
    _grow("{% set n.x = n.x + n.x %}"),
    _grow("{% set n.x = n.x ~ n.x %}"),
    _grow("{% set n.x = n.x | replace('a', n.x) %}"),
    _grow("{% set n.x = n.x.replace('', n.x) %}"),
    _grow("{% set n.x = [n.x, n.x] | join %}"),
    _grow("{% set n.x = n.x.join([n.x, n.x]) %}"),
    _grow("{% set n.x = '%s%s' % (n.x, n.x) %}"),
    _grow("{% set n.x = '{0}{0}'.format(n.x) %}"),
    _grow("{% set n.x = (n.x | safe) + n.x %}"),
    _grow("{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}"),
    _grow("{% set n.l = n.l + n.l %}"),
    _grow("{% set n.l = n.l * 2 %}"),
    _grow("{% set n.x = [n.x] | tojson %}"),
    _grow("{% set n.x = n.x | e | replace('a', '&') %}"),
    _grow("{% set n.y = (n.y + 3) * (n.y + 3) %}"),
    # few values that look like many
    *(
        _laughs(use)
        for use in (
            *("{{ ns.x }}", "{{ ns.x ~ 'a' }}", "{{ ns.x | string }}", "{{ ns.x == ns.y }}", "{{ ns.x != ns.y }}"),
            *("{{ ns.x < ns.y }}", "{{ ns.x in [ns.y] }}", "{{ [ns.x].count(ns.y) }}", "{{ [1].index(ns.x) }}"),
            *(
                "{{ ns.x | tojson }}",
                "{{ ns.x | tojson(indent=1) }}",
                "{{ [ns.x, ns.y] | sort }}",
                "{{ [ns.x, ns.y] | max }}",
            ),
            *(
                "{{ '%s' % ns.x }}",
                "{{ '{}'.format(ns.x) }}",
                "{{ [ns.x] | join }}",
                "{{ ns.x | upper }}",
                "{{ ns.x | e }}",
            ),
            *("{{ ns.x is eq ns.y }}", "{{ ns.x is in [ns.y] }}", "{{ ns.x is lower }}", "{{ raise_exception(ns.x) }}"),
            *("{{ [[ns.x, 1], [ns.y, 2]] | groupby(0) }}", "{{ {'a': ns.x, 'b': ns.y} | dictsort(by='value') }}"),
            "{% for i in [ns.x, ns.y] %}{{ loop.changed(i) }}{% endfor %}",
            "{{ {'a': ns.x}.items() == {'a': ns.y}.items() }}",
        )
    ),
    _laughs("{{ {ns.x: 1} }}", "({0}, {0})"),
    _laughs("{{ ns.x in {} }}", "({0}, {0})"),
    _laughs("{{ [ns.x] | unique | list }}", "({0}, {0})"),
    _laughs("{{ [1] | map(ns.x) | list }}", "({0}, {0})"),
    _laughs("{{ [1] | select(ns.x) | list }}", "({0}, {0})"),
    _laughs("{{ ns.x | tojson }}", "{{'a': {0}, 'b': {0}}}"),
    # what an error would print
    "{% set n = namespace(s='\x01') %}{% for i in range(24) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ {}[n.s].x }}",
    "{% set n = namespace(s='\x01') %}{% for i in range(24) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ [1] | map(n.s) | list }}",
    "{% set n = namespace(s='\x01') %}{% for i in range(20) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ ('%(' ~ n.s ~ ')s') % {} }}",
    "{{ raise_exception('x' * 9999999) }}",
]
"""Refused when run."""

SIZE = [
    "x" * 10_000_000,
    "{{ " + "(" * 90_000 + "1" + ")" * 90_000 + " }}",
    "{{ " + "[" * 90_000 + "]" * 90_000 + " }}",
    "{{ " + "{1:" * 60_000 + "1" + "}" * 60_000 + " }}",
    "{{ " + "not " * 40_000 + "1 }}",
    "{{ " + "-" * 90_000 + "1 }}",
    "{{ " + "+".join(["1"] * 5_000) + " }}",
    "{{ a" + ".b" * 5_000 + " }}",
    "{{ a" + " | upper" * 3_000 + " }}",
    "{{ " + "a if b else " * 3_000 + "c }}",
    "{{ " + "~".join(["a"] * 20_000) + " }}",
    "{{ [" + "1," * 50_000 + "] }}",
    "{{ a }}" * 25_000,
    "{% if a %}{% endif %}" * 9_000,
    "{% if a %}" + "{% elif b %}" * 3_000 + "{% endif %}",
    "{% if a %}" * 3_000 + "{% endif %}" * 3_000,
    "{% for a in b %}" * 300 + "{% endfor %}" * 300,
    "{% generation %}" * 3_000 + "{% endgeneration %}" * 3_000,
    "{% macro m() %}"
    + "".join(f"{{% if a %}}{{% set a{n} = 1 %}}{{% endif %}}" for n in range(1_500))
    + "{% endmacro %}",
    "{{ " + "9" * 190_000 + " }}",
    "{{ 0x" + "f" * 190_000 + " }}",
    "{{ 1e999 }}",
]
"""Refused before they run: too long, too deep, or numbers too large."""


def _refusal(template: str) -> str:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    try:
        Jinja(template, today=date(2026, 11, 22)).text(Dialog((Message(Role.USER, "abc é"),)))
    except DialogError as error:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return str(error) if used < RESIDENT_BYTES else f"it used {used} bytes"
    return "it was not refused"


def main() -> None:
    """Print each template's refusal as JSON, one a line; of a process that ended otherwise, the status."""
    for template in (*WORK, *SIZE):
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(write, _refusal(template).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            said = answer.read().decode()
        status = os.waitpid(pid, 0)[1]
        sys.stdout.write(json.dumps(said if not status else f"it ended with status {status}") + "\n")


if __name__ == "__main__":
    main()
