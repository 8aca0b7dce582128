"""Pure values that every part of kernelbal shares: no sockets, clocks, files or logs."""
