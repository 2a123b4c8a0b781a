"""Conversations: their tree of versions, their share of the window, and what goes when it is full. No I/O."""
