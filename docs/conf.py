"""Configuration of Sphinx; `tox run -e docs` builds with ``-n -W``."""

import warnings

warnings.simplefilter("ignore")  # Theano warns about newer versions of Python

import revgrad_theano.compat  # noqa: E402, F401  before Theano, which autodoc imports

from pathlib import Path  # noqa: E402

from revgrad import __version__, schedules  # noqa: E402
from revgrad._cli.schedule import figure  # noqa: E402

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
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "examples", "description.md"]
default_role = "autolink"
html_theme = "furo"
html_title = f"revgrad {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
# The copy button leaves out prompts and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
intersphinx_mapping = {}  # the build must work without a network
nitpick_ignore_regex = [
    # Type variables, and types that type checkers alone see.
    (r"py:class", r".*\.X"),
    (r"py:class", r"revgrad\._variable\.HasDtype"),
    (r"py:class", r"TensorVariable"),
    # Words of numpydoc's type lines, and objects that other projects document.
    ("py:class", r"(theano|lasagne|numpy|np|pluggy)\..*|Apply|Variable|Op|Layer"),
    ("py:.*", r"(theano|lasagne|numpy|hypothesis|jax|equinox|flax|pytensor|autograd)\..*"),
    ("py:.*", r"(torch|tensorflow|tf|keras)(\..*)?"),
    ("py:class", r"revgrad\.testing\._cases\.Case"),
    # Arguments of the schedules, which autolink takes for the attributes of the same names.
    ("py:obj", r"alpha|beta|end|gamma|high|hold|initial|lam|low|power|start"),
    ("py:obj", r"factor|harness|layer|module|value"),
]
# The figure of reference/schedules.md.
GENERATED = Path(__file__).parent / "reference" / "generated"
GENERATED.mkdir(exist_ok=True)
figure(
    [
        schedules.Constant(0.3),
        schedules.Dann(),
        schedules.Linear(),
        schedules.Cosine(),
        schedules.Exponential(0.01, 1),
        schedules.Polynomial(power=2),
        schedules.Piecewise([(0.1, 0), (0.3, 0.6), (0.8, 0.2)]),
        schedules.Delayed(schedules.Dann(), until=0.4),
        schedules.Sequential([schedules.Linear(0, 0.8), schedules.Constant(0.8)], [0.6]),
        0.5 * schedules.Cosine(1, 0),
        schedules.InverseDecay(initial=1),
    ]
).savefig(GENERATED / "schedules.png")
# pytest runs the examples in docstrings, in the namespaces of their modules.
doctest_test_doctest_blocks = ""
trim_doctest_flags = True
