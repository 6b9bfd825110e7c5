"""Which parts of PyTorch carry a reversal, version by version: the table of the support matrix.

Run ``python benchmarks/torch_matrix.py 2.0.0 2.4.0 2.13.0``. For each version it makes an
environment, installs PyTorch, runs `revgrad check torch` and one program for each part in a
process of its own, removes the environment, and writes the rows into docs/reference/support.md.
Rows of other versions stay. The installations are large: one is on the disk at a time.

``--python PROGRAM`` takes an interpreter that has PyTorch and revgrad in place of an environment.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, List

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "support.md"
BEGIN, END = "<!-- benchmarks/torch_matrix.py -->", "<!-- end -->"
NEEDS = ["pluggy", "hypothesis", "ml_dtypes", "setuptools"]


def main() -> None:
    """Run the versions that were asked for and write their rows."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    parser.add_argument("--python", action="append", default=[], metavar="PROGRAM")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        return print(json.dumps(probe()))
    rows = [measured(each) for each in options.python]
    for version in options.versions:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(installed(version, folder)))
    write(rows)


def installed(version: str, folder: str) -> str:
    """Make an environment with a version of PyTorch; the oldest Python that has a wheel."""
    old = tuple(map(int, version.split(".")[:2])) < (2, 3)  # built for NumPy 1
    numpy = "numpy<2" if old else "numpy"
    for python in map("python3.{}".format, range(8, 14)):
        if not shutil.which(python):
            continue
        if subprocess.run([python, "-m", "venv", "--clear", folder], check=False).returncode:
            continue
        program = str(pathlib.Path(folder, "bin", "python"))
        install = [program, "-m", "pip", "install", "-q"]
        if not subprocess.run([*install, f"torch=={version}", numpy, *NEEDS]).returncode:
            subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
            return program
    raise SystemExit(f"PyTorch {version} cannot be installed with any Python here.")


def measured(program: str) -> List[str]:
    """Return the row of the PyTorch of one interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}

    def run(*command: str) -> Any:
        done = subprocess.run(
            [program, *command], env=environment, stdout=subprocess.PIPE, text=True
        )
        return json.loads(done.stdout[done.stdout.index("{") :])

    cells = run(__file__, "--probe")
    checks = run("-m", "revgrad", "check", "torch", "--json")["backends"][0]["checks"]
    for outcome in ("passed", "skipped", "failed"):
        cells[outcome] = str(sum(each["outcome"] == outcome for each in checks))
    print(*cells.values(), sep=" | ", flush=True)
    for each in checks:
        if each["outcome"] == "failed":
            print(each["reason"], flush=True)
    return list(cells.values())


def write(rows: List[List[str]]) -> None:
    """Put the rows into the page, in the order of the versions."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    table, after = rest.split(END)
    known = {row.split("|")[1].strip(): row for row in re.findall(r"^\| \d.*$", table, re.M)}
    known.update({row[0]: "| " + " | ".join(row) + " |" for row in rows})
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    lines += [known[each] for each in sorted(known, key=lambda v: [int(n) for n in v.split(".")])]
    text = f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


# --- in the environment of one version ------------------------------------------------------------


def probe() -> Dict[str, str]:
    """Try every part, and return what came of it."""
    import platform

    import torch

    cells = {
        "PyTorch": torch.__version__.partition("+")[0],
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }
    for name, program in parts().items():
        cells[name] = outcome(program)
    return cells


def outcome(program: Callable[[], Any]) -> str:
    """Return whether the gradient is -0.5 times that of the identity."""
    import torch

    try:
        gradient = program()
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return "internal error" if "InternalTorchDynamoError" in kinds else "refused"
    return "right" if torch.equal(gradient, torch.tensor([-1.0, -1.0])) else "**wrong**"


def parts() -> Dict[str, Callable[[], Any]]:
    """Return one program for each column; the gradient of each is [-1, -1]."""
    import torch
    import torch.autograd.forward_ad as forward_ad

    import revgrad
    from revgrad_torch import GradientReversal

    x = torch.ones(2)

    def gradient(fn: Any) -> Any:
        value = x.clone().requires_grad_()
        return torch.autograd.grad(fn(value).sum(), value)[0]

    class Model(torch.nn.Module):
        def __init__(self, lam: Any = 0.5) -> None:
            super().__init__()
            self.layer, self.lam = GradientReversal(0.5), lam

        def forward(self, x: Any) -> Any:  # as function and as module, 0.25 + 0.75
            return revgrad.reverse(x * 0.5, self.lam) + 1.5 * self.layer(x)

    def forward_mode() -> Any:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, x * 2)
            return forward_ad.unpack_dual(revgrad.reverse(dual, 0.5)).tangent

    def transformed() -> Any:
        slope = torch.func.grad(lambda x, lam: (revgrad.reverse(x, lam) ** 2).sum())
        hessian = torch.func.hessian(lambda x: (revgrad.reverse(x, 0.5) ** 2).sum())(x)
        assert torch.equal(hessian, 0.5 * torch.eye(2))
        return torch.func.vmap(slope, (0, None))(torch.stack([x, x]), torch.tensor(0.5))[1]

    def compiled(fullgraph: bool, variable: bool = False) -> Any:
        torch._dynamo.reset()
        model = Model(revgrad.LambdaVariable(0.5) if variable else 0.5)

        def heads(x: Any) -> Any:
            h = x * 1
            return model(h), h

        both = torch.compile(heads, backend="aot_eager", fullgraph=fullgraph)
        return gradient(lambda x: both(x)[0] + 0 * both(x)[1])

    def exported(strict: bool) -> Any:
        return gradient(torch.export.export(Model(), (x,), strict=strict).module())

    return {
        "eager": lambda: gradient(Model()),
        "forward mode": forward_mode,
        "torch.func": transformed,
        "torch.jit": lambda: gradient(torch.jit.trace(Model(), x)),
        "torch.compile": lambda: compiled(False),
        "fullgraph": lambda: compiled(True),
        "compiled variable": lambda: compiled(False, variable=True),
        "fullgraph, variable": lambda: compiled(True, variable=True),
        "torch.export, strict=False": lambda: exported(False),
        "strict=True": lambda: exported(True),
    }


HEADINGS = [
    *("PyTorch", "Python", "eager", "forward mode", "torch.func", "torch.jit", "torch.compile"),
    *("fullgraph", "compiled variable", "fullgraph, variable", "torch.export, strict=False"),
    *("strict=True", "checks passed", "skipped", "failed"),
]

if __name__ == "__main__":
    sys.exit(main())
