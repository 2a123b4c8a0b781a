"""The chat in a terminal: what is typed, and what is shown. Knows the Python surface; no engine and no format."""
