"""The checker: the process that probes real servers, and the part of the director that keeps it running."""
