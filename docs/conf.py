"""Configuration of Sphinx; `tox run -e docs` builds with ``-n -W``."""

import warnings

warnings.simplefilter("ignore")  # Theano's own, about the Pythons it does not know

import revgrad_theano.compat  # noqa: E402, F401  before Theano, which autodoc imports

from revgrad import __version__  # noqa: E402

project = "revgrad"
copyright = "2026, the revgrad developers"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "examples"]
default_role = "autolink"
html_theme = "furo"
html_title = f"revgrad {version}"
html_static_path = ["_static"]
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
intersphinx_mapping = {}  # the build must work without a network
nitpick_ignore_regex = [
    # The vocabulary of numpydoc's type lines, and what other projects document.
    ("py:class", r"(theano|lasagne|numpy|np|pluggy)\..*|Apply|Variable|Op|Layer"),
    ("py:.*", r"theano.*|lasagne.*|numpy.*"),
    # Arguments of the schedules: autolink finds the attributes of the same names.
    ("py:obj", r"alpha|beta|end|gamma|high|hold|initial|low|power|start"),
]
doctest_global_setup = """
import numpy as np
import revgrad
"""
# The examples of docstrings run under pytest, with the names of their own modules.
doctest_test_doctest_blocks = ""
trim_doctest_flags = True
