"""Tokenizers, and how segments become token ids."""
