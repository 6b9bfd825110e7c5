"""Tables and figures of the examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

import matplotlib
import numpy as np
from sklearn.decomposition import PCA

from problems import PAPER, Problem

matplotlib.use("agg")
from matplotlib import pyplot as plt  # noqa: E402  after selecting a backend that needs no display
from matplotlib.colors import ListedColormap  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

# The colours of Okabe and Ito, which colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, PURPLE, INK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#222222"
SHADE = 0.2

CURVES = ("label loss", "domain loss", "domain accuracy", "λ", "learning rate")
# Table 2 of the JMLR paper, MNIST to MNIST-M.
PAPER_DIGITS = {"source only": 0.5225, "DANN": 0.7666, "target": 0.9596}

Results = Sequence[Dict[str, Any]]


def moons_table(style: str, settings: Any, results: Results) -> str:
    """Return the accuracies on the moons as text, one line for each seed."""
    lines = [
        f"{style}, moons: accuracy on the target (λ = {settings.lam:g}, {settings.reading})",
        "",
        "seed    plain   adversarial",
    ]
    for row in results:
        lines.append(f"{row['seed']:4d}    {row['plain']:.3f}      {row['adversarial']:.3f}")
    plain, adversarial = column(results, "plain"), column(results, "adversarial")
    lines += [
        f"mean    {plain.mean():.3f}      {adversarial.mean():.3f}",
        f"  sd    {plain.std():.3f}      {adversarial.std():.3f}",
        "",
        "For comparison, the mean of the paper's own NumPy code over five seeds of 150 points:",
        "        0.823      0.945",
    ]
    return "\n".join(lines)


def amazon_table(style: str, how: str, results: Results) -> str:
    """Return the accuracies on the reviews beside the paper's, one line for each pair."""
    lines = [
        f"{style}, Amazon reviews: accuracy on the target's test file "
        f"({how}; mean ± sd of the seeds)",
        "",
        " " * 28 + "this program" + " " * 15 + "paper, Table 1a",
        "source       target         plain          adversarial      NN     DANN    SVM",
    ]
    for (source, target), rows in by_pair(results).items():
        cells = [
            f"{column(rows, name).mean():.3f} ± {column(rows, name).std():.3f}"
            for name in ("plain", "adversarial")
        ]
        dann, plain, svm = ("  -  " if v is None else f"{v:.3f}" for v in PAPER[source, target])
        lines.append(
            f"{source:12s} {target:12s}   {cells[0]}  {cells[1]}    {plain}   {dann}   {svm}"
        )
    pairs = by_pair(results)
    if len(pairs) > 1:
        plain, adversarial = (
            np.mean([column(rows, name).mean() for rows in pairs.values()])
            for name in ("plain", "adversarial")
        )
        dann = np.mean([PAPER[pair][0] for pair in pairs])
        lines.append(f"mean{'':24s}{plain:.3f}          {adversarial:.3f}{'':21s}{dann:.3f}")
    return "\n".join(lines)


def digits_table(style: str, data: str, steps: int, results: Results) -> str:
    """Return the accuracies on the target's test digits beside the paper's."""
    columns = {
        name: column([row for row in results if row["run"] == name], "accuracy")
        for name in PAPER_DIGITS
    }
    lines = [
        f"{style}, digits, {steps} steps: accuracy on the target's test digits",
        f"({data})",
        "",
        "seed    source only   DANN     target   of the gap",
    ]
    for seed, *row in zip(sorted({row["seed"] for row in results}), *columns.values()):
        lines.append(
            f"{seed:4d}    {row[0]:.4f}        {row[1]:.4f}   {row[2]:.4f}   {gap(*row):.1%}"
        )
    means, deviations = ([f(c) for c in columns.values()] for f in (np.mean, np.std))
    for name, row in (("mean", means), ("paper", list(PAPER_DIGITS.values()))):
        lines.append(
            f"{name:5s}   {row[0]:.4f}        {row[1]:.4f}   {row[2]:.4f}   {gap(*row):.1%}"
        )
    row = deviations
    lines.insert(-1, f"  sd    {row[0]:.4f}        {row[1]:.4f}   {row[2]:.4f}")
    return "\n".join(lines)


def gap(source_only: float, dann: float, target: float) -> float:
    """Return the share of the gap between source only and target that DANN covers."""
    return (dann - source_only) / (target - source_only)


def column(results: Results, name: str) -> np.ndarray:
    """Return one number of each result."""
    return np.array([row[name] for row in results])


def by_pair(results: Results) -> Dict[Any, List[Dict[str, Any]]]:
    """Return the results of each pair (source, target)."""
    pairs: Dict[Any, List[Dict[str, Any]]] = {}
    for row in results:
        pairs.setdefault((row["source"], row["target"]), []).append(row)
    return pairs


