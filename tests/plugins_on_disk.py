"""Plugins as code, one that works and one of each kind that is broken, and how to install them."""

import os
import textwrap

GOOD = """
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    return [revgrad.BackendSpec("good", ("good_plugin:Tensor",), "good_plugin:GoodBackend")]

class Tensor:
    pass

class GoodBackend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return "reversed by good"

    reverse = multiply_gradient
"""

BROKEN = {
    "import": ("raise RuntimeError('no such driver')", "RuntimeError: no such driver"),
    "exit": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "registration": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends(session):
            return []
        """,
        "PluginValidationError",
    ),
    "no hook": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backend():
            return []
        """,
        "implements no hook of revgrad; decorate a function named revgrad_backends with",
    ),
    "hook": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            raise KeyError("version")
        """,
        "KeyError: 'version'",
    ),
    "result": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            return 3
        """,
        "TypeError: revgrad_backends must return specs; got 3 (int)",
    ),
    "text": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            return "theano"
        """,
        "TypeError: revgrad_backends must return specs; got 'theano' (str)",
    ),
    "nothing": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            [revgrad.BackendSpec("forgotten", ("a:B",), "a:C")]
        """,
        "TypeError: revgrad_backends returned None; return its specs",
    ),
    "skip": (
        """
        class Skipped(BaseException):
            pass

        raise Skipped("no device")
        """,
        "Skipped: no device",
    ),
    "speechless": (
        """
        class Speechless(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        raise Speechless()
        """,
        "Speechless. The other backends work on.",
    ),
    "shy spec": (
        """
        import revgrad

        class Shy:
            def __repr__(self):
                raise RuntimeError("no repr")

        @revgrad.hookimpl
        def revgrad_backends():
            return [Shy()]
        """,
        "RuntimeError: no repr",
    ),
    "spec": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            return [
                revgrad.BackendSpec("beside", ("a:B",), "a:C"),
                revgrad.BackendSpec("bad", ("theano.Variable",), "a:C"),
            ]
        """,
        "ValueError: the spec of backend 'bad': a claim must read 'module:qualname'",
    ),
    "not a spec": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            return ["theano"]
        """,
        "expected a revgrad.BackendSpec; got 'theano' (str)",
    ),
    "name": (
        """
        import revgrad

        @revgrad.hookimpl
        def revgrad_backends():
            return [revgrad.BackendSpec("numpy", ("a:B",), "a:C")]
        """,
        "the name is taken by the backend of revgrad.reference:NumpyBackend",
    ),
}
STAGE = {
    "import": "import",
    "exit": "import",
    "registration": "registration",
    "no hook": "registration",
    "hook": "hook",
    "result": "hook",
    "text": "hook",
    "nothing": "hook",
    "skip": "import",
    "speechless": "import",
    "shy spec": "spec",
    "spec": "spec",
    "not a spec": "spec",
    "name": "spec",
}


def install(site, name, code, **modules):
    """Install a distribution with one plugin, and modules beside it, into a folder."""
    info = site / f"{name}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    plugin = name.replace("-", "_")
    (info / "entry_points.txt").write_text(f"[revgrad]\n{name} = {plugin}\n")
    for module, text in {plugin: code, **modules}.items():
        (site / f"{module}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def environment(*folders, **variables):
    """Return the environment variables of a process that has folders first on its path."""
    path = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **variables}
