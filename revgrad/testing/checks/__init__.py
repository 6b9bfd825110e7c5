"""The contract as functions: one module for each group of clauses.

Importing this package registers every check in `revgrad.testing.CHECKS`.
"""

from revgrad.testing.checks import choice, factors, programs, usage, values

__all__ = ["choice", "factors", "programs", "usage", "values"]
