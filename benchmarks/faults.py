"""Kill the training run of an example at random moments, resume it, and compare the curves.

Run ``python benchmarks/faults.py`` in an environment with Theano and Lasagne; ``--kills 20`` for
more. docs/examples/resume.py saves after each step; it is killed with SIGKILL from outside, in
whatever it is doing, and started again until it is done. Prints for each network how often it was
killed, in which steps it resumed, and whether the curve is that of a run that was left alone; then
what became of a checkpoint that was cut short, at random lengths. The tests of the digits, of the
selection and of the checkpoints do the same with a small run of each, and with a full disk. The
exit code is 1 if something differs.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "docs" / "examples" / "resume.py"
STEPS = 200


def start(style: str, name: str, folder: str) -> "subprocess.Popen[str]":
    """Start a training run, which resumes if there is a checkpoint."""
    command = [sys.executable, str(PROGRAM), style, f"{name}.checkpoint", "--log", f"{name}.log"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [*command, "--steps", str(STEPS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def size(path: pathlib.Path) -> int:
    """Return the number of lines of a log."""
    return path.read_text().count("\n") if path.exists() else 0


def killed(style: str, kills: int) -> bool:
    """Kill and resume one network; print the row, and return whether the curves are the same."""
    with tempfile.TemporaryDirectory() as folder:
        whole = start(style, "whole", folder)
        out, _ = whole.communicate()
        if whole.returncode:
            raise SystemExit(out)
        log, resumed, count = pathlib.Path(folder, "killed.log"), [], 0
        while True:
            run, before = start(style, "killed", folder), size(log)
            if count < kills:  # at some step of the rest, and some part of a step later
                least = before + random.randrange(1, max(2, 2 * (STEPS - before) // kills))
                while run.poll() is None and size(log) < least:
                    time.sleep(0.001)
                time.sleep(random.uniform(0, 0.02))
                run.send_signal(signal.SIGKILL)
            out, _ = run.communicate()
            resumed += re.findall(r"resumed: <LambdaScheduler step (\d+)", out)
            if run.returncode == -signal.SIGKILL:
                count += 1
            elif run.returncode:
                raise SystemExit(out)
            else:
                break
        same = log.read_text() == pathlib.Path(folder, "whole.log").read_text()
        words = "the same curve" if same else "ANOTHER CURVE"
        print(
            f"{style:11} killed {count} times, resumed at {', '.join(resumed)}: {words}", flush=True
        )
        return same & cut_short(style, folder)


def cut_short(style: str, folder: str) -> bool:
    """Cut the checkpoint short; print the row, and return whether each start was an error."""
    path = pathlib.Path(folder, "whole.checkpoint")
    content, right = path.read_bytes(), 0
    for _ in range(3):
        path.write_bytes(content[: random.randrange(len(content))])
        run = start(style, "whole", folder)
        out, _ = run.communicate()
        right += run.returncode == 1 and "error: whole.checkpoint is not a whole checkpoint" in out
    print(f"{style:11} {len(content)} bytes cut short: {right} of 3 starts an error that says so")
    return right == 3


def passed(name: str, words: str, tests: str) -> bool:
    """Run tests of an example; print the row, and return whether they passed."""
    options = ["-q", "-p", "no:cacheprovider", "-m", "slow or not slow", "-k", tests]
    command = [sys.executable, "-m", "pytest", *options, f"tests/examples/test_{name}.py"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found = re.search(r"(\d+) passed", done.stdout)
    if done.returncode or not found:
        print(done.stdout, file=sys.stderr)
    print(f"{name:11} {words}: {done.stdout.splitlines()[-1].partition(' in ')[0]}", flush=True)
    return bool(found) and not done.returncode


def main() -> int:
    """Run both networks, and the tests."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="theano, lasagne or both")
    parser.add_argument("--kills", type=int, default=5)
    args = parser.parse_args()
    same = [killed(style, args.kills) for style in args.networks or ("theano", "lasagne")]
    if not args.networks:
        same += [
            passed("digits", "killed, and resumed with the same curve", "killed"),
            passed("selection", "interrupted, killed, the disk full, and resumed", "interrupted"),
            passed("checkpoints", "cut short at each length, the disk full", "checkpoint"),
        ]
    return int(not all(same))


if __name__ == "__main__":
    sys.exit(main())
