"""The endpoint as a Ray Serve application."""
