"""`python -m bench.health`: measure in this guest, in real time.

Samples go to standard output, talk to standard error. Contenders take turns, so that a machine that gets
slower or faster meanwhile does so for both.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.health.contenders import CONTENDERS, Trial
from bench.health.samples import HealthSample
from bench.place import fresh_namespace
from bench.samples import encode


def main(argv: list[str]) -> None:
    """Measure both contenders with each number of targets that `argv` names."""
    parser = argparse.ArgumentParser(prog="bench.health")
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("targets", nargs="+", type=int)
    arguments = parser.parse_args(argv)
    files = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        for repeat in range(1, arguments.repeat + 1):
            for targets in arguments.targets:
                for contender in CONTENDERS:
                    with fresh_namespace():
                        _tell(contender(Trial(targets, repeat, arguments.seconds, files)))
    finally:
        shutil.rmtree(files)


def _tell(sample: HealthSample) -> None:
    late = "" if sample.late_p99_s is None else f", late p99 {sample.late_p99_s * 1000:.1f} ms"
    director = "" if sample.director_cpu_s is None else f", director {sample.director_cpu_s:.2f} s"
    sys.stderr.write(
        f"repeat {sample.repeat}, {sample.targets:,} targets, {sample.contender.value}: "
        f"{sample.checks:,} checks, {sample.cpu_s:.2f} s CPU{director}, "
        f"{sample.cpu_s_per_1000:.4f} s per 1,000{late}  {sample.fault}\n"
    )
    sys.stdout.write(encode(sample))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
