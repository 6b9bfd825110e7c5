"""Make the real Theano and the real Lasagne run on today's Python and NumPy.

Theano 1.0.5 (2020) and Lasagne 0.1 (2015) ask for names that Python and NumPy have removed since.
``import revgrad_theano.compat`` before ``import theano`` supplies them, in this process only;
``python -m revgrad_theano.compat script.py ...`` (or ``-m module ...``) runs an unchanged program
that way. Each patch is applied only where the thing it supplies is missing, and never in place of
the real thing, so nothing changes on an old Python with an old NumPy. Nothing else in revgrad
imports this module, and it imports neither Theano nor Lasagne.

The rest of the process sees two things of it. Names that NumPy has removed exist again with their
old meaning (`numpy.complex`, `numpy.product`, ...). Where Python has no ``imp``, ``distutils`` or
``pkg_resources``, stand-ins can be imported that hold only what Theano and Lasagne ask for.
"""

from __future__ import annotations

import functools
import glob
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import runpy
import shutil
import sys
import sysconfig
import types
import warnings
from importlib import metadata
from typing import Any, Callable, Dict, List, Optional

import numpy as np

__all__ = ["apply", "main"]

_NUMPY = np.lib.NumpyVersion(np.__version__)


# --- names that NumPy removed ---------------------------------------------------------------------


class _Cast:
    """``numpy.cast["float32"](a)``."""

    def __getitem__(self, dtype: Any) -> Callable[[Any], Any]:
        return lambda a: np.asarray(a).astype(dtype)


# Theano and Lasagne use bool, int, complex, product, sctype2char, cast and ComplexWarning; the
# programs of their time, the others.
_NUMPY_NAMES: Dict[str, Callable[[], Any]] = {
    "asscalar": lambda: lambda a: a.item(),  # removed in NumPy 1.23
    # Removed in NumPy 1.24. NumPy 2 has a bool again, its scalar type, which serves as well.
    "bool": lambda: bool,
    "int": lambda: int,
    "float": lambda: float,
    "complex": lambda: complex,
    "object": lambda: object,
    "str": lambda: str,
    # Removed in NumPy 2.0.
    "product": lambda: np.prod,
    "alltrue": lambda: np.all,
    "sctype2char": lambda: lambda sctype: np.dtype(sctype).char,
    "cast": _Cast,
    "ComplexWarning": lambda: np.exceptions.ComplexWarning,
    "float_": lambda: np.float64,
    "complex_": lambda: np.complex128,
    "unicode_": lambda: np.str_,
    "string_": lambda: np.bytes_,
    "Inf": lambda: np.inf,
    "NaN": lambda: np.nan,
}


def _restore_numpy_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 1.20 to 1.23 warn where a name is still there
        missing = [name for name in _NUMPY_NAMES if not hasattr(np, name)]
    for name in missing:
        setattr(np, name, _NUMPY_NAMES[name]())


# --- modules that are gone: stand-ins, found only where no real module is -------------------------


def _distutils_sysconfig() -> Dict[str, Any]:
    def get_python_inc(plat_specific: bool = False) -> str:
        return sysconfig.get_path("platinclude" if plat_specific else "include")

    def get_python_lib(plat_specific: bool = False, standard_lib: bool = False) -> str:
        names = ("stdlib", "platstdlib") if standard_lib else ("purelib", "platlib")
        return sysconfig.get_path(names[bool(plat_specific)])

    return {
        "get_config_var": sysconfig.get_config_var,
        "get_config_h_filename": sysconfig.get_config_h_filename,
        "get_python_version": sysconfig.get_python_version,
        "get_python_inc": get_python_inc,
        "get_python_lib": get_python_lib,
    }


def _numpy_distutils() -> Dict[str, Any]:
    misc_util = types.SimpleNamespace(get_numpy_include_dirs=lambda: [np.get_include()])
    return {"__path__": [], "misc_util": misc_util}


def _downsample() -> Dict[str, Any]:
    def max_pool_2d(
        input: Any,
        ds: Any,
        ignore_border: Any = None,
        st: Any = None,
        padding: Any = (0, 0),
        mode: str = "max",
    ) -> Any:
        from theano.tensor.signal.pool import pool_2d

        return pool_2d(input, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode)

    return {"max_pool_2d": max_pool_2d}


