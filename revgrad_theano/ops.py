"""The native Ops `ReverseGradient` and `ScaleGradient`, and the rewrite that compiles them away."""

from typing import Any, List

from revgrad._names import set_module
from revgrad.backend import resolve
from revgrad.exceptions import InvalidLambdaError, UnsupportedTypeError
from revgrad_theano.native import Op, T, basic, native, opt, theano


class _Identity(Op):  # type: ignore[misc, unused-ignore]
    """The first input as it is; the gradient, or tangent, is what `pulled` makes of it."""

    __props__ = ()
    view_map = {0: [0]}
    _f16_ok = True

    def pulled(self, inputs: List[Any], g: Any) -> Any:
        """Return what arrives as it is."""
        return g

    def perform(self, node: Any, inputs: List[Any], output_storage: List[List[Any]]) -> None:
        """Pass the value on, without a copy."""
        output_storage[0][0] = inputs[0]

    def c_code(self, node: Any, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        """Pass the value on, without a copy; what is not a TensorType goes to `perform`."""
        if not isinstance(node.inputs[0].type, T.TensorType):
            raise NotImplementedError("C code is for tensors in main memory")
        x, y = inputs[0], outputs[0]
        return f"Py_XDECREF({y}); {y} = {x}; Py_XINCREF({y});"

    def c_code_cache_version(self) -> Any:
        """Return the version of `c_code`."""
        return (1,)

    def infer_shape(self, fgraph_or_node: Any, *args: Any) -> List[Any]:
        """Return the shape of the first input."""
        return [args[-1][0]]  # Theano-PyMC 1.1 passes the graph in front of the node

    def connection_pattern(self, node: Any) -> List[List[bool]]:
        """Say that the output depends on the first input alone."""
        return [[i == 0] for i in range(len(node.inputs))]

    def grad(self, inputs: Any, output_gradients: Any) -> List[Any]:
        """Return the gradient of the first input; the others get none."""
        (g,) = output_gradients
        Disconnected = theano.gradient.DisconnectedType
        pulled = g if isinstance(g.type, Disconnected) else self.pulled(inputs, g)
        return [pulled] + [Disconnected()() for _ in inputs[1:]]

    def R_op(self, inputs: Any, eval_points: Any) -> List[Any]:
        """Return the tangent, None where none arrives."""
        return [None if eval_points[0] is None else self.pulled(inputs, eval_points[0])]


class _SameLengths(_Identity):
    """λ or a factor, whose lengths must be those of `x`: Theano learns them at run time."""

    # Without it, a gradient of ones would take the shape of λ: Theano rewrites the product of λ
    # and a filled array to λ.

    def make_node(self, strength: Any, *lengths: Any) -> Any:
        return basic.Apply(self, [strength, *lengths], [strength.type()])

    def perform(self, node: Any, inputs: List[Any], output_storage: List[List[Any]]) -> None:
        strength, *lengths = inputs
        if _free(strength.shape, node.inputs[0].broadcastable) != lengths:
            raise InvalidLambdaError(
                f"A λ or factor of shape {strength.shape} does not broadcast to x: expected "
                f"{', '.join(str(int(n)) for n in lengths)} for the lengths that its type does "
                "not fix. Where it does not vary, use a type that fixes a length of 1: T.col, "
                "T.row, or theano.tensor.addbroadcast(lam, axis)."
            )
        output_storage[0][0] = strength

    def c_code(self, node: Any, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        raise NotImplementedError("the lengths are compared in Python")


class _GradientOp(_Identity):
    """The identity in `x`; the second input is λ or, where `signed`, a factor of the gradient."""

    signed: bool

    def node(self, x: Any, strength: Any) -> Any:
        """Return the node, with validated inputs."""
        if not isinstance(x, basic.Variable):
            try:
                x = T.as_tensor_variable(x)
            except Exception as error:
                raise UnsupportedTypeError(
                    f"Theano makes no tensor of a {type(x).__name__} ({type(error).__name__}: "
                    f"{error}). Pass a Theano variable, or an array."
                ) from error
        strength = resolve(x, strength, native, self.signed)
        if strength.ndim and _is_sparse(x):
            raise InvalidLambdaError(
                f"A sparse x takes a scalar λ or factor; got one of {strength.ndim} dimensions. "
                "Convert x first, with theano.sparse.dense_from_sparse(x)."
            )
        return basic.Apply(self, [x, strength], [x.type()])

    def pulled(self, inputs: List[Any], g: Any) -> Any:
        x, strength = inputs
        if strength.ndim and _is_sparse(g):  # of theano.sparse_grad
            from theano.sparse import dense_from_sparse

            # The C code of sparse * dense reads past the end of an array that has to be broadcast.
            g = dense_from_sparse(g)
        if not all(strength.broadcastable):
            lengths = [x.shape[i] for i in range(x.ndim - strength.ndim, x.ndim)]
            strength = _same_lengths(strength, *_free(lengths, strength.broadcastable))
        return (strength if self.signed else -strength) * g


@set_module("revgrad_theano")
class ReverseGradient(_GradientOp):
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

    signed = False

    def make_node(self, x: Any, lam: Any) -> Any:
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
            If the dtype of `x` carries no gradient, or `x` is not a tensor.
        InvalidLambdaError
            If `lam` is not a λ, or could enlarge `x`. A constant of Theano is validated like a
            number; a shared variable, or an expression, is not.
        """
        return self.node(x, lam)


@set_module("revgrad_theano")
class ScaleGradient(_GradientOp):
    """The identity, whose gradient is multiplied by a factor.

    ``ScaleGradient()(x, factor)``, or `scale_gradient`, its one instance. What is said of
    `ReverseGradient` holds for it as well.

    Examples
    --------
    Reverse some of the samples only:

    >>> import theano
    >>> import theano.tensor as T
    >>> x, mask = T.dmatrix("x"), T.col("mask", dtype="int8")
    >>> y = ScaleGradient()(x, T.switch(mask, -0.5, 1.0))
    >>> theano.grad(y.sum(), x).eval({x: [[1.0, 2.0], [3.0, 4.0]], mask: [[1], [0]]})
    array([[-0.5, -0.5],
           [ 1. ,  1. ]])
    """

    signed = True

    def make_node(self, x: Any, factor: Any) -> Any:
        """Return the node that scales the gradient of `x`.

        Parameters
        ----------
        x : theano Variable
            A dense tensor of any shape or a sparse matrix, of floating dtype.
        factor : float, numpy.ndarray, LambdaVariable or theano Variable
            Any real, finite factor. A variable of the dtype of `x` is taken as it is, another is
            cast to it.

        Returns
        -------
        Apply
            With one output of the type of `x`.

        Raises
        ------
        UnsupportedTypeError
            If the dtype of `x` carries no gradient, or `x` is not a tensor.
        InvalidLambdaError
            If ``factor`` is not a factor, or could enlarge `x`.
        """
        return self.node(x, factor)


reverse_gradient = ReverseGradient()
scale_gradient = ScaleGradient()
_same_lengths = _SameLengths()


def _is_sparse(variable: Any) -> bool:
    return hasattr(variable.type, "format")  # asked this way, theano.sparse need not be imported


def _free(lengths: Any, fixed: Any) -> List[Any]:
    """Return the lengths on the axes that the type does not fix to 1."""
    return [length for length, is_fixed in zip(lengths, fixed) if not is_fixed]


def remove_gradient_op(*args: Any) -> Any:
    """Replace the output by `x`: the gradient has been taken when a function is compiled."""
    node = args[-1]  # Theano-PyMC 1.1 passes the graph in front of it
    return [node.inputs[0]] if isinstance(node.op, _GradientOp) else False


_remove = opt.local_optimizer([ReverseGradient, ScaleGradient])(remove_gradient_op)
_stage = opt.TopoOptimizer(_remove, order="in_to_out")

# 0.01 lies after the first merge (0) and before all that could be held up by the Op: ShapeOpt
# (0.1), scan's rewrites and canonicalize (1). A stage of its own, and not part of canonicalize,
# because people canonicalise graphs that they differentiate later.
theano.compile.mode.optdb.register(
    "remove_gradient_op", _stage, 0.01, "fast_run", "fast_compile", "stable"
)
