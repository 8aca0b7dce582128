"""The director daemon: what it knows, when it acts, and what it reports."""
