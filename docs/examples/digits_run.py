"""Train the digits' networks: source only, DANN, and on the target's labels; save and resume.

The settings are the paper's (sections 5.2.2 and 5.2.4): SGD with momentum .9, batches of half
source and half target, the learning rate .01 / (1 + 10 p)^.75 and λ = 2 / (1 + exp(-10 p)) - 1,
where p is the completed fraction of the training. None was chosen on the target's labels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from tqdm import tqdm

import checkpoints
import digits
import report
from revgrad.schedules import Dann, InverseDecay

RUNS = ("source only", "DANN", "target")
N_MEASURED, N_SHOWN = 1000, 400  # test digits in the curve of the accuracy, and in the figure


def run(make: Callable[..., Any], style: str, args: argparse.Namespace) -> None:
    """Run the three networks for each seed; print the table, write the figure and the numbers.

    Parameters
    ----------
    make : callable
        The class of the network.
    style : str
        The name of the framework, for titles.
    args : argparse.Namespace
        The command line.
    """
    began = time.perf_counter()
    try:
        data = digits.load(args.folder, args.mnist_m, args.cache)
    except digits.DataError as error:
        sys.exit(f"error: {error}")
    print(f"data: {data.name}; {len(data.xs)} for training, {len(data.test_x)} for the test")
    seeds, steps = (
        args.seeds or (3 if args.folder else 1),
        args.steps or (6000 if args.folder else 300),
    )
    settings = {
        "data": data.name,
        "seeds": list(range(args.first_seed, args.first_seed + seeds)),
        "steps": steps,
        "batch": args.batch,
        "measure_every": args.measure_every,
    }
    record: Dict[str, Any] = {"settings": settings, "done": [], "current": None, "seconds": 0.0}
    if args.resume and os.path.exists(args.checkpoint):
        record = checkpoints.load(args.checkpoint)
        if record["settings"] != settings:
            sys.exit(
                f"error: {args.checkpoint} is of another run: {record['settings']}; this one is "
                f"{settings}. Run with those settings, or without --resume."
            )
        print(f"resumed: {len(record['done'])} networks are done")
    began -= record["seconds"]

    def keep(**changes: Any) -> None:
        record.update(changes, seconds=time.perf_counter() - began)
        checkpoints.save(args.checkpoint, record)

    network = make()
    jobs = [(seed, name) for seed in settings["seeds"] for name in RUNS]
    quiet = args.quiet or not sys.stderr.isatty()
    with tqdm(total=len(jobs) * steps, unit="step", disable=quiet) as bar:
        bar.update(len(record["done"]) * steps)
        for seed, name in jobs[len(record["done"]) :]:
            bar.set_description(f"seed {seed}, {name}")
            row = train(network, data, seed, name, settings, record, keep, bar.update)
            if seed == args.first_seed:
                row["points"] = points(network, data)
            keep(done=[*record["done"], row], current=None)
            bar.write(f"seed {seed}, {name}: {row['accuracy']:.4f}, {row['seconds']:.0f} s")
            sys.stdout.flush()
    print(report.digits_table(style, data.name, steps, record["done"]))
    report.digits_figure(args.figure, style, data, record["done"])
    print(f"\nwall time: {time.perf_counter() - began:.0f} s\nfigure: {args.figure}")
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(record["done"]) + "\n")
        print(f"numbers: {args.json}")


def train(
    network: Any,
    data: digits.Digits,
    seed: int,
    name: str,
    settings: Dict[str, Any],
    record: Dict[str, Any],
    keep: Callable[..., None],
    tick: Callable[[int], Any],
) -> Dict[str, Any]:
    """Train one network, from ``record["current"]`` if there is one, and return its numbers."""
    steps, batch = settings["steps"], settings["batch"]
    ramp, decay = Dann(gamma=10), InverseDecay(initial=0.01)
    network.reset(seed)
    now = record["current"] or {"step": 0, "curves": [], "measured": [], "seconds": 0.0}
    if now["step"]:
        network.set_state(now["state"])
        tick(now["step"])
    began = time.perf_counter() - now["seconds"]
    for step in range(now["step"], steps):
        lam, rate = ramp(step / steps), decay(step / steps)
        network.lam.value = lam
        xs, ys, xt = data.batch(seed, step, batch, "target" if name == "target" else "source")
        losses = network.train(xs, ys, xt if name == "DANN" else None, rate)
        now["curves"].append((*losses, lam, rate))
        tick(1)
        if (step + 1) % settings["measure_every"] == 0:
            now["measured"].append((step + 1, accuracy(network, data, N_MEASURED)))
            now.update(step=step + 1, state=network.get_state())
            now["seconds"] = time.perf_counter() - began
            keep(current=now)
    return {
        "seed": seed,
        "run": name,
        "accuracy": accuracy(network, data),
        "curves": dict(zip(report.CURVES, np.array(now["curves"], float).T.tolist())),
        "measured": now["measured"],
        "seconds": time.perf_counter() - began,
    }


def accuracy(network: Any, data: digits.Digits, n: int = sys.maxsize) -> float:
    """Return the accuracy on the first `n` of the target's test digits."""
    x, y = data.test_x[:n], data.test_y[:n]
    parts = [network.predict(data.inputs(x[i : i + 500])) for i in range(0, len(x), 500)]
    return float(np.mean(np.concatenate(parts) == y))


def points(network: Any, data: digits.Digits) -> List[Any]:
    """Return the features of test digits in the plane (t-SNE): of the source, then the target."""
    images = (data.inputs(x[:N_SHOWN]) for x in (data.source_x, data.test_x))
    features = np.concatenate([network.represent(x).reshape(len(x), -1) for x in images])
    reduced = PCA(min(50, len(features)), random_state=0).fit_transform(features)
    plane = TSNE(random_state=0, perplexity=min(30, len(reduced) / 4)).fit_transform(reduced)
    return plane.round(2).tolist()  # type: ignore[no-any-return]
