"""Print the lines of code of each part, and the levels of the import graph of the core.

Lines are counted without docstrings, comments and blanks. The graph has a node for each file of
``revgrad/`` and one for each folder in it; imports under ``TYPE_CHECKING`` and those of
``revgrad/__init__`` are left out. Exit status 1 if there is a circle between these nodes, or
between the files of a folder.
"""

import argparse
import ast
import pathlib

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
own = pathlib.Path(__file__).parents[1]
parser.add_argument("root", nargs="?", type=pathlib.Path, default=own, help="default: %(default)s")
ROOT = parser.parse_args().root
SUPPORT = {"testing.py", "compat.py", "install.py"}


def code_lines(path):
    """Return the number of lines of a file that hold code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    docstrings = set()
    for node in ast.walk(tree):
        first = node.body[0] if isinstance(node, kinds) and node.body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            docstrings.update(range(first.lineno, first.end_lineno + 1))
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in docstrings
        for number, line in enumerate(lines, 1)
    )


def imported(path, modules):
    """Return the modules of the core that a file imports when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{each.name}" for each in node.names}
            names |= inner & modules or {node.module}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    return names & modules


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def levels(graph):
    """Return the longest chain of imports, or raise where there is a circle."""
    longest = {}

    def visit(module, above):
        if module in above:
            raise SystemExit(f"circle: {' -> '.join([*above[above.index(module) :], module])}")
        if module not in longest:
            chains = [visit(each, [*above, module]) for each in sorted(graph[module])]
            longest[module] = [module, *max(chains, key=len, default=[])]
        return longest[module]

    for module in graph:
        visit(module, [])
    return max(longest.values(), key=len)


def main():
    parts = {"core": 0, "backends": 0, "support of backends": 0, "tests": 0}
    for path in sorted(ROOT.glob("revgrad*/**/*.py")):
        top = path.relative_to(ROOT).parts[0]
        part = "core" if top == "revgrad" else "backends"
        if part == "backends" and path.name in SUPPORT:
            part = "support of backends"
        parts[part] += code_lines(path)
        if top == "revgrad" and len(path.relative_to(ROOT).parts) > 2:
            wing = f"  of these revgrad/{path.relative_to(ROOT).parts[1]}"
            parts[wing] = parts.get(wing, 0) + code_lines(path)
    parts["tests"] = sum(map(code_lines, ROOT.glob("tests/**/*.py")))
    for part, count in parts.items():
        print(f"{part:<32}{count:>6}")
    files = {name_of(path): path for path in ROOT.glob("revgrad/**/*.py")}
    graph = {name: imported(path, set(files)) - {"revgrad"} for name, path in files.items()}
    del graph["revgrad"]
    for name in list(graph):  # a package's __init__ only collects its files
        graph[name] = {each for each in graph[name] if not each.startswith(f"{name}.")}
    levels(graph)
    rooms = {}
    for name, each in graph.items():
        rooms.setdefault(room_of(name), set()).update(map(room_of, each))
    chain = levels({name: each - {name} for name, each in rooms.items()})
    print(f"\n{len(chain)} levels, no circle:\n" + "\n".join(f"  {each}" for each in chain))


def room_of(name):
    """Return the file or the folder in ``revgrad/`` that a module belongs to."""
    return ".".join(name.split(".")[:2])


main()
