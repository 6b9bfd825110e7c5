"""Make the real Theano and the real Lasagne run on today's Python and NumPy.

Theano 1.0.5 (2020) and Lasagne 0.1 (2015) import names that Python and NumPy have removed since.
``import revgrad_theano.compat`` before ``import theano`` supplies them, in this process only;
``python -m revgrad_theano.compat script.py ...`` (or ``-m module ...``) runs an unchanged program
that way. Each patch is applied only where the thing it supplies is missing, so on an old Python
with an old NumPy nothing is changed. Nothing in revgrad imports this module by itself.

Two things are visible to the rest of the process: names that NumPy has removed exist again
(``numpy.float``, ...), and where Python has no ``imp``, ``distutils`` or ``pkg_resources`` any
more, small stand-ins with the few names that Theano asks for can be imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import shutil
import sys
import sysconfig
import types
import warnings
from typing import Any, Callable, Dict, List, Optional

import numpy as np

__all__ = ["apply", "main"]

_NUMPY = tuple(int(part) for part in np.__version__.split(".")[:2])


# --- names that NumPy removed ---------------------------------------------------------------------


class _Cast:
    """``numpy.cast["float32"](a)``, removed in NumPy 2.0."""

    def __getitem__(self, dtype: Any) -> Callable[[Any], Any]:
        return lambda a: np.asarray(a).astype(dtype)


_NUMPY_NAMES: Dict[str, Callable[[], Any]] = {
    # removed in NumPy 1.24 (bool came back in 2.0, as the scalar type: that one is left alone)
    "bool": lambda: bool,
    "int": lambda: int,
    "float": lambda: float,
    "complex": lambda: complex,
    "object": lambda: object,
    "str": lambda: str,
    # removed in NumPy 1.23
    "asscalar": lambda: lambda a: a.item(),
    # removed in NumPy 2.0
    "product": lambda: np.prod,
    "alltrue": lambda: np.all,
    "sctype2char": lambda: lambda sctype: np.dtype(sctype).char,
    "float_": lambda: np.float64,
    "complex_": lambda: np.complex128,
    "unicode_": lambda: np.str_,
    "string_": lambda: np.bytes_,
    "Inf": lambda: np.inf,
    "NaN": lambda: np.nan,
    "cast": _Cast,
    "ComplexWarning": lambda: np.exceptions.ComplexWarning,
}


def _restore_numpy_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1.20 to 1.23 warn where a name is still there
        missing = [name for name in _NUMPY_NAMES if not hasattr(np, name)]
    for name in missing:
        setattr(np, name, _NUMPY_NAMES[name]())


# --- modules that are gone: stand-ins, found only after every real module -------------------------


def _imp() -> Dict[str, Any]:
    # Removed in Python 3.12. Theano's PdbBreakpoint asks whether a debugger is installed.
    return {"find_module": importlib.util.find_spec}


def _pkg_resources() -> Dict[str, Any]:
    # Removed from setuptools 82. Theano's GPU code catches the error; Lasagne asks its own version.
    from importlib import metadata

    return {
        "DistributionNotFound": metadata.PackageNotFoundError,
        "get_distribution": lambda name: types.SimpleNamespace(version=metadata.version(name)),
    }


def _distutils() -> Dict[str, Any]:
    # Removed in Python 3.12, where setuptools supplies it if it is installed.
    return {"__path__": []}


def _distutils_spawn() -> Dict[str, Any]:
    return {"find_executable": shutil.which}


def _distutils_sysconfig() -> Dict[str, Any]:
    def get_python_inc(plat_specific: bool = False) -> str:
        return sysconfig.get_path("platinclude" if plat_specific else "include")

    def get_python_lib(plat_specific: bool = False, standard_lib: bool = False) -> str:
        kind = "plat" if plat_specific else "pure"
        return sysconfig.get_path("stdlib" if standard_lib else kind + "lib")

    return {
        "get_config_var": sysconfig.get_config_var,
        "get_config_h_filename": sysconfig.get_config_h_filename,
        "get_python_version": sysconfig.get_python_version,
        "get_python_inc": get_python_inc,
        "get_python_lib": get_python_lib,
    }


def _numpy_distutils() -> Dict[str, Any]:
    # Not there on Python 3.12 and newer, nor where setuptools is too new for it.
    misc_util = types.SimpleNamespace(get_numpy_include_dirs=lambda: [np.get_include()])
    return {"__path__": [], "misc_util": misc_util}


def _numpy_distutils_config() -> Dict[str, Any]:
    # Gone since NumPy 1.26. Theano links a test program with these libraries, then with -lblas,
    # and falls back on NumPy's own BLAS where neither works.
    return {"blas_opt_info": {"libraries": ["openblas"]}}


def _numpy_linalg_linalg() -> Dict[str, Any]:
    # numpy.linalg._linalg since NumPy 2.0, and an error to import since 2.4.
    return {"LinAlgError": np.linalg.LinAlgError}


def _downsample() -> Dict[str, Any]:
    # Removed in Theano 0.9; Lasagne 0.1 pools with it.
    def max_pool_2d(
        input: Any,
        ds: Any,
        ignore_border: Any = None,
        st: Any = None,
        padding: Any = (0, 0),
        mode: str = "max",
    ) -> Any:
        from theano.tensor.signal.pool import pool_2d

        return pool_2d(
            input, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode
        )

    return {"max_pool_2d": max_pool_2d}


_STAND_INS: Dict[str, Callable[[], Dict[str, Any]]] = {
    "imp": _imp,
    "pkg_resources": _pkg_resources,
    "distutils": _distutils,
    "distutils.spawn": _distutils_spawn,
    "distutils.sysconfig": _distutils_sysconfig,
    "numpy.distutils": _numpy_distutils,
    "numpy.distutils.__config__": _numpy_distutils_config,
    "numpy.linalg.linalg": _numpy_linalg_linalg,
    "theano.tensor.signal.downsample": _downsample,
}


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands last in ``sys.meta_path``, so it is asked only for what nobody else finds."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name in _STAND_INS else None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__doc__ = f"A stand-in for {module.__name__}, made by {__name__}."
        vars(module).update(_STAND_INS[module.__name__]())


# --- Theano's own modules: changed right after they are executed ----------------------------------


def _cxxflags() -> List[str]:
    flags = []
    if _NUMPY >= (2, 0):
        # Without it, NumPy 2 shows its headers of 1.x to C code that was written for 1.x.
        flags.append("-DNPY_TARGET_VERSION=NPY_2_0_API_VERSION")
    if _NUMPY >= (2, 1):
        # npy_3kcompat.h, which Theano's C code includes, has lost these names of Python 2.
        renamed = {"PyInt": "PyLong", "PyString": "PyBytes"}
        members = {
            "PyInt": "Check CheckExact FromLong FromSsize_t FromSize_t FromString AsLong "
            "AsSsize_t AsUnsignedLongMask Type",
            "PyString": "Check CheckExact FromString FromStringAndSize FromFormat AsString "
            "AsStringAndSize AS_STRING GET_SIZE Size Concat ConcatAndDel Type",
        }
        flags.append("-DNPY_PY3K")
        flags.extend(
            f"-D{old}_{member}={new}_{member}"
            for old, new in renamed.items()
            for member in members[old].split()
        )
        flags += ["-DPyInt_AS_LONG=PyLong_AsLong", "-DPyNumber_Int=PyNumber_Long"]
    return flags


def _after_configdefaults(module: Any) -> None:
    # Set here and not in THEANO_FLAGS, which would replace the flags of the user's .theanorc.
    gcc = module.config.gcc
    gcc.cxxflags = " ".join(filter(None, [gcc.cxxflags, *_cxxflags()]))


def _after_theano(module: Any) -> None:
    # Theano-PyMC 1.1 no longer has it; Lasagne asks for it.
    if not hasattr(module, "Variable"):
        module.Variable = module.graph.basic.Variable


_AFTER: Dict[str, Callable[[Any], None]] = {
    "theano.configdefaults": _after_configdefaults,
    "theano": _after_theano,
}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Stands first in ``sys.meta_path``, and lets a patch follow the module that it is for."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in _AFTER:
            return None
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None and spec.loader is not None:
                    break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _AFTER[name](module)

        spec.loader.exec_module = exec_module
        return spec


# --- all together ---------------------------------------------------------------------------------


def apply() -> None:
    """Apply every patch that this Python and this NumPy need.

    Importing this module calls it. Calling it again changes nothing.

    Raises
    ------
    ImportError
        If Theano was imported before and failed: parts of it are loaded and cannot be mended.
    """
    if "theano" in sys.modules:
        _append_stand_ins()  # Theano works as it is; Lasagne may still need its part
        return
    if any(name.startswith("theano.") and module for name, module in sys.modules.items()):
        raise ImportError(
            "theano was imported before revgrad_theano.compat, and failed: parts of it are loaded "
            "and cannot be mended. Restart Python (in a notebook: the kernel) and import "
            "revgrad_theano.compat first; a program you cannot change runs with python -m "
            "revgrad_theano.compat script.py"
        )
    _restore_numpy_names()
    _append_stand_ins()
    if not _is_installed(_AfterImport):
        sys.meta_path.insert(0, _AfterImport())
    if sys.version_info >= (3, 11) or _NUMPY >= (2, 0):
        # Its C code uses what Python 3.11 and NumPy 2 have hidden; Theano then runs scan's loop
        # in Python, as it does where there is no compiler.
        for package in ("theano.scan_module", "theano.scan"):
            sys.modules.setdefault(f"{package}.scan_perform_ext", None)  # type: ignore[arg-type]


def _append_stand_ins() -> None:
    if not _is_installed(_StandIns):
        sys.meta_path.append(_StandIns())


def _is_installed(finder: type) -> bool:
    # By name: reloading this module makes the class anew.
    return any(
        (type(each).__module__, type(each).__name__) == (finder.__module__, finder.__name__)
        for each in sys.meta_path
    )


def main(arguments: Optional[List[str]] = None) -> None:
    """Run a program as ``python`` would, with the patches in place.

    Parameters
    ----------
    arguments : list of str, optional
        ``script.py [args ...]`` or ``-m module [args ...]``; by default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        sys.argv = arguments[1:]
        sys.path[0] = ""
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments and not arguments[0].startswith("-"):
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        sys.exit(
            "usage: python -m revgrad_theano.compat script.py [args ...]\n"
            "       python -m revgrad_theano.compat -m module [args ...]"
        )


if __name__ == "__main__":
    # In the module of that name, so that a program which imports it as well finds it applied.
    from revgrad_theano.compat import main as run

    run()
else:
    apply()
