"""`kernelbal rs verify`: probes real servers from the director, whether the daemon runs or not."""
