"""Preparation of real servers for direct server return and tunnels: plan, persist, verify, undo."""
