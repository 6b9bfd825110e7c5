"""Run the tests of published reversal layers, unchanged, on our layer.

Run ``python benchmarks/published_tests.py``. It downloads the source distributions of
pytorch-revgrad and skada with pip and runs the tests in them three times: with their own reversal,
with ours under their name, and with the identity, which shows whether the tests would detect a
missing reversal. The tests of pytorch-adapt are not in its source distribution: pass a checkout, as
in ``python benchmarks/published_tests.py pytorch-adapt=PATH``. The dependencies of the packages
must be installed; the packages need not be. The exit code is 1 if the results of theirs and ours
differ.
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
# pytorch-revgrad 0.2.0 has metadata in a form that newer versions of flit do not read.
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
        # Older versions of pip read the first, newer ones the second.
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
    """Run the tests of a package in a subprocess; return the counts and the output."""
    command = [sys.executable, __file__, "--in", name, str(source), which]
    # The switch of pytorch-adapt; and one thread, because several would wait for a busy core.
    environment = {**os.environ, "TEST_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    output = process.stdout + process.stderr
    counts = re.findall(r"\d+ (?:passed|failed|error)", output)
    if not counts or process.returncode not in (0, 1):
        raise SystemExit(output)
    return ", ".join(counts), output


def in_process(name: str, source: str, which: str) -> int:
    """Replace their reversal, run pytest, and check that the replacement was called."""
    import pytest

    package, calls = PACKAGES[name], []
    sys.path[:0] = [str(pathlib.Path(source, part)) for part in package.paths]
    if which != "theirs":
        package.alias(reversal(which, calls))
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--color=no"]
    status = pytest.main([*options, "-W", "ignore", *package.tests], plugins=[Seeded()])
    if which != "theirs" and not calls:
        print(f"the tests of {name} never called the replacement of its reversal")
        return 2
    return int(status)


class Seeded:
    """Seed PyTorch before each test: some compare unseeded numbers, and sometimes fail."""

    def pytest_runtest_setup(self) -> None:
        import torch

        torch.manual_seed(0)


def reversal(which: str, calls: List[Any]) -> Callable[..., Any]:
    """Return the class of a layer, ours or the identity; each call appends its λ to `calls`."""
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
    """Replace the module ``pytorch_revgrad`` by one with our layer."""
    module: Any = types.ModuleType("pytorch_revgrad")
    module.RevGrad = lambda alpha=1.0: layer(alpha)
    sys.modules["pytorch_revgrad"] = module


def alias_skada(layer: Callable[..., Any]) -> None:
    """Replace the Function, which its networks look up by name."""
    import skada.deep.modules

    class Function:
        @staticmethod
        def apply(x: Any, alpha: float) -> Any:
            return layer(alpha)(x)

    skada.deep.modules.GradientReversalLayer = Function


def alias_pytorch_adapt(layer: Callable[..., Any]) -> None:
    """Replace the layer in ``pytorch_adapt.layers``, where its hooks import it from."""
    import pytorch_adapt.layers

    pytorch_adapt.layers.GradientReversal = lambda weight=1.0: layer(weight)


@dataclasses.dataclass
class Package:
    """The location of the tests of a package, and how to replace its reversal."""

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
