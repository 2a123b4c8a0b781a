"""The page at the endpoint's root: what it is served, and what it keeps and exports."""
