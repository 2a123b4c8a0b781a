"""Models: their names, where their files come from, and what a file says of itself."""
