"""The examples in the docstrings of what a package offers.

pytest finds those of a module by ``__module__``; the names that a package loads lazily have that of
the package, where they are not until somebody asks for them.
"""

import doctest


def run_examples(package):
    """Run the examples of every public name, and return how many there were."""
    names = {name: getattr(package, name) for name in package.__all__}
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for name, value in names.items():
        for test in doctest.DocTestFinder().find(value, name, module=False, globs=dict(names)):
            runner.run(test)
    return runner.tries