_STAND_INS: Dict[str, Callable[[], Dict[str, Any]]] = {
    # Removed in Python 3.12. Theano's PdbBreakpoint looks for a debugger with it.
    "imp": lambda: {"find_module": importlib.util.find_spec},
    # Removed in setuptools 82. Theano's GPU code catches the error; Lasagne asks its own version.
    "pkg_resources": lambda: {
        "DistributionNotFound": metadata.PackageNotFoundError,
        "get_distribution": lambda name: types.SimpleNamespace(version=metadata.version(name)),
    },
    # Removed in Python 3.12, where it is there only if setuptools is installed.
    "distutils": lambda: {"__path__": []},
    "distutils.spawn": lambda: {"find_executable": shutil.which},
    "distutils.sysconfig": _distutils_sysconfig,
    # Not there on Python 3.12 and newer.
    "numpy.distutils": _numpy_distutils,
    # Gone since NumPy 1.26, or Python 3.12. Theano tries these libraries, then -lblas.
    "numpy.distutils.__config__": lambda: {"blas_opt_info": {"libraries": ["openblas"]}},
    # Called numpy.linalg._linalg since NumPy 2.0, and the old name is gone since 2.4.
    "numpy.linalg.linalg": lambda: {"LinAlgError": np.linalg.LinAlgError},
    # Removed in Theano 1.0; Lasagne 0.1 pools with it.
    "theano.tensor.signal.downsample": _downsample,
}


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands last in ``sys.meta_path``, so it is asked only for what nobody else finds."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name in _STAND_INS else None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__doc__ = f"A stand-in for {module.__name__}, made by revgrad_theano.compat."
        vars(module).update(_STAND_INS[module.__name__]())


# --- modules that are there: changed right after they are executed --------------------------------


def _cxxflags() -> List[str]:
    if _NUMPY < "2.0.0":
        return []
    # Without it, NumPy 2 hides from C code what has another layout in NumPy 1.
    flags = ["-DNPY_TARGET_VERSION=NPY_2_0_API_VERSION"]
    # Since NumPy 2.1 npy_3kcompat.h, which Theano's C code includes, lacks these names of Python 2.
    if _NUMPY >= "2.1.0":
        flags.append("-DNPY_PY3K")
        ints = (
            "Check CheckExact FromLong FromSize_t FromSsize_t AsLong AsSsize_t AsUnsignedLongMask"
        )
        strings = (
            "Check CheckExact FromString FromStringAndSize FromFormat "
            "AsString AsStringAndSize AS_STRING GET_SIZE Size Concat ConcatAndDel"
        )
        flags += [f"-DPyInt_{member}=PyLong_{member}" for member in ints.split()]
        flags += [f"-DPyString_{member}=PyBytes_{member}" for member in strings.split()]
        flags += ["-DPyInt_AS_LONG=PyLong_AsLong", "-DPyNumber_Int=PyNumber_Long"]
    return flags


def _scipy_openblas() -> List[str]:
    """Return the flags that link with the OpenBLAS in SciPy's wheel for Linux, if it has one."""
    scipy = importlib.util.find_spec("scipy")
    if scipy is None or scipy.origin is None:
        return []
    folder = os.path.join(os.path.dirname(os.path.dirname(scipy.origin)), "scipy.libs")
    for path in glob.glob(os.path.join(glob.escape(folder), "lib*openblas*.so")):
        name = os.path.basename(path)[len("lib") : -len(".so")]
        if "openblas64" in name or " " in path:  # 64-bit integers; a flag cannot hold a space
            continue
        flags = [f"-L{folder}", f"-l{name}", f"-Wl,--disable-new-dtags,-rpath,{folder}"]
        if name.startswith("scipy_"):  # since SciPy 1.14 its symbols have this prefix
            routines = [t + r for t in "sd" for r in ("axpy_", "dot_", "gemm_", "gemv_", "ger_")]
            flags += [f"-D{routine}=scipy_{routine}" for routine in routines]
        return flags
    return []


def _after_configuration(module: Any) -> None:
    # Set here and not in THEANO_FLAGS, which would hide the flags of the user's .theanorc.
    flags = _cxxflags()
    if flags and hasattr(module.config, "gcc"):
        module.config.gcc.cxxflags = " ".join([module.config.gcc.cxxflags, *flags]).strip()
    if not hasattr(module, "try_blas_flag"):
        return
    # Not asked if the user has set blas.ldflags. Without any, Theano calls NumPy's C API for its
    # products, which is slower, and some Ops (BatchedDot) do not link.
    try_blas_flag = module.try_blas_flag

    @functools.wraps(try_blas_flag)
    def try_also_scipy(flags: List[str]) -> str:
        found = try_blas_flag(flags)
        if not found and flags == ["-lblas"] and _scipy_openblas():  # the last one that it tries
            found = try_blas_flag(_scipy_openblas())
        return found

    module.try_blas_flag = try_also_scipy


