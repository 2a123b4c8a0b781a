"""Whatever a user can type, set, call or meet has its line: a verb, an option, a setting, a variable, a code, a format, an error, a limit."""

import ast
import inspect
import json
import re
import tomllib

import pytest

import puna
import puna.formats
from puna import errors
from puna.cli import VERBS
from puna.formats import catalog
from puna.server.fault_plan import KINDS
from puna.settings import OPTIONS
from puna.terminal.commands import COMMANDS
from puna.wire.dialects import DIALECTS

from .pages import DOCS, ROOT, code, table, text_of
from .parsers import parsers

SOURCES = sorted((ROOT / "src" / "puna").rglob("*.py"))
CLI = text_of("docs/cli.md")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_its_line(verb):
    lines = [line for line in CLI.splitlines() if re.match(rf"\| `puna {verb}[ `]", line)]
    assert lines, f"docs/cli.md has no row for puna {verb}"


def own_options():
    """Each verb with each of its flags that is neither a setting nor of the sampling: those have tables of their own."""
    shared = {option.flag for option in OPTIONS} | {code(row["flag"])[0] for row in table(CLI, "flag", "range")}
    return sorted(
        (words, flag)
        for words, parser in parsers()
        for action in parser._actions
        for flag in action.option_strings
        if flag.startswith("--") and flag not in {"--help", "--config", *shared}
    )


@pytest.mark.parametrize(("words", "flag"), own_options())
def test_an_option_of_a_verb_has_its_row(words, flag):
    verb, _, below = words.partition(" ")
    for row in table(CLI, "verb", "option"):
        named = {name for span in code(row["verb"]) for name in span.split()}
        whose = verb in named and (not below or below in named or row["verb"].startswith("all of"))
        if whose and flag in {name for span in code(row["option"] + row["meaning"]) for name in span.split()}:
            return
    pytest.fail(f"docs/cli.md has no row for {flag} of puna {words}")


def test_a_flag_of_the_sampling_has_its_row():
    flags = {
        flag
        for words, parser in parsers()
        if words == "run"
        for action in parser._actions
        for flag in action.option_strings
    }
    for row in table(CLI, "flag", "range"):
        assert code(row["flag"])[0] in flags
    assert {"--temperature", "--top-p", "--top-k", "--min-p", "--max-tokens", "--seed", "--stop"} == {
        code(row["flag"])[0] for row in table(CLI, "flag", "range")
    }


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_setting_has_its_row_with_flag_variable_and_key(option):
    (row,) = [row for row in table(CLI, "flag", "variable, key") if option.name in code(row["variable, key"])]
    assert code(row["variable, key"]) == [option.variable, option.name]
    assert code(row["flag"]) == ([] if option.secret else [option.flag])
    if option.default is not None:
        assert str(option.default) in row["default"] + row["meaning"]


def variables_of_the_code():
    """Names of environment variables in texts of the source; in tests and benchmarks, those of puna's own."""
    ours = r"(?:PUNA|AWS|OPENAI|BOTOCORE|HF|SSL|GOMP|GGML|RAY|SAGEMAKER|SM)_[A-Z][A-Z_]*[A-Z]|NO_COLOR|N[oO]_PROXY|(?:HTTPS?|ALL)_PROXY"
    found = set()
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(rf"\b(?:{ours})\b", node.value))
    for file in (
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").rglob("*.py"),
        *(ROOT / "notebooks").glob("*.py"),
    ):
        found |= set(re.findall(r"environ(?:\.get\(|\[)\"(PUNA_[A-Z_]+)", file.read_text(encoding="utf-8")))
    return found - {
        "SAGEMAKER_RUNTIME",
        "PUNA_SOME_NAME",
        "GGML_QUANT_SIZES",
    }  # the end of a name; an example; a table's


@pytest.mark.parametrize("variable", sorted(variables_of_the_code()))
def test_a_variable_of_the_environment_has_its_row(variable):
    if variable in {option.variable for option in OPTIONS if not option.secret}:
        return  # its row is a setting's
    page = text_of("docs/environment.md")
    rows = {name for row in table(page, "variable", "what it does") for name in code(row["variable"])}
    assert variable in rows or variable.startswith("RAY_"), variable


