"""YAML text to validated documents, with the place of everything that is wrong."""
