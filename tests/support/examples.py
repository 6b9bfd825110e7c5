"""The examples in the docstrings of what a package offers.

pytest finds those of a module by ``__module__``; the names that a package loads lazily have that of
the package, where they are not until somebody asks for them.
"""

import doctest


def assert_public(package):
    """Assert that a package lists its names, that they name it, and that their examples run."""
    assert dir(package) == package.__all__
    names = {name: getattr(package, name) for name in package.__all__}
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for name, value in names.items():
        assert value.__module__ == package.__name__
        for test in doctest.DocTestFinder().find(value, name, module=False, globs=dict(names)):
            runner.run(test)
    assert runner.tries
