"""Documents that tests write."""

from pathlib import Path

PAGES = {
    "wool.md": "# Wool\n\nThe fleece of an alpaca has no grease.\n\n## Colours\n\nThere are twenty-two of them.\n",
    "food.txt": "A llama eats ichu grass.\n\nIt drinks little.\n",
    "walk.html": "<html><body><h1>Walking</h1><p>A caravan walks twenty kilometres a day.</p></body></html>",
}


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
