"""Documents on disk, found by a question: files to passages, passages to an index, an index to the passages that fit."""
