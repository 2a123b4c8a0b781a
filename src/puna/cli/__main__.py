"""``python -m puna.cli`` is ``puna``."""

import sys

from puna.cli import main

sys.exit(main())