@dataclass(frozen=True)
class Snapshot:
    """The data of a trained network that the figure shows.

    Attributes
    ----------
    problem : Problem
        The points.
    grid : tuple of numpy.ndarray
        The coordinates of a grid over the plane.
    labels, domains : numpy.ndarray
        The label and the domain that are predicted at each point of the grid.
    source, target : numpy.ndarray
        The points in the first two principal components of the features of both.
    wrong : numpy.ndarray
        True for the target points whose predicted label is wrong.
    told_apart : float
        The fraction of all points whose predicted domain is right.
    """

    problem: Problem
    grid: Any
    labels: np.ndarray
    domains: np.ndarray
    source: np.ndarray
    target: np.ndarray
    wrong: np.ndarray
    told_apart: float

    @classmethod
    def take(cls, network: Any, problem: Problem) -> Snapshot:
        """Return the snapshot of a network on a problem in the plane."""
        points = np.concatenate([problem.xs, problem.xt])
        (x0, y0), (x1, y1) = points.min(axis=0) - 0.4, points.max(axis=0) + 0.4
        grid = np.meshgrid(np.linspace(x0, x1, 400), np.linspace(y0, y1, 300))
        plane = np.stack([axis.ravel() for axis in grid], axis=1).astype(points.dtype)
        domains = np.repeat([0, 1], [len(problem.xs), len(problem.xt)])
        features = PCA(n_components=2).fit_transform(network.represent(points))
        return cls(
            problem,
            grid,
            network.predict(plane).reshape(grid[0].shape),
            network.predict_domain(plane).reshape(grid[0].shape),
            features[: len(problem.xs)],
            features[len(problem.xs) :],
            network.predict(problem.test_x) != problem.test_y,
            float(np.mean(network.predict_domain(points) == domains)),
        )


def moons_figure(path: str, plain: Snapshot, adversarial: Snapshot) -> None:
    """Write the figure of the moons: a row for each network, as in Figure 2 of the paper.

    Parameters
    ----------
    path : str
        The PNG file; its folder is created if necessary.
    plain, adversarial : Snapshot
        The two networks.
    """
    titles = ("Label classification", "Hidden representation (PCA)", "Domain classification")
    figure, axes = plt.subplots(2, 3, figsize=(12, 7.2), constrained_layout=True)
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize=16, pad=10)
    for row, snapshot, name in zip(axes, (plain, adversarial), ("Plain", "Adversarial")):
        problem = snapshot.problem
        for axis, predicted, colours in (
            (row[0], snapshot.labels, (BLUE, ORANGE)),
            (row[2], snapshot.domains, (GREEN, INK)),
        ):
            axis.contourf(
                *snapshot.grid,
                predicted,
                levels=[-0.5, 0.5, 1.5],
                cmap=ListedColormap(colours),
                alpha=SHADE,
            )
            if predicted.min() < predicted.max():
                axis.contour(*snapshot.grid, predicted, levels=[0.5], colors=INK, linewidths=2.2)
            scatter(axis, problem.xs, problem.ys, problem.xt)
        scatter(row[1], snapshot.source, problem.ys, snapshot.target)
        wrong = problem.xt[snapshot.wrong]
        row[0].scatter(
            *wrong.T,
            s=80,
            facecolors="none",
            edgecolors=PURPLE,
            linewidths=2,
            label="labelled wrong",
        )
        accuracy = 1 - snapshot.wrong.mean()
        row[2].text(
            0.02,
            0.97,
            f"domain right: {snapshot.told_apart:.0%}",
            transform=row[2].transAxes,
            verticalalignment="top",
            fontsize=14,
            bbox={"color": "white", "pad": 3},
        )
        row[0].set_ylabel(f"{name} network\ntarget accuracy {accuracy:.3f}", fontsize=16)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    for colour, domain in ((GREEN, "source"), (INK, "target")):
        handles.append(Patch(facecolor=colour, alpha=SHADE))
        labels.append(f"taken for {domain}")
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncol=6,
        fontsize=14,
        frameon=False,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.2,
    )
    save(figure, path)


