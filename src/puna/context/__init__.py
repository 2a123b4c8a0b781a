"""In-context learning as values: what a model is told besides the conversation. No I/O."""
