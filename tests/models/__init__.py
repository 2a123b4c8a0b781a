"""Tests of puna.models, with a writer of small GGUF files and a hub on loopback."""