def _after_numpy_config(module: Any) -> None:
    # NumPy 1.22 and newer are silent where their BLAS has 64-bit integers, as that of wheels has.
    if not hasattr(module, "blas_opt_info"):
        vars(module).update(_STAND_INS[module.__name__]())


def _after_theano(module: Any) -> None:
    # Theano-PyMC 1.1 has theano.graph in place of theano.gof. Lasagne asks for these three.
    if not hasattr(module, "Variable"):
        module.Variable = module.graph.basic.Variable
    if not hasattr(module, "gof"):
        graph = types.SimpleNamespace(inputs=module.graph.basic.graph_inputs)
        module.gof = types.SimpleNamespace(Variable=module.Variable, graph=graph)


def _after_rng_mrg(module: Any) -> None:
    # Theano-PyMC calls it MRG_RandomStream; Lasagne asks for it.
    if not hasattr(module, "MRG_RandomStreams"):
        module.MRG_RandomStreams = module.MRG_RandomStream


_AFTER: Dict[str, Callable[[Any], None]] = {
    "numpy.distutils.__config__": _after_numpy_config,
    "theano": _after_theano,
    "theano.sandbox.rng_mrg": _after_rng_mrg,
    "theano.configdefaults": _after_configuration,
    "theano.link.c.cmodule": _after_configuration,  # Theano-PyMC looks for a BLAS here
}


# --- modules whose source is edited before it is executed -----------------------------------------


def _scipy_version() -> np.lib.NumpyVersion:
    """Return the version of SciPy without importing it, or 0.0.0 if there is none."""
    try:
        return np.lib.NumpyVersion(metadata.version("scipy"))
    except metadata.PackageNotFoundError:
        return np.lib.NumpyVersion("0.0.0")


def _edits() -> Dict[str, Dict[str, str]]:
    """Return what to replace with this NumPy and SciPy: {module: {regular expression: text}}."""
    edits: Dict[str, Dict[str, str]] = {}

    def edit(module: str, pattern: str, text: str) -> None:
        edits.setdefault(f"theano.{module}", {})[pattern] = text

    if _scipy_version() >= "1.8.0":
        # Convolution without C code (optimizer=None, DebugMode) imports these under their old
        # names; where that fails, Theano says that SciPy is not installed.
        for module in ("conv", "abstract_conv"):
            edit(f"tensor.nnet.{module}", r"scipy\.signal\.(\w+tools)", r"scipy.signal._\1")
    if _NUMPY >= "1.23.0":
        # A list of slices is no longer an index. Pooling and topk without C code use one.
        edit("tensor.signal.pool", r"\[region_slice\] \+=", "[tuple(region_slice)] +=")
        edit("tensor.signal.pool", r"yk\[(\[.* for i in x?range\(nd\)\])\]", r"yk[tuple(\1)]")
        edit("tensor.sort", r"\)\[idx\]", ")[tuple(idx)]")
    if _NUMPY < "2.0.0":
        return edits
    # NPY_MAXDIMS meant "all axes" to NumPy's C functions. NPY_RAVEL_AXIS, the minimum of an int,
    # does now.
    for module in ("basic", "subtensor", "extra_ops"):
        edit(f"tensor.{module}", "NPY_MAXDIMS", "NPY_RAVEL_AXIS")
    edit("tensor.extra_ops", r"np\.MAXDIMS", "-(2**31)")
    # The inverse that numpy.unique returns has the shape of the array.
    edit("tensor.extra_ops", r"= outs\[i\]", "= outs[i].reshape(-1) if i else outs[i]")
    # partition and argpartition order the k largest differently. topk computes values with one and
    # their gradient with the other: take both from argpartition.
    edit(
        "tensor.sort",
        r"np\.partition\(x, -k, axis=axis\)",
        "np.take_along_axis(x, np.argpartition(x, -k, axis=axis), axis)",
    )
    # The iterator behind the gradient of x[indices] is private. Without C code, Theano calls
    # numpy.add.at.
    edit("tensor.subtensor", r"numpy_ver < \[1, 8\]", "True")
    # Theano gives a Python float the dtype float32 if that holds its value. NumPy 2 compares the
    # two in float32, where they are always equal: 0.7 became 0.69999999 beside a float64.
    edit("scalar.basic", r"np\.all\(x == x_\)", "np.all(np.asarray(x) == x_)")
    # NumPy's complex numbers are C's own, no longer a struct that Theano can derive from.
    edit(
        "scalar.basic",
        r": public npy_complex%\(nbits\)s\s*{",
        "{ npy_float%(half_nbits)s real, imag;",
    )
    # NumPy 1 wrapped a Python int that does not fit the dtype. NumPy 2 raises, which Theano takes
    # for an int beyond int64: T.constant(-300) became the uint64 18446744073709551316.
    edit(
        "misc.safe_asarray",
        r"rval = np\.asarray\(a, dtype=dtype, order=order\)",
        "try:\n        \\g<0>\n    except OverflowError:\n"
        "        rval = np.array(a, 'int64').astype(dtype)",
    )
    # The header of convolution's C code is gone; it uses nothing that this one lacks.
    edit("tensor.nnet.conv", "<numpy/noprefix.h>", "<numpy/arrayobject.h>")
    # The gradients of zero_grad and consider_constant pass a variable as a dtype.
    edit("gradient", r"zeros_like\(g_out\)", "zeros_like()")
    # Arrays lost itemset (DebugMode, updating a scalar) and tostring (RecordMode).
    edit("compile.debugmode", r"\.itemset\((.*)\)", r"[...] = \1")
    edit("printing", r"x\.tostring\(\)", "x.tobytes()")
    return edits


