"""The tests of published reversal layers, unchanged, with ours in the place of theirs.

Run ``python benchmarks/published_tests.py``. It downloads the source distributions of
pytorch-revgrad and skada with pip and runs the tests in them three times: with their own reversal,
with ours under their name, and with the identity, which shows whether the tests would see a
reversal that is none. The tests of pytorch-adapt are not in its source distribution: give a
checkout, as in ``python benchmarks/published_tests.py pytorch-adapt=PATH``. What the packages
depend on must be installed; the packages need not be. It exits with 1 if a test passes with theirs
and not with ours.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import types
from typing import Any, Callable, List, Tuple

SHOWN = ("theirs", "ours", "identity")
# pytorch-revgrad 0.2.0 says what it is in a form that newer ones no longer read.
BUILD_CONSTRAINTS = "flit_core<4\nflit<3.10\n"


def main() -> int:
    """Run everything and print the table."""
    checkouts = dict(argument.split("=", 1) for argument in sys.argv[1:])
    print(f"{'the tests of, with':28}", *(f"{each:20}" for each in SHOWN))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, package in PACKAGES.items():
            if name in checkouts:
                source = pathlib.Path(checkouts[name]).resolve()
            elif package.version:
                source = downloaded(f"{name}=={package.version}", pathlib.Path(folder, name))
            else:
                continue
            results = [run(name, source, which) for which in SHOWN]
            print(f"{source.name:28}", *(f"{counts:20}" for counts, _ in results))
            theirs, ours = results[:2]
            if ours[0] != theirs[0]:
                failed = True
                print(ours[1])
    return int(failed)


def downloaded(requirement: str, folder: pathlib.Path) -> pathlib.Path:
    """Download a source distribution, and return the folder it unpacks to."""
    folder.mkdir()
    constraints = folder / "constraints.txt"
    constraints.write_text(BUILD_CONSTRAINTS)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", ":all:"]
        + ["--dest", str(folder), requirement],
        check=True,
        # Older versions of pip know the one, newer ones the other.
        env={
            **os.environ,
            "PIP_CONSTRAINT": str(constraints),
            "PIP_BUILD_CONSTRAINT": str(constraints),
        },
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    return folder / archive.name[: -len(".tar.gz")]


def run(name: str, source: pathlib.Path, which: str) -> Tuple[str, str]:
    """Run the tests of a package in a process of their own; return the counts and the output."""
    command = [sys.executable, __file__, "--in", name, str(source), which]
    # pytorch-adapt's own switch; and one thread, where others wait for a busy core.
    environment = {**os.environ, "TEST_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    output = process.stdout + process.stderr
    counts = re.findall(r"\d+ (?:passed|failed|error)", output)
    if not counts or process.returncode not in (0, 1):
        raise SystemExit(output)
    return ", ".join(counts), output


def in_process(name: str, source: str, which: str) -> int:
    """Put a reversal in the place of theirs, run pytest, and see that it was called."""
    import pytest

    package, calls = PACKAGES[name], []
    sys.path[:0] = [str(pathlib.Path(source, part)) for part in package.paths]
    if which != "theirs":
        package.alias(reversal(which, calls))
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--color=no"]
    status = pytest.main([*options, "-W", "ignore", *package.tests], plugins=[Seeded()])
    if which != "theirs" and not calls:
        print(f"the tests of {name} never came to what stands in for its reversal")
        return 2
    return int(status)


class Seeded:
    """Seeds PyTorch before each test: some compare unseeded numbers closely, and fail at times."""

    def pytest_runtest_setup(self) -> None:
        import torch

        torch.manual_seed(0)


def reversal(which: str, calls: List[Any]) -> Callable[..., Any]:
    """Return the class of a layer: ours, or one that does nothing; a call leaves its λ."""
    import torch
    from revgrad_torch import GradientReversal

    class Noted(GradientReversal if which == "ours" else torch.nn.Identity):  # type: ignore[misc]
        def __init__(self, lam: float = 1.0) -> None:
            super().__init__(lam)
            self._noted = lam

        def forward(self, x: Any) -> Any:
            calls.append(self._noted)
            return super().forward(x)

    return Noted


def alias_pytorch_revgrad(layer: Callable[..., Any]) -> None:
    """``pytorch_revgrad`` is a module that holds ours alone."""
    module: Any = types.ModuleType("pytorch_revgrad")
    module.RevGrad = lambda alpha=1.0: layer(alpha)
    sys.modules["pytorch_revgrad"] = module


def alias_skada(layer: Callable[..., Any]) -> None:
    """Its networks look the Function up by its name."""
    import skada.deep.modules

    class Function:
        @staticmethod
        def apply(x: Any, alpha: float) -> Any:
            return layer(alpha)(x)

    skada.deep.modules.GradientReversalLayer = Function


def alias_pytorch_adapt(layer: Callable[..., Any]) -> None:
    """Its hooks import the layer from ``pytorch_adapt.layers``."""
    import pytorch_adapt.layers

    pytorch_adapt.layers.GradientReversal = lambda weight=1.0: layer(weight)


@dataclasses.dataclass
class Package:
    """Where its tests are, what they import, and how ours takes the place of theirs."""

    version: str  # of the source distribution; "" where that has no tests
    paths: List[str]
    tests: List[str]
    alias: Callable[[Callable[..., Any]], None]


PACKAGES = {
    "pytorch-revgrad": Package("0.2.0", ["src"], ["tests/test_layer.py"], alias_pytorch_revgrad),
    "skada": Package("0.6.0", ["."], ["skada/deep/tests/test_deep_adversarial.py"], alias_skada),
    "pytorch-adapt": Package(
        "", [".", "src"], ["tests/layers/test_gradient_reversal.py"], alias_pytorch_adapt
    ),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        sys.exit(in_process(*sys.argv[2:]))
    sys.exit(main())
