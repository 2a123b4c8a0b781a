"""The export as a shell script with one curl. Knows POSIX shells, and the OpenAI API below an endpoint's name."""

from __future__ import annotations

from shlex import quote

from puna.playground.export_text import headed, json_body, written
from puna.playground.exported import Exported

_HOW = """\
# The answer comes as one JSON object, out of which python3 takes the text; without that part the whole object is shown.
# PUNA_AUTH_TOKEN is sent where it is set: as a file, since everyone on a machine can read the words of its command lines."""


def script(given: Exported) -> str:
    """The script. The body's lines begin with a blank or are a brace, so none of them can end the text that holds it."""
    text = '["text"]' if given.ids else '["message"]["content"]'
    proxy = " --noproxy '*'" if given.local else ""
    return f"""\
#!/bin/sh
{headed("curl", "which needs python3 too", given)}
{_HOW}
{written(given)}curl -sS{proxy} {quote(given.scoped)} \\
  -H 'Content-Type: application/json' -H @/dev/fd/3 --data-binary @- 3<<HEADERS <<'BODY' | python3 -c '
import json, sys
answer = json.loads(sys.stdin.read() or sys.exit(1))
if "choices" not in answer:
    sys.exit(json.dumps(answer))
sys.stdout.buffer.write((answer["choices"][0]{text} + "\\n").encode())'
${{PUNA_AUTH_TOKEN:+Authorization: Bearer $PUNA_AUTH_TOKEN}}
HEADERS
{json_body(given.asked | given.arguments)}
BODY
"""