_EDITS = _edits()


def _edited_source(name: str, loader: Any) -> Optional[str]:
    """Return the source of a module with its edits, or None if it has none."""
    source: Optional[str] = loader.get_source(name) if name in _EDITS else None
    for pattern, text in _EDITS.get(name, {}).items() if source else ():
        source = re.sub(pattern, text, source)
    return source


_SCAN_EXTENSIONS = ("theano.scan_module.scan_perform_ext", "theano.scan.scan_perform_ext")


class _Patches(importlib.abc.MetaPathFinder):
    """Stands first in ``sys.meta_path``, and lets a patch follow the module that it is for."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name in _SCAN_EXTENSIONS and (_NUMPY >= "2.0.0" or sys.version_info >= (3, 11)):
            # Its C code uses what Python 3.11 and NumPy 2 have hidden. Without it, Theano runs
            # the loop of scan in Python, as it does where there is no compiler.
            raise ImportError(f"{name} does not compile on this Python or NumPy", name=name)
        if name not in _AFTER and name not in _EDITS:
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        # Up to Python 3.11 there are finders that have find_module only.
        specs = (f.find_spec(name, path, target) for f in finders if hasattr(f, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                own = module.__name__ == name  # a loader may load more than one module
                source = _edited_source(name, spec.loader) if own else None
                if source is None:
                    execute(module)
                else:
                    code = compile(source, str(module.__file__), "exec", dont_inherit=True)
                    exec(code, vars(module))
                if own and name in _AFTER:
                    _AFTER[name](module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# --- all together ---------------------------------------------------------------------------------


def apply() -> None:
    """Apply every patch that this Python and this NumPy need.

    Importing this module calls it. Calling it again changes nothing.

    Raises
    ------
    ImportError
        If Theano was imported before and failed: parts of it are loaded and cannot be repaired.
    """
    if "theano" not in sys.modules and any(name.startswith("theano.") for name in sys.modules):
        raise ImportError(
            "theano was imported before revgrad_theano.compat, and failed: parts of it are loaded "
            "and cannot be repaired. Restart Python (in a notebook: the kernel) and import "
            "revgrad_theano.compat before theano; a program you cannot change runs with python -m "
            "revgrad_theano.compat script.py"
        )
    if any(type(finder).__module__ == __name__ for finder in sys.meta_path):
        return
    _restore_numpy_names()
    if "numpy.distutils.__config__" in sys.modules:
        _after_numpy_config(sys.modules["numpy.distutils.__config__"])
    sys.meta_path.insert(0, _Patches())
    sys.meta_path.append(_StandIns())


_USAGE = """\
usage: python -m revgrad_theano.compat script.py [args ...]
       python -m revgrad_theano.compat -m module [args ...]"""


def main(arguments: Optional[List[str]] = None) -> None:
    """Run a program as ``python`` would, with the patches in place.

    Parameters
    ----------
    arguments : list of str, optional
        ``script.py [args ...]`` or ``-m module [args ...]``; by default those of the process.

    Raises
    ------
    SystemExit
        If there is nothing to run, or what the program raises itself.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    is_module = arguments[:1] == ["-m"]
    sys.argv = arguments[is_module:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return
    if not sys.argv or sys.argv[0].startswith("-"):
        sys.exit(_USAGE)
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    if not os.path.exists(sys.argv[0]):
        sys.exit(f"can't open file {sys.argv[0]!r}: there is no such file")
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        # The folder of the script, in place of the current one, which -m put there.
        sys.path[0] = os.path.dirname(os.path.realpath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    # The program may import this module: let both be one, under its own name.
    from revgrad_theano import compat

    compat.main()
else:
    apply()
