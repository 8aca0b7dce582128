"""`python -m bench.apply`: measure in this guest.

Samples go to standard output, talk to standard error.
Contenders take turns, so that a machine that gets slower or faster meanwhile does so for all of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.apply.contenders import CONTENDERS, Trial, write_documents
from bench.apply.workload import Workload
from bench.place import fresh_namespace
from bench.samples import encode


def main(argv: list[str]) -> None:
    """Measure every contender with the workloads that `argv` names."""
    parser = argparse.ArgumentParser(prog="bench.apply")
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("services", nargs="+", type=int)
    arguments = parser.parse_args(argv)
    for services in arguments.services:
        _measure(Workload(services), arguments.repeat)


def _measure(workload: Workload, repeats: int) -> None:
    files = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        write_documents(workload, files)
        for repeat in range(1, repeats + 1):
            _say(f"{workload.services:,} services, repeat {repeat} of {repeats}")
            _round(Trial(workload, repeat, files))
    finally:
        shutil.rmtree(files)


def _round(trial: Trial) -> None:
    for contender in CONTENDERS:
        with fresh_namespace():
            for sample in contender(trial):
                _say(f"  {sample.measure.value}: {sample.fault or f'{sample.wall_s:.3f} s'}")
                sys.stdout.write(encode(sample))
                sys.stdout.flush()


def _say(text: str) -> None:
    seconds = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    sys.stderr.write(f"[{seconds // 60:2d}:{seconds % 60:02d}] {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
