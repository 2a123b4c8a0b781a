"""The parsers of puna's verbs, one by one."""

import argparse
import importlib

from puna.cli import VERBS


def parsers():
    """The parser of each verb, by its words; of sub-verbs too."""

    def below(words, found):
        children = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)]
        if not children:
            yield words, found
        for action in children:
            for name, child in action.choices.items():
                yield from below(f"{words} {name}", child)

    for verb in VERBS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"puna.cli.{verb}").add(parser)
        yield from below(verb, parser)
