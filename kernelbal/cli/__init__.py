"""The command line: parse, call, print, exit. Only this package exits."""
