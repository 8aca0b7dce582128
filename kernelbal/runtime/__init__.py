"""The programs that run all the time; all input and output is here, decisions are elsewhere."""
