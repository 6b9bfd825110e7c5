"""`Native`, the adapter of one framework, and `resolve`, which brings λ to the form of an `x`."""

from typing import Any

import numpy as np

from revgrad import _lambda
from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError


class Native:
    """How one framework casts, shapes and stores a λ or a factor.

    What is here suits a framework whose arrays have a NumPy ``dtype``, a ``shape`` and
    ``astype``. A subclass replaces what differs. There is one instance for each framework; a
    `revgrad.LambdaVariable` keeps its cells by it.
    """

    lambda_words: str = ""
    """What `is_value` accepts, for errors: ``"a torch.Tensor"``."""

    copies_cells: bool = False
    """Whether a cell may be copied and pickled, along with a program that reads it."""

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype that belongs to the dtype of `x`.

        Parameters
        ----------
        x : value of the framework
            Of any dtype.

        Returns
        -------
        dtype
            For complex `x` the dtype of its real part.

        Raises
        ------
        UnsupportedTypeError
            If the dtype of `x` carries no gradient.
        """
        dtype = np.dtype(x.dtype)
        # Kind "V" with a scalar type of its own is a float of an extension: bfloat16 of ml_dtypes.
        extension = dtype.kind == "V" and not issubclass(dtype.type, np.void)
        if dtype.kind not in "fc" and not extension:
            raise _lambda.no_gradient_error(x, dtype)
        return np.zeros(0, dtype).real.dtype

    def shape(self, value: Any) -> _lambda.Shape:
        """Return the shape of a value, None for each length that is not known yet.

        Parameters
        ----------
        value : value of the framework
            `x`, or an in-graph λ.

        Returns
        -------
        sequence of int or None, or None
            One item for each dimension; None where their number is not known.
        """
        return tuple(value.shape)

    def constant(self, value: Any, x: Any) -> Any:
        """Return a validated number or array as a constant of the dtype and device of `x`.

        Parameters
        ----------
        value : float or numpy.ndarray
            λ or a factor.
        x : value of the framework
            What it is for.

        Returns
        -------
        value of the framework
            Of the shape of `value`, sharing no memory with it.

        Raises
        ------
        InvalidLambdaError
            If an element is too large for the dtype.
        """
        return _lambda.cast_lambda(value, self.dtype(x))

    def is_value(self, value: object) -> bool:
        """Say whether the framework takes this object as an in-graph λ.

        Parameters
        ----------
        value : object
            Any object but a number, a NumPy array and a `revgrad.LambdaVariable`.

        Returns
        -------
        bool
            False as it is: the framework knows no in-graph λ.
        """
        return False

    def is_real(self, value: Any) -> bool:
        """Say whether the dtype of an in-graph λ is integer or floating.

        Parameters
        ----------
        value : value of the framework
            What `is_value` accepts.

        Returns
        -------
        bool
            False for complex and boolean values, and whatever else cannot be cast.
        """
        name = str(getattr(value.dtype, "name", value.dtype)).rpartition(".")[2]  # torch.float32
        return name.startswith(("float", "bfloat", "int", "uint"))

    def known_number(self, value: Any) -> Any:
        """Return the number or array that an in-graph λ holds in the memory of the host (C8).

        Parameters
        ----------
        value : value of the framework
            What `is_value` accepts.

        Returns
        -------
        float, numpy.ndarray or None
            None, as it is, where the number is not known: traced, or on another device.

        Raises
        ------
        InvalidLambdaError
            If the value asks for a gradient; see `revgrad.backend.learnable_lambda_error`.
        """
        return None

    def cast(self, value: Any, x: Any) -> Any:
        """Return an in-graph λ in the real dtype of `x`.

        Parameters
        ----------
        value : value of the framework
            What `is_value` accepts.
        x : value of the framework
            What it is for.

        Returns
        -------
        value of the framework
            No gradient flows back through it.
        """
        return value.astype(self.dtype(x))

    def read_variable(self, variable: LambdaVariable, x: Any) -> Any:
        """Return what stands for a `revgrad.LambdaVariable` in the program that computes `x`.

        Parameters
        ----------
        variable : LambdaVariable
            What was given as λ.
        x : value of the framework
            What it is for.

        Returns
        -------
        float or value of the framework
            The cell of the variable, as it is; ``variable.value`` where every forward pass runs
            this code anew.

        Raises
        ------
        InvalidLambdaError
            If λ would be frozen.
        """
        return variable.cell(self)

    def new_cell(self, value: float) -> Any:
        """Return a native cell that holds `value`, for a `revgrad.LambdaVariable`.

        A cell is whatever a compiled program reads anew at each run, for instance a shared
        variable. A framework that has none keeps this method as it is.

        Parameters
        ----------
        value : float
            The value at first.

        Returns
        -------
        object
            The cell, as ``variable.cell(self)`` returns it.

        Raises
        ------
        InvalidLambdaError
            If the framework has no such cell: λ would be frozen silently.
        """
        raise InvalidLambdaError(
            f"{type(self).__name__} takes no LambdaVariable: its framework has no cell that a "
            "compiled program reads anew at each run. Pass lam.value as an argument of the "
            "function that is compiled, so that it is not frozen."
        )

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in a cell that `new_cell` made.

        Parameters
        ----------
        cell : object
            The cell.
        value : float
            The new value of λ.
        """
        raise NotImplementedError(f"{type(self).__name__} makes cells but has no set_cell()")


class EagerNative(Native):
    """The adapter of a framework that compiles nothing: every forward pass runs the user's code.

    A `revgrad.LambdaVariable` needs no cell there: its value is read at each forward pass.
    """

    def read_variable(self, variable: LambdaVariable, x: Any) -> float:
        """Return the value that the variable has now."""
        return variable.value


def resolve(x: Any, lam: Any, native: Native, signed: bool = False) -> Any:
    """Return λ, or a factor, as a value of the framework that suits `x`.

    This is the one place where λ is validated, read, shaped and cast.

    Parameters
    ----------
    x : value of the framework
        What is to be reversed: any shape, a dtype that carries a gradient.
    lam : float, numpy.ndarray, LambdaVariable or value of the framework
        λ, or the factor of `revgrad.scale_gradient`.
    native : Native
        The adapter of the framework.
    signed : bool, optional
        Whether `lam` is a factor, which may be negative.

    Returns
    -------
    value of the framework
        Of the real dtype of `x`, of a shape that broadcasts to `x` without enlarging it.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ (or factor), asks for a gradient, is too large for the dtype of `x`,
        or would enlarge it.
    """
    native.dtype(x)
    # What the framework knows comes first: a proxy of a tracer may be callable.
    known = native.is_value(lam)
    if isinstance(lam, LambdaVariable):
        lam = native.read_variable(lam, x)
        known = not isinstance(lam, float)
    elif not known:
        lam = _lambda._normalize(lam, signed)
        if not isinstance(lam, (float, np.ndarray)):
            error = _lambda.unknown_lambda_error(lam, native.lambda_words, signed)
            raise (
                InvalidLambdaError(f"{error}{_lambda.SWAPPED}") if native.shape(x) == () else error
            )
    if known:
        if not native.is_real(lam):
            raise _lambda.not_real_error(lam.dtype, signed)
        number = native.known_number(lam)
        if number is None:
            _lambda.check_lambda_shape(native.shape(lam), native.shape(x), signed)
            return native.cast(lam, x)
        lam = _lambda._normalize(number, signed)
    if isinstance(lam, np.ndarray):
        _lambda.check_lambda_shape(lam.shape, native.shape(x), signed)
    return native.constant(lam, x)
