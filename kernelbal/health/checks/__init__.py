"""One module per protocol: what to send, and what the reply means."""
