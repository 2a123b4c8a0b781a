"""Bytes to events and JSON to values, in both directions, without any I/O."""
