"""`ReverseGradient`: the reversal as a Theano Op, and the rewrite that compiles it away."""

from __future__ import annotations

from typing import Any, List

import numpy as np

import revgrad
from revgrad.backend import (
    cast_lambda,
    check_lambda_shape,
    normalize_lambda,
    no_gradient_error,
    unknown_lambda_error,
)
from revgrad.exceptions import describe_error

try:
    import theano.tensor as T
    from theano.compile.mode import optdb
    from theano.gradient import DisconnectedType

    try:  # Theano-PyMC 1.1 renamed theano.gof
        from theano.graph import op as _op
        from theano.graph.basic import Apply, Variable
        from theano.graph.opt import TopoOptimizer, local_optimizer
    except ImportError:
        from theano.gof import Apply, TopoOptimizer, Variable, local_optimizer
        from theano.gof import op as _op
except Exception as error:
    if getattr(error, "name", None) == "theano":  # it is not installed, and the error says so
        raise
    raise ImportError(
        f"Theano is installed but does not import ({describe_error(error)}). Where Python "
        "or NumPy is newer, import revgrad_theano.compat before theano, in a fresh process"
    ) from error

__all__ = ["ReverseGradient", "as_lambda", "reverse_gradient"]

# An Op that may have C code: Theano-PyMC calls it COp, which is something else in Theano.
Op = _op.COp if hasattr(_op, "ExternalCOp") else _op.Op


class ReverseGradient(Op):
    """The identity, whose gradient is multiplied by ``-lam``.

    ``ReverseGradient()(x, lam)``, or `reverse_gradient`, its one instance. λ is an input of the
    node, not a property of the Op: nodes with different λ are never merged, and λ may be any
    expression of the graph.

    Notes
    -----
    The Op is there for `theano.grad`. When a function is compiled, a rewrite replaces the output
    by `x` before the other rewrites run, so the compiled function holds no trace of it. The
    rewrite is not part of ``canonicalize``: a graph that is merged or canonicalised and *then*
    differentiated still reverses, which it does not with `theano.gradient.grad_scale`.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.

    Examples
    --------
    >>> import theano
    >>> import theano.tensor as T
    >>> x = T.dvector("x")
    >>> cost = (ReverseGradient()(x, 0.5) ** 2).sum()
    >>> gradient = theano.function([x], [cost, theano.grad(cost, x)])
    >>> gradient([1.0, 2.0])
    [array(5.), array([-1., -2.])]
    """

    __props__ = ()
    view_map = {0: [0]}
    _f16_ok = True

    def make_node(self, x: Any, lam: Any) -> Apply:
        """Return the node that reverses `x`.

        Parameters
        ----------
        x : theano Variable
            A dense tensor of any shape or a sparse matrix, of floating dtype.
        lam : float, numpy.ndarray, LambdaVariable or theano Variable
            λ. A variable of the dtype of `x` is taken as it is, another is cast to it.

        Returns
        -------
        Apply
            With one output of the type of `x`.

        Raises
        ------
        UnsupportedTypeError
            If the dtype of `x` carries no gradient, or `x` is no tensor.
        InvalidLambdaError
            If `lam` is not a λ, or could enlarge `x`.
        """
        if not isinstance(x, Variable):
            try:
                x = T.as_tensor_variable(x)
            except Exception as error:
                raise revgrad.UnsupportedTypeError(
                    f"Theano makes no tensor of a {type(x).__name__} ({type(error).__name__}: "
                    f"{error}). Pass a Theano variable, or an array."
                ) from error
        if not (_is_dense(x) or _is_sparse(x)):
            raise revgrad.UnsupportedTypeError(
                f"reverse() got a Theano variable of type {x.type}, which is neither a tensor nor "
                "a sparse matrix. Reverse the tensors it is made of."
            )
        if not x.dtype.startswith("float"):  # theano.grad refuses complex variables as well
            raise no_gradient_error(x, x.dtype)
        return Apply(self, [x, as_lambda(lam, x)], [x.type()])

    def perform(self, node: Apply, inputs: List[Any], output_storage: List[List[Any]]) -> None:
        """Pass the value on, without a copy."""
        output_storage[0][0] = inputs[0]

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        """Pass the value on, without a copy; what is no TensorType goes to `perform`."""
        if not isinstance(node.inputs[0].type, T.TensorType):
            raise NotImplementedError("C code is for tensors in main memory")
        x, _ = inputs
        (y,) = outputs
        return f"Py_XDECREF({y}); {y} = {x}; Py_XINCREF({y});"

    def c_code_cache_version(self) -> Any:
        """Return the version of `c_code`."""
        return (1,)

    def infer_shape(self, fgraph_or_node: Any, *args: Any) -> List[Any]:
        """Return the shape of `x`."""
        return [args[-1][0]]  # Theano-PyMC 1.1 passes the graph in front of the node

    def connection_pattern(self, node: Apply) -> List[List[bool]]:
        """Say that the output depends on `x`, and not on λ."""
        return [[True], [False]]

    def L_op(self, inputs: Any, outputs: Any, output_gradients: Any) -> List[Any]:
        """Return ``-lam`` times the gradient that arrives; λ gets none."""
        _, lam = inputs
        (g,) = output_gradients
        disconnected = DisconnectedType()()
        if isinstance(g.type, DisconnectedType):
            return [disconnected, disconnected]
        return [-lam * g, disconnected]

    def grad(self, inputs: Any, output_gradients: Any) -> List[Any]:
        """Return what `L_op` returns, for callers of the older name."""
        return self.L_op(inputs, None, output_gradients)

    def R_op(self, inputs: Any, eval_points: Any) -> List[Any]:
        """Return ``-lam`` times the tangent that arrives, None where none does."""
        _, lam = inputs
        tangent = eval_points[0]
        return [None if tangent is None else -lam * tangent]


