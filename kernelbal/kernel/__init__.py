"""The drivers: everything here talks to the running kernel."""
