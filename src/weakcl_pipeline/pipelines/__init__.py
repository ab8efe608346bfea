"""The stages, one package each: thin nodes and their wiring."""
