"""puna: a prompting workbench for Llama chat models, on an endpoint that runs on a laptop."""