reverse_gradient = ReverseGradient()


def as_lambda(lam: Any, x: Any) -> Any:
    """Return λ as a Theano variable that suits `x`.

    Parameters
    ----------
    lam : float, numpy.ndarray, LambdaVariable or theano Variable
        λ.
    x : theano Variable
        What is to be reversed.

    Returns
    -------
    theano Variable
        Of the dtype of `x`, with at most its dimensions.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ, or could enlarge `x`.
    """
    lam = normalize_lambda(lam)
    dtype = x.dtype
    if isinstance(lam, revgrad.LambdaVariable):
        from revgrad_theano.backend import TheanoBackend  # which imports this module

        lam = lam.cell(TheanoBackend())
    elif isinstance(lam, (float, np.ndarray)):
        check_lambda_shape(np.shape(lam), _static_shape(x))
        lam = T.constant(cast_lambda(lam, dtype))
    if not isinstance(lam, Variable) or not isinstance(lam.type, T.TensorType):
        raise unknown_lambda_error(lam, "a Theano tensor")
    if not lam.dtype.startswith(("float", "int", "uint")):
        raise revgrad.InvalidLambdaError(
            f"λ must be real; got the Theano variable {lam} of dtype {lam.dtype}. Cast it to "
            f"{dtype} first."
        )
    if lam.ndim and _is_sparse(x):
        raise revgrad.InvalidLambdaError(
            f"A sparse x takes a scalar λ; got one of {lam.ndim} dimensions. Reverse "
            "theano.sparse.dense_from_sparse(x) instead."
        )
    if lam.ndim:
        check_lambda_shape(_static_shape(lam), _static_shape(x))
    return lam if lam.dtype == dtype else T.cast(lam, dtype)


def _is_dense(x: Any) -> bool:
    return hasattr(x.type, "broadcastable")  # TensorType, and the array types of GPUs


def _is_sparse(x: Any) -> bool:
    return hasattr(x.type, "format")  # asked this way, theano.sparse need not be imported


def _static_shape(variable: Any) -> Any:
    pattern = getattr(variable.type, "broadcastable", (False, False))  # a sparse type has none
    return [1 if fixed else None for fixed in pattern]


@local_optimizer([ReverseGradient])
def remove_reverse_gradient(*args: Any) -> Any:
    """Replace the output by `x`: the gradient has been taken when a function is compiled."""
    node = args[-1]  # Theano-PyMC 1.1 passes the graph in front of it
    return [node.inputs[0]] if isinstance(node.op, ReverseGradient) else False


# 0.01 lies after the first merge (0) and before all that could be held up by the Op: ShapeOpt
# (0.1), scan's rewrites and canonicalize (1). A stage of its own, and not part of canonicalize,
# because people canonicalise graphs that they differentiate later.
optdb.register(
    "remove_reverse_gradient",
    TopoOptimizer(remove_reverse_gradient, order="in_to_out"),
    0.01,
    "fast_run",
    "fast_compile",
    "stable",
)