def scatter(axis: Any, source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    """Draw source points by label, and target points without."""
    for label, colour, marker in ((0, BLUE, "+"), (1, ORANGE, "_")):
        points = source[labels == label]
        axis.scatter(
            *points.T,
            s=60,
            c=colour,
            marker=marker,
            linewidths=2,
            label=f"source, label {label}",
            zorder=3,
        )
    axis.scatter(*target.T, s=14, c=INK, label="target", zorder=2)


def amazon_figure(path: str, results: Results) -> None:
    """Write the figure of the reviews: the accuracies of each pair beside the paper's.

    Parameters
    ----------
    path : str
        The PNG file; its folder is created if necessary.
    results : sequence of dict
        One for each pair and seed.
    """
    pairs = by_pair(results)
    figure, axis = plt.subplots(figsize=(9, 1.8 + 0.55 * len(pairs)), constrained_layout=True)
    for name, colour, shift in (("plain", BLUE, -0.12), ("adversarial", ORANGE, 0.12)):
        columns = [column(rows, name) for rows in pairs.values()]
        axis.errorbar(
            [c.mean() for c in columns],
            np.arange(len(pairs)) + shift,
            xerr=[c.std() for c in columns],
            fmt="o",
            color=colour,
            capsize=4,
            label=name,
        )
    dann = [PAPER[pair][0] for pair in pairs]
    axis.scatter(
        dann,
        np.arange(len(pairs)),
        marker="D",
        facecolors="none",
        edgecolors=INK,
        s=60,
        label="DANN, the paper",
    )
    axis.set_yticks(np.arange(len(pairs)))
    axis.set_yticklabels([" → ".join(pair) for pair in pairs], fontsize=12)
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.set_xlabel("accuracy on the target's test file", fontsize=12)
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=12)
    save(figure, path)


def digits_figure(path: str, style: str, data: Any, results: Results) -> None:
    """Write the figure of the digits: images, features and curves of the first seed.

    Parameters
    ----------
    path : str
        The PNG file; its folder is created if necessary.
    style : str
        The name of the framework.
    data : digits.Digits
        The data.
    results : sequence of dict
        One for each seed and network.
    """
    first = {row["run"]: row for row in results if row["seed"] == results[0]["seed"]}
    figure, axes = plt.subplots(3, 3, figsize=(11, 10), constrained_layout=True)
    shown = 8
    grey = np.repeat(data.source_x[: 3 * shown, ..., None], 3, axis=3)
    tiles = [
        np.concatenate(list(x[n * shown : (n + 1) * shown]), axis=1)
        for x in (grey, data.test_x)
        for n in range(3)
    ]
    axes[0, 0].imshow(np.concatenate(tiles))
    axes[0, 0].set_title("source (above) and target (below)")
    for axis, name in zip(axes[0, 1:], ("source only", "DANN")):
        points = np.array(first[name]["points"])
        half = len(points) // 2
        for part, colour, domain in (
            (points[:half], BLUE, "source"),
            (points[half:], ORANGE, "target"),
        ):
            axis.scatter(*part.T, s=4, c=colour, label=domain)
        axis.set_title(f"features, {name}: {first[name]['accuracy']:.3f}")
    axes[0, 1].legend(frameon=False, markerscale=3)
    for axis in axes[0]:
        axis.set_xticks([])
        axis.set_yticks([])
    colours = dict(zip(PAPER_DIGITS, (BLUE, ORANGE, GREEN)))
    chance = {"domain loss": np.log(2), "domain accuracy": 0.5}
    for axis, curve in zip(axes[1:].ravel(), (*CURVES, "target accuracy")):
        axis.set_title(curve)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if curve in chance:
            axis.axhline(chance[curve], color=INK, linestyle=":", label="chance")
        for name, row in first.items():
            if curve == "target accuracy":
                if row["measured"]:
                    axis.plot(*np.array(row["measured"]).T, color=colours[name], label=name)
            elif name == "DANN" or curve == "label loss":
                values = np.array(row["curves"][curve])
                width = max(1, len(values) // 60)
                values = values[: len(values) // width * width].reshape(-1, width).mean(axis=1)
                at = (np.arange(len(values)) + 0.5) * width
                axis.plot(at, values, color=colours[name], label=name)
    axes[1, 0].set_yscale("log")
    for axis in (axes[1, 0], axes[1, 1]):
        axis.legend(frameon=False)
    figure.suptitle(f"{style}, digits: {data.name}")
    save(figure, path, dpi=70)


def curves_figure(path: str, lam: Sequence[float], curves: Dict[str, np.ndarray]) -> None:
    """Write the figure of λ over time: λ, and the losses as each way of driving it has them.

    Parameters
    ----------
    path : str
        The PNG file; its folder is created if necessary.
    lam : sequence of float
        λ in each step.
    curves : dict
        The label loss and the domain loss of each step, in two columns, by the way's name.
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), constrained_layout=True)
    axes[0].plot(lam, color=INK)
    styles = zip(curves.items(), (BLUE, ORANGE, GREEN), ("-", "--", ":"), (5, 3, 2))
    for (name, losses), colour, line, width in styles:
        for axis, values in zip(axes[1:], losses.T):
            axis.plot(values, color=colour, linestyle=line, linewidth=width, label=f"by {name}")
    for axis, title in zip(axes, ("λ", "label loss", "domain loss")):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    axes[1].legend(frameon=False)
    save(figure, path)


def save(figure: Any, path: str, dpi: int = 150) -> None:
    """Write a figure as PNG and close it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
