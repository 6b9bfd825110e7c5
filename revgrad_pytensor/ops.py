"""`ReverseGradient`, the reversal as a PyTensor Op, and the rewrite that compiles it away."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, List, cast

import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import optdb
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Variable
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.tensor.shape import specify_shape

from revgrad import UnsupportedTypeError
from revgrad._names import set_module
from revgrad.backend import Lambda, resolve
from revgrad_pytensor.native import native

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable


@set_module("revgrad_pytensor")
class ReverseGradient(OpFromGraph):
    """The identity, whose gradient is multiplied by ``-lam``, for one type of `x` and one of λ.

    `reverse_gradient` makes it and applies it; `scale_gradient` applies it to minus the factor. λ
    is an input of the node, not a property of the Op: nodes with different λ are never merged, and
    λ may be any expression of the graph.

    Parameters
    ----------
    x_type : pytensor.tensor.TensorType
        Of floating dtype.
    lam_type : pytensor.tensor.TensorType
        Of the same dtype, with at most as many dimensions.

    Notes
    -----
    The Op is there for `pytensor.grad`. When a function is compiled, a rewrite replaces the output
    by `x` before the other rewrites run, so the compiled function holds no trace of it. The
    rewrite is not part of ``canonicalize``: a graph that is merged or canonicalised and *then*
    differentiated still reverses, which it does not with `pytensor.gradient.grad_scale`.

    Being an `OpFromGraph`, it also runs where nothing is rewritten, under every linker.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.
    """

    def __init__(self, x_type: Any, lam_type: Any) -> None:
        x, lam = x_type(), lam_type()
        super().__init__([x, lam], [x], on_unused_input="ignore")
        self.types = x_type, lam_type

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and self.types == other.types

    def __hash__(self) -> int:
        return hash((type(self), self.types))

    def __reduce__(self) -> Any:
        return _op_for, self.types

    def clone(self) -> Any:
        """Return the Op itself: it holds nothing that changes."""
        return self

    def connection_pattern(self, node: Any) -> List[List[bool]]:
        """Say that the output depends on `x`, and not on λ."""
        return [[True], [False]]

    def infer_shape(self, *arguments: Any) -> List[Any]:  # before PyTensor 3 with the graph, too
        """Return the shape of `x`."""
        return [arguments[-1][0]]

    def pullback(self, inputs: Any, outputs: Any, output_gradients: Any) -> List[Any]:
        """Return ``-lam`` times the gradient that arrives; λ gets none."""
        return [_product(inputs, output_gradients[0]), DisconnectedType()()]

    def pushforward(self, inputs: Any, outputs: Any, tangents: Any) -> List[Any]:
        """Return ``-lam`` times the tangent that arrives."""
        return [_product(inputs, tangents[0])]

    if not hasattr(Op, "pullback"):  # before PyTensor 3
        L_op = pullback  # type: ignore[assignment, unused-ignore]

        def R_op(self, inputs: Any, eval_points: Any) -> List[Any]:
            """Return ``-lam`` times the tangent that arrives, None where none does."""
            return self.pushforward(inputs, None, eval_points)


def _product(inputs: Any, g: Any) -> Any:
    """Return ``-lam * g``; lengths of λ that may not be those of `x` are checked at run time."""
    if g is None or isinstance(g.type, DisconnectedType):
        return g
    x, lam = inputs
    # A rewrite may drop a g that is a broadcast number, which leaves the shape of λ.
    first = x.type.ndim - lam.type.ndim
    checked = {
        axis: x.shape[first + axis]
        for axis, length in enumerate(lam.type.shape)
        if length is None or length not in (1, x.type.shape[first + axis])
    }
    if checked:
        lam = specify_shape(lam, [checked.get(axis) for axis in range(lam.type.ndim)])
    return -lam * g


@set_module("revgrad_pytensor")
def reverse_gradient(x: Any, lam: Lambda) -> TensorVariable[Any, Any]:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : pytensor variable
        A dense tensor of any shape, of floating dtype.
    lam : float, numpy.ndarray, LambdaVariable or pytensor variable
        λ. A variable of the dtype of `x` is taken as it is, another is cast to it.

    Returns
    -------
    pytensor variable
        Of the type of `x`.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient, or `x` is not a tensor.
    InvalidLambdaError
        If `lam` is not a λ, or could enlarge `x`. A constant of PyTensor is validated like a
        number; another variable is not.

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> x = pt.dvector("x")
    >>> cost = (reverse_gradient(x, 0.5) ** 2).sum()
    >>> pytensor.grad(cost, x).eval({x: [1.0, 2.0]})
    array([-1., -2.])
    """
    x = _as_tensor(x)
    return _apply(x, resolve(x, lam, native))


