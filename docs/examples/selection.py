"""Select λ and the size of the hidden layer by reverse validation, without target labels.

This is the protocol of the JMLR paper, sections 5.1.1 and 5.1.2, for the Amazon reviews. A tenth
of the source and a tenth of the target are held out. A network η is trained on the rest, and
labels the target's samples. A reverse network, which starts from η, is trained with the same
hyper-parameters from those samples, as the source, to the source's samples, without their labels.
Its risk on the held-out part of the source, whose labels are known, is the reverse validation risk
of the hyper-parameters. A λ that loses the labels on the way to the target or back has a high one.

For each pair of domains, the risk is the mean over ``--splits``. It selects λ among nine values
from .01 to 1 and 50 or 100 hidden units for the adversarial network, 50 or 100 units for the plain
one. The plain network takes the lowest risk. The adversarial one takes the largest λ whose risk is
within one standard error of the lowest [1]_: the risk shows what a λ destroys, and hardly what it
gains on the target. ``--lowest`` takes the lowest risk, as the paper does.

The learning rate is .001 for each sample: a batch takes a step of SGD on the mean of its losses,
with .001 times its size. Both networks stop early, on the held-out source and on the held-out
target as η labels it.

``python docs/examples/dann_torch.py amazon FOLDER --select``, in any framework, runs this, then
trains with what it selected. By itself::

    python docs/examples/selection.py FOLDER --source books --target dvd

The networks are those of ``by_hand.py``, in NumPy; `reverse_risk` takes one of any framework. It
runs in one process for each core. The risks are appended to a file: run the same command again
after an interruption, and it goes on.

References
----------
.. [1] Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section 7.10.1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

import by_hand
import problems
from training import Settings, fit

LAMBDAS = tuple(np.logspace(-2, 0, 9).tolist())
SIZES = (50, 100)
RATE = 0.001  # for each sample
HELD_OUT = 0.1
SPLITS = 10

Pair = Tuple[str, str]


class RecordError(Exception):
    """The file of risks is of another run; the message says what to do."""


def settings_for(lam: float, epochs: int, batch: int) -> Settings:
    """Return how to train, in the selection and after it."""
    return Settings(lam, "shallow", 0.0, epochs, batch, holdout=HELD_OUT, stop_early=True)


def reverse_risk(network: Any, problem: problems.Problem, settings: Settings, seed: int) -> float:
    """Return the reverse validation risk of a network's hyper-parameters.

    Parameters
    ----------
    network : DomainAdversarialNetwork
        Of any framework; it is trained twice. A λ of 0 in the settings trains a plain network.
    problem : problems.Problem
        The data; `test_x` and `test_y` are not used and may be None.
    settings : training.Settings
        How to train.
    seed : int
        The seed of the split, the parameters and the batches.

    Returns
    -------
    float
        The fraction of the held-out source that the reverse network labels wrong.
    """
    rng = np.random.RandomState(seed)
    (s_held, s), (t_held, t) = (
        np.split(rng.permutation(n), [int(settings.holdout * n)])
        for n in (problem.xs.shape[0], problem.xt.shape[0])
    )
    xs, xt = problem.xs[s], problem.xt[t]
    held = problem.xs[s_held], problem.ys[s_held]
    train = partial(fit, network, settings=settings, seed=seed, adversarial=settings.lam > 0)
    train(problems.Problem(xs, problem.ys[s], xt, None, None), held_out=held)
    labels, labels_held = (network.predict(problem.xt[i]).astype("int32") for i in (t, t_held))
    train(
        problems.Problem(xt, labels, xs, None, None),
        start=network.get_parameters(),
        held_out=(problem.xt[t_held], labels_held),
    )
    return float(np.mean(network.predict(held[0]) != held[1]))


def choose(
    rows: Iterable[Dict[str, Any]], lowest: bool = False
) -> Dict[Pair, Dict[str, Dict[str, Any]]]:
    """Return what the risks select, for each pair and network.

    Parameters
    ----------
    rows : iterable of dict
        ``source``, ``target``, ``features``, ``lam``, ``split`` and ``risk``.
    lowest : bool, optional
        Take the lowest mean risk. Otherwise the adversarial network takes the largest λ that has a
        mean risk within one standard error of the lowest.

    Returns
    -------
    dict
        For each pair, ``features``, ``lam`` and ``risk`` of the ``"plain"`` network (λ = 0) and
        of the ``"adversarial"`` one. Of sizes with that λ the one of the lower risk is taken, of
        what is equal the smallest.
    """
    risks: Dict[Tuple[str, str, str], Dict[Tuple[float, int], List[float]]] = {}
    for row in rows:
        key = row["source"], row["target"], "adversarial" if row["lam"] else "plain"
        values = risks.setdefault(key, {}).setdefault((row["lam"], row["features"]), [])
        values.append(row["risk"])
    found: Dict[Pair, Dict[str, Dict[str, Any]]] = {}
    for (source, target, name), grid in sorted(risks.items()):
        means = {each: round(float(np.mean(grid[each])), 9) for each in sorted(grid)}
        best = min(means, key=lambda each: means[each])
        if not lowest and len(grid[best]) > 1:
            limit = means[best] + np.std(grid[best], ddof=1) / len(grid[best]) ** 0.5
            largest = max(lam for (lam, _), risk in means.items() if risk <= limit)
            best = min((e for e in means if e[0] == largest), key=lambda each: means[each])
        chosen = {"features": best[1], "lam": best[0], "risk": means[best]}
        found.setdefault((source, target), {})[name] = chosen
    return found


def select(
    folder: str,
    pairs: Sequence[Pair],
    record: str,
    splits: int = SPLITS,
    epochs: int = 200,
    batch: int = 100,
    jobs: Optional[int] = None,
    quiet: bool = False,
    lowest: bool = False,
) -> Dict[Pair, Dict[str, Dict[str, Any]]]:
    """Find the risks that a file does not have yet, append them to it, and choose.

    Parameters
    ----------
    folder : str
        The folder of the ``.svmlight`` files.
    pairs : sequence of (str, str)
        Sources and targets.
    record : str
        The file of the risks, with a line of JSON for each.
    splits : int, optional
        The number of splits, whose numbers are their seeds.
    epochs, batch : int, optional
        The largest number of epochs, and the samples of each domain in a step.
    jobs : int, optional
        The number of processes, by default one for each core.
    quiet : bool, optional
        No progress bar.
    lowest : bool, optional
        That of `choose`.

    Returns
    -------
    dict
        That of `choose`.

    Raises
    ------
    RecordError
        If the file is not a record of risks, is of a run with another number of epochs or another
        batch, or cannot be written.
    """
    how = {"epochs": epochs, "batch": batch, "rate": RATE, "held out": HELD_OUT}
    rows = read(record, how)
    fields = ("source", "target", "features", "lam", "split")
    done = {tuple(row[field] for field in fields) for row in rows}
    wanted = [
        (*pair, size, lam, split)
        for split, pair, size, lam in product(range(splits), pairs, SIZES, (0.0, *LAMBDAS))
    ]
    # One thread for each process: NumPy reads these as it is imported.
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ.update(dict.fromkeys(threads, "1"))
    left = [each for each in wanted if each not in done]
    if left:
        context = multiprocessing.get_context("spawn")
        bar = tqdm(total=len(wanted), initial=len(wanted) - len(left), disable=quiet, unit="risk")
        work = partial(_risk, folder, epochs, batch)
        # An interruption is for this process, which then ends the others.
        ignore = signal.signal, (signal.SIGINT, signal.SIG_IGN)
        pool = context.Pool(min(jobs or cores(), len(left)), *ignore)
        try:
            with bar, open(record, "a") as file, pool:
                for row in pool.imap_unordered(work, left):
                    print(json.dumps(row), file=file, flush=True)
                    rows.append(row)
                    bar.update()
        except FileNotFoundError:  # of the reviews
            raise
        except OSError as error:  # also as the file is closed
            raise RecordError(
                f"{record} was not written: {error}. What it has is kept; the same command goes "
                "on with it."
            ) from None
    chosen = set(wanted)
    return choose((row for row in rows if tuple(row[field] for field in fields) in chosen), lowest)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read(record: str, how: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the rows of a file of risks; begin one if there is none."""
    path = Path(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    begin, content = json.dumps(how) + "\n", path.read_bytes() if path.exists() else b""
    if b"\n" not in content and begin.encode().startswith(content):  # new, or cut off there
        path.write_text(begin)
        return []
    whole = content[: content.rfind(b"\n") + 1]
    try:
        first, *rows = map(json.loads, whole.splitlines())
    except ValueError as error:
        raise RecordError(
            f"{record} is not a record of risks ({error}). Restore it, or pass another file to "
            "--record."
        ) from None
    if first != how:
        raise RecordError(
            f"{record} has the risks of {first}; this run is {how}. Run with those, or pass "
            "another file to --record."
        )
    os.truncate(path, len(whole))  # the end of a line whose writing was interrupted
    return rows


def _risk(
    folder: str, epochs: int, batch: int, job: Tuple[str, str, int, float, int]
) -> Dict[str, Any]:
    source, target, features, lam, split = job
    network = by_hand.DomainAdversarialNetwork(
        problems.N_FEATURES, 2, (features,), learning_rate=RATE * batch
    )
    problem = _problem(folder, source, target)
    risk = reverse_risk(network, problem, settings_for(lam, epochs, batch), split)
    row = {"source": source, "target": target, "features": features, "lam": lam}
    return {**row, "split": split, "risk": risk}


@lru_cache(maxsize=None)  # some MB for each
def _problem(folder: str, source: str, target: str) -> problems.Problem:
    """Return the training files as sparse matrices, without a label of the target."""
    (xs, ys), (xt, _) = (
        problems.read_reviews(Path(folder) / f"{name}_train.svmlight", "float32")
        for name in (source, target)
    )
    return problems.Problem(xs, ys, xt, None, None)


def table(selected: Dict[Pair, Dict[str, Dict[str, Any]]]) -> str:
    """Return what was selected as text, one line for each pair."""
    lines = [
        "selected by reverse validation    plain           adversarial",
        "source       target               units  risk     units  λ       risk",
    ]
    for (source, target), found in selected.items():
        plain, dann = found["plain"], found["adversarial"]
        lines.append(
            f"{source:12s} {target:20s} {plain['features']:5d}  {plain['risk']:.3f}    "
            f"{dann['features']:5d}  {dann['lam']:.4f}  {dann['risk']:.3f}"
        )
    return "\n".join(lines)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Select λ and the layer's size for the Amazon reviews by reverse validation.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", help="folder of the .svmlight files")
    parser.add_argument("--source", choices=problems.DOMAINS, help="only this source")
    parser.add_argument("--target", choices=problems.DOMAINS, help="only this target")
    parser.add_argument("--splits", type=int, default=SPLITS, help="splits to take the mean over")
    parser.add_argument("--epochs", type=int, default=200, help="largest number of epochs")
    parser.add_argument("--batch", type=int, default=100, help="samples of each domain in a step")
    parser.add_argument("--jobs", type=int, help="processes; else one for each core")
    parser.add_argument("--record", default="results/selection.jsonl", help="file of the risks")
    parser.add_argument("--lowest", action="store_true", help="take the lowest risk of all")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(arguments)
    how = {name: getattr(args, name) for name in ("splits", "epochs", "batch", "jobs", "lowest")}
    quiet = args.quiet or not sys.stderr.isatty()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        pairs = problems.amazon_pairs(args.folder, args.source, args.target)
        print(table(select(args.folder, pairs, args.record, quiet=quiet, **how)))
    except (OSError, RecordError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\ninterrupted; the same command goes on with {args.record}")
    print(f"\nrisks: {args.record}")


if __name__ == "__main__":
    main()
