"""Engines: what continues a prompt, embedded or remote."""
