"""Conversations that are kept: what may stand in one, and the folder of their files. Knows no model and no page."""
