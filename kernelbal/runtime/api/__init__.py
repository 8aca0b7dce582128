"""The control API: HTTP and JSON on a Unix socket, and on request by TLS."""
