"""The two problems of the examples: inter-twinning moons, and Amazon reviews.

A problem has labelled source samples and unlabelled target samples for training, and labelled
target samples for the final accuracy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
from sklearn.datasets import load_svmlight_file, make_moons

DOMAINS = ("books", "dvd", "electronics", "kitchen")
N_FEATURES = 5000

# Table 1a of the JMLR paper, accuracies on the original data: DANN, plain network, SVM. The
# last two are included for the pairs of books and dvd only.
PAPER: Dict[Tuple[str, str], Tuple[Optional[float], ...]] = {
    ("books", "dvd"): (0.784, 0.790, 0.799),
    ("books", "electronics"): (0.733, None, None),
    ("books", "kitchen"): (0.779, None, None),
    ("dvd", "books"): (0.723, 0.720, 0.743),
    ("dvd", "electronics"): (0.754, None, None),
    ("dvd", "kitchen"): (0.783, None, None),
    ("electronics", "books"): (0.713, None, None),
    ("electronics", "dvd"): (0.738, None, None),
    ("electronics", "kitchen"): (0.854, None, None),
    ("kitchen", "books"): (0.709, None, None),
    ("kitchen", "dvd"): (0.740, None, None),
    ("kitchen", "electronics"): (0.843, None, None),
}


@dataclass(frozen=True)
class Problem:
    """One task of domain adaptation.

    Attributes
    ----------
    xs : numpy.ndarray
        Source samples, one in each row.
    ys : numpy.ndarray
        Their labels, counted from 0, int32.
    xt : numpy.ndarray
        Target samples, for training.
    test_x, test_y : numpy.ndarray
        Target samples and labels, for the final accuracy only; None where there is none.
    """

    xs: np.ndarray
    ys: np.ndarray
    xt: np.ndarray
    test_x: Optional[np.ndarray]
    test_y: Optional[np.ndarray]


def moons(
    seed: int,
    samples: int = 150,
    noise: float = 0.05,
    angle: float = 35.0,
    dtype: str = "float64",
) -> Problem:
    """Return the inter-twinning moons of Figure 2 of the JMLR paper.

    The source is centred and doubled. The target is a new sample, shifted and scaled like the
    source, then rotated anticlockwise about the origin. The accuracy is measured on the target
    samples that were used for training without their labels, as in the paper.

    Parameters
    ----------
    seed : int
        The seed of both samples, at least 0.
    samples : int, optional
        The number of points of each domain.
    noise : float, optional
        The standard deviation of the noise, before the doubling.
    angle : float, optional
        The rotation of the target, in degrees.
    dtype : str, optional
        Of the points.

    Returns
    -------
    Problem
        With two inputs and two labels.

    Examples
    --------
    >>> problem = moons(seed=0)
    >>> problem.xs.shape, problem.xt.shape
    ((150, 2), (150, 2))
    """
    xs, ys = make_moons(samples, noise=noise, random_state=2 * seed)
    xt, yt = make_moons(samples, noise=noise, random_state=2 * seed + 1)
    centre = xs.mean(axis=0)
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    xs = (2 * (xs - centre)).astype(dtype)
    xt = (2 * (xt - centre) @ rotation.T).astype(dtype)
    return Problem(xs, ys.astype("int32"), xt, xt, yt.astype("int32"))


def amazon_files(folder: Union[str, Path]) -> Tuple[List[str], List[str]]:
    """Return the names of the files of all domains: those in a folder, and those missing there."""
    names = [f"{domain}_{part}.svmlight" for domain in DOMAINS for part in ("train", "test")]
    found = [name for name in names if (Path(folder) / name).is_file()]
    return found, [name for name in names if name not in found]


def amazon_pairs(
    folder: Union[str, Path], source: Optional[str] = None, target: Optional[str] = None
) -> List[Tuple[str, str]]:
    """Return the pairs (source, target) of domains that a folder has the files for.

    Parameters
    ----------
    folder : str or pathlib.Path
        The folder of the ``.svmlight`` files.
    source, target : str, optional
        Only pairs with this source, with this target.

    Returns
    -------
    list of (str, str)
        A pair needs ``SOURCE_train``, ``TARGET_train`` and ``TARGET_test``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no pair in it is complete.
    """
    found, missing = amazon_files(folder)
    pairs = [
        (s, t)
        for s, t in permutations(DOMAINS, 2)
        if {f"{s}_train.svmlight", f"{t}_train.svmlight", f"{t}_test.svmlight"} <= set(found)
    ]
    if not pairs:
        state = "does not exist"
        if Path(folder).is_dir():
            state = (
                f"holds {', '.join(found) or 'none of the files'}; missing: {', '.join(missing)}"
            )
        raise FileNotFoundError(
            f"The folder {folder} {state}. The Amazon example needs SOURCE_train.svmlight, "
            "TARGET_train.svmlight and TARGET_test.svmlight, each of the two being one of the "
            f"domains {', '.join(DOMAINS)}: the reviews of Blitzer et al. (2007) as prepared by "
            "Chen et al. (2012), under the names they have in the folder 'data' of "
            "github.com/GRAAL-Research/domain_adversarial_neural_network."
        )
    chosen = [(s, t) for s, t in pairs if source in (None, s) and target in (None, t)]
    if not chosen:
        raise FileNotFoundError(
            f"The folder {folder} is not complete for the source {source or '(any)'} "
            f"and the target {target or '(any)'}. Complete are: "
            + ", ".join(" to ".join(pair) for pair in pairs)
        )
    return chosen


def amazon(
    folder: Union[str, Path],
    source: str,
    target: str,
    dtype: str = "float64",
    sparse: bool = False,
) -> Problem:
    """Return the sentiment of the reviews of one pair of domains.

    Parameters
    ----------
    folder : str or pathlib.Path
        The folder of the ``.svmlight`` files, complete for this pair.
    source, target : str
        Two of `DOMAINS`.
    dtype : str, optional
        Of the features.
    sparse : bool, optional
        Leave the samples sparse matrices.

    Returns
    -------
    Problem
        With 5,000 inputs, the counts of words and pairs of words, and two labels: 0 negative, 1
        positive.
    """

    def read(name: str) -> Tuple[Any, np.ndarray]:
        x, y = read_reviews(Path(folder) / f"{name}.svmlight", dtype)
        return x if sparse else x.toarray(), y

    xs, ys = read(f"{source}_train")
    xt, _ = read(f"{target}_train")
    return Problem(xs, ys, xt, *read(f"{target}_test"))


def read_reviews(path: Path, dtype: str) -> Tuple[Any, np.ndarray]:
    """Return the features of a file as a sparse matrix, and the labels."""
    x, y = load_svmlight_file(str(path), n_features=N_FEATURES, dtype=dtype, zero_based=True)
    return x, (y > 0).astype("int32")
