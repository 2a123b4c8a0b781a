"""``puna serve`` with the words of a page: started, waited for until it says that it is ready, asked to end. ``serving.py serve [OPTION ...]``."""

import signal
import subprocess
import sys

process = subprocess.Popen(
    [sys.executable, "-m", "puna.cli", *sys.argv[1:], "--port", "0"], stdout=subprocess.PIPE, text=True
)
assert process.stdout is not None
line = process.stdout.readline()
process.send_signal(signal.SIGTERM)
rest, _ = process.communicate(timeout=60)
sys.exit(0 if line.startswith("ready ") and process.returncode in {0, -signal.SIGTERM} else 1)
