"""`python -m kernelbal.lab.demo`: play the demo in this guest; events go to standard output."""

from __future__ import annotations

import argparse
import sys

from kernelbal.lab.demo.events import Event, encode
from kernelbal.lab.demo.names import REQUESTS, ScenarioName
from kernelbal.lab.demo.play import play_all
from kernelbal.lab.demo.scenarios import select


def main(argv: list[str]) -> None:
    """Play the scenarios that `argv` names."""
    parser = argparse.ArgumentParser(prog="kernelbal.lab.demo")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("scenarios", nargs="*", type=ScenarioName, default=[])
    arguments = parser.parse_args(argv)
    play_all(select(arguments.scenarios), arguments.requests, _print)


def _print(event: Event) -> None:
    sys.stdout.write(encode(event))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