def test_no_variable_is_documented_that_nobody_reads():
    texts = "\n".join(file.read_text(encoding="utf-8") for file in (*SOURCES, *(ROOT / "tests").rglob("*.py")))
    for row in table(text_of("docs/environment.md"), "variable", "what it does"):
        for name in code(row["variable"]):
            assert name in texts or name.startswith(("RAY_", "PUNA_")), name


def codes_of_lint():
    """Every code that is noted anywhere in formats."""
    found: set[str] = set()
    for file in (ROOT / "src" / "puna" / "formats").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in {"note", "Finding"} and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def test_every_code_of_lint_has_its_row():
    page = text_of("docs/lint.md")
    documented = {code(row["code"])[0] for row in table(page, "code", "severity", "before", "after")}
    assert codes_of_lint() <= documented | {name for name in code(page) if name == "more-slips"}


@pytest.mark.parametrize("name", catalog.FORMATS)
def test_a_format_has_its_rows(name):
    assert sum(row["name"] == f"`{name}`" for row in table(text_of("docs/families.md"), "name")) == 2


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_has_its_section_and_its_row(name):
    page = text_of("docs/dialects.md")
    assert f"\n## {name}\n" in page
    assert any(f"[`{name}`]" in row["`--dialect`"] for row in table(page, "`--dialect`", "container"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_fault_has_its_row(kind):
    assert any(kind in code(row["kind"]) for row in table(text_of("docs/faults.md"), "kind"))


def classes_of_errors():
    return [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.PunaError)]


@pytest.mark.parametrize("kind", classes_of_errors(), ids=lambda kind: kind.__name__)
def test_a_class_of_errors_has_its_row(kind):
    (row,) = [
        row for row in table(text_of("docs/errors.md"), "class", "below") if code(row["class"]) == [kind.__name__]
    ]
    assert code(row["below"]) == [kind.__bases__[0].__name__]
    if kind is not errors.RefusedError:  # its status is the server's
        assert int(row["status"]) == kind.status
    assert code(row["code"]) == [kind.code]
    assert [row for row in table(text_of("docs/errors.md"), "class", "when") if code(row["class"]) == [kind.__name__]]
    assert int(row["exit"]) == (2 if issubclass(kind, errors.InputError) else 3)


def test_no_class_of_errors_is_documented_that_is_none():
    documented = {code(row["class"])[0] for row in table(text_of("docs/errors.md"), "class", "below")}
    assert documented == {kind.__name__ for kind in classes_of_errors()}


def statuses_and_types():
    """Codes of errors that the server writes as they are: of AWS's services and of OpenAI's API."""
    found = set()
    for file in SOURCES:
        if file.parent.name == "server":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set(re.findall(r"^[A-Z][A-Za-z]+(?:Exception|Failure)$", node.value))
    return found


@pytest.mark.parametrize("name", sorted(statuses_and_types()))
def test_an_error_type_of_the_server_stands_on_a_page(name):
    pages = " ".join(text_of(f"docs/{page}.md") for page in ("endpoint", "faults", "sagemaker", "openai", "errors"))
    assert name in pages


def verbs_of_make():
    return dict(re.findall(r"^([a-z]+):.*?## (.+)$", text_of("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("verb", verbs_of_make())
def test_a_verb_of_make_has_its_row(verb):
    rows = table(CLI, "make", "what it does")
    assert any(code(row["make"])[:1] == [f"make {verb}"] for row in rows), f"make {verb}"


def test_no_verb_of_make_is_documented_that_is_none():
    rows = table(CLI, "make", "what it does")
    assert {code(row["make"])[0].removeprefix("make ") for row in rows} == set(verbs_of_make())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_chat_has_its_line(command):
    assert f"`{command}" in text_of("docs/chat.md")


def limits_of_the_code():
    """Constants whose names say that they bound something."""
    for file in SOURCES:
        module = ".".join(file.relative_to(ROOT / "src" / "puna").with_suffix("").parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            name = getattr(target, "id", "")
            if re.match(r"(MAX|MOST|LARGEST|LONGEST)(_|$)", name):
                yield f"{module}.{name}"


NOT_A_USERS = {
    "cli.scenarios.MAX_TOKENS",  # of the demo's own prompts
    "experiments.answerable.MOST",  # tokens of an answer that are looked at
    "experiments.calibration.MOST",
    "engines.openai_tokens.MOST_ASKED",  # how much is asked, not how much may be
    "engines.worker.LARGEST_BATCH",
    "experiments.compare.MOST_DRAWS",
    "experiments.curves.MOST_LEVELS",
    "experiments.curves.MOST_LINES",
    "experiments.report.MOST_REASONS",
    "experiments.trial.LONGEST_WAIT",
    "formats.jinja.MAX_SENTENCE",
    "formats.jinja_methods.MAX_NAME",
    "playground.exported.MAX_NAME",
    "sessions.session.MAX_WORD",
    "terminal.blocks.MAX_BEFORE",
    "tokens.markers.LONGEST",
    "wire.failures.MAX_SENTENCE",
    "wire.workshop.MAX_SENTENCE",
}
"""Bounds of what is shown or quoted, and of the work inside."""


def test_every_limit_has_its_row():
    documented = {code(row["in `puna`"])[0] for row in table(text_of("docs/limits.md"), "in `puna`")}
    missing = set(limits_of_the_code()) - documented - NOT_A_USERS
    assert not missing, "add a row in docs/limits.py, or say in NOT_A_USERS that it is none of a user's"
    assert not documented & NOT_A_USERS


PUBLIC = ("chat", "prompts", "values", "experiments", "others", "context", "errors")


def test_every_public_name_is_on_a_page_of_the_api():
    pages = "\n".join(text_of(f"docs/api/{name}.md") for name in PUBLIC if (DOCS / "api" / f"{name}.md").exists())
    for name in set(puna.__all__) - {"__version__"}:
        assert re.search(rf"auto(class|function):: (puna\.)?([a-z_.]+\.)?{name}\b", pages), name


@pytest.mark.parametrize("client", sorted(file.name for file in (ROOT / "tests" / "clients").glob("with_*")))
def test_a_client_that_is_tried_has_its_row(client):
    rows = table(text_of("docs/howto/from-other-tools.md"), "client", "shown by")
    assert client in {name for row in rows for name in code(row["shown by"])}


def test_every_client_that_is_named_is_tried():
    rows = table(text_of("docs/howto/from-other-tools.md"), "client", "shown by")
    for name in (name for row in rows for name in code(row["shown by"])):
        assert (ROOT / "tests" / "clients" / name).is_file(), name


def test_every_extra_has_its_row():
    rows = table(text_of("docs/start.md"), "extra", "for")
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert {name for row in rows for name in code(row["extra"])} == set(project["optional-dependencies"])


BENCHMARKS = text_of("docs/benchmarks.md")


def test_every_benchmark_has_its_command_with_its_question():
    rows = {code(row["command"])[0]: row["the question"] for row in table(BENCHMARKS, "command", "the question")}
    told = {}
    for file in (ROOT / "benchmarks").glob("*.py"):
        (command,) = [one for one in rows if re.search(rf"(benchmarks[/.]|make ){file.stem}\b", one)]
        told[command] = file
        head = str(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))).splitlines()[0]
        assert rows[command] == head.replace("``", "`"), file
    assert set(told) == set(rows)


def test_make_bench_runs_every_benchmark_but_those_that_have_a_verb_or_want_a_file():
    recipe = re.search(r"^bench:.*\n(?:\t.*\n)+", text_of("Makefile"), re.MULTILINE)
    assert recipe
    own = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    for file in (ROOT / "benchmarks").glob("*.py"):
        needs_a_file = f"`python benchmarks/{file.stem}.py " in BENCHMARKS
        assert (file.stem in re.findall(r"\w+", recipe[0])) != (file.stem in own or needs_a_file), file


@pytest.mark.parametrize("heading", re.findall(r"^## (.*)$", BENCHMARKS, re.MULTILINE))
def test_a_section_of_figures_is_that_of_a_script(heading):
    assert (ROOT / heading).is_file()
    assert heading.startswith("benchmarks/")


def test_questions_on_these_pages_name_sections_that_are_there():
    for line in text_of("benchmarks/pages.jsonl").splitlines():
        for section in json.loads(line)["sections"]:
            page, heading = section.split("#", 1)
            found = re.findall(r"^#+ (.*)$", text_of(f"docs/{page}").replace("`", ""), re.MULTILINE)
            assert heading in {"*", *found}, section
