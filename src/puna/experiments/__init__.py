"""Experiments: what a parameter, a system prompt or a phrasing does, by how much, and whether it is noise."""
