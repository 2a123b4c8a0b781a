"""Chat formats: dialog to text and back, one file per family."""