@set_module("revgrad_pytensor")
def scale_gradient(x: Any, factor: Lambda) -> TensorVariable[Any, Any]:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : pytensor variable
        A dense tensor of any shape, of floating dtype.
    factor : float, numpy.ndarray, LambdaVariable or pytensor variable
        Any real, finite number. What `revgrad_pytensor.reverse_gradient` says of λ holds for it.

    Returns
    -------
    pytensor variable
        Of the type of `x`.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient, or `x` is not a tensor.
    InvalidLambdaError
        If `factor` is not real and finite, or could enlarge `x`.

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> x = pt.dvector("x")
    >>> cost = (scale_gradient(x, 2) ** 2).sum()
    >>> pytensor.grad(cost, x).eval({x: [1.0, 2.0]})
    array([4., 8.])
    """
    x = _as_tensor(x)
    return _apply(x, -resolve(x, factor, native, signed=True))


def _as_tensor(x: Any) -> Any:
    """Return a PyTensor variable."""
    if isinstance(x, Variable):
        return x
    try:
        return pt.as_tensor_variable(x)
    except Exception as error:
        raise UnsupportedTypeError(
            f"PyTensor makes no tensor of a {type(x).__name__} ({type(error).__name__}: "
            f"{error}). Pass a PyTensor variable, or an array."
        ) from error


def _apply(x: Any, lam: Any) -> TensorVariable[Any, Any]:
    """Return the output of a node that reverses `x` with a resolved λ of either sign."""
    return cast("TensorVariable[Any, Any]", _op_for(x.type, lam.type)(x, lam))


@functools.lru_cache(maxsize=None)
def _op_for(x_type: Any, lam_type: Any) -> ReverseGradient:
    """Return the same Op for the same types, so that equal nodes are merged."""
    return ReverseGradient(x_type, lam_type)


@node_rewriter([ReverseGradient])  # type: ignore[untyped-decorator, unused-ignore]
def remove_reverse_gradient(fgraph: Any, node: Any) -> Any:
    """Replace the output by `x`: the gradient has been taken when a function is compiled."""
    return [node.inputs[0]]


# Before all that could be held up by the Op; not part of canonicalize, because people, and PyMC,
# canonicalise graphs that they differentiate later.
_stage = in2out(remove_reverse_gradient, name="remove_reverse_gradient")
optdb.register(  # type: ignore[no-untyped-call, unused-ignore]
    "remove_reverse_gradient", _stage, "fast_run", "fast_compile", position=-0.02
)

try:
    from pytensor.graph.replace import _vectorize_node
except ImportError:  # before PyTensor 2.13 there was no vectorisation of graphs
    pass
else:

    @_vectorize_node.register(ReverseGradient)
    def _vectorize_reverse_gradient(op: Any, node: Any, x: Any, lam: Any) -> Any:
        core_x, core_lam = node.inputs
        batched = x.type.ndim - core_x.type.ndim
        lam_batched = lam.type.ndim - core_lam.type.ndim
        # λ's batch stands in front of the dimensions of x, as broadcasting needs it.
        missing = core_x.type.ndim - core_lam.type.ndim if lam_batched else 0
        order = [*range(lam_batched), *["x"] * missing, *range(lam_batched, lam.type.ndim)]
        lam = lam.dimshuffle(*order) if missing else lam
        if lam_batched and not batched:  # every λ of the batch meets the same x
            x = pt.broadcast_to(x, pt.broadcast_shape(x, lam))
        return reverse_gradient(x, lam).owner
