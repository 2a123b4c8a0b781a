"""Outputs labelled by hand as abstaining or not: sentences written for this project, and answers of the default model (temperature 0.9).

The rules were made by ABSTAIN and ANSWER. UNSEEN_ABSTAIN and UNSEEN_ANSWER were written when the rules were done, in the manner of chat
models, and the rules were not changed for them: they say what is to be expected of other outputs.
"""

import json
from pathlib import Path

_LABELLED = [json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]


def _texts(*, abstains, unseen):
    return tuple(entry["text"] for entry in _LABELLED if (entry["abstains"], entry["unseen"]) == (abstains, unseen))


ABSTAIN, ANSWER = (_texts(abstains=flag, unseen=False) for flag in (True, False))
UNSEEN_ABSTAIN, UNSEEN_ANSWER = (_texts(abstains=flag, unseen=True) for flag in (True, False))
