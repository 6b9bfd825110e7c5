"""A small graph framework in NumPy, its backend and its harness.

Graphs are built from values without numbers, differentiated by building more graph, rewritten,
pickled, mapped over a batch and compiled, as in the frameworks that revgrad is for; so every
check of the suite runs here with no framework installed.
"""

import copy
import pickle
import sys
from functools import reduce
from importlib.util import find_spec
from unittest import mock

import numpy as np

import revgrad
from revgrad.backend import Native
from revgrad.testing import CAPABILITIES, Harness
from revgrad.testing._cases import numpy_dtype

# --- the framework --------------------------------------------------------------------------------


class Tensor(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of the graph: what computes it, and from what."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    def __init__(self, op, inputs, shape, dtype):
        self.op, self.inputs = op, tuple(inputs)
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs):
        return Function(ufunc)(*inputs)

    def astype(self, dtype):
        return self if self.dtype == dtype else Function(np.ndarray.astype, np.dtype(dtype))(self)


class Parameter(Tensor):
    """A tensor that is trained, as user code makes it."""


class Op:
    """Computes a value on arrays, and builds the graph of its derivative."""

    # Whether the compiler may put the first input in its place; whether the value lies in the memory
    # of the first input; and whether it is taken for its first input where both are outputs.
    removable = view = merged = False
    # What tells two Ops apart: nodes of one key and of the same inputs may be merged.
    key = property(lambda self: (type(self), *vars(self).values()))
    # The pullback of which forward mode takes the pullback.
    pullback_to_push = property(lambda self: self.pullback)

    def __call__(self, *inputs):
        """Build a node; a number takes the dtype of the tensors that it meets."""
        like = next(each.dtype for each in inputs[::-1] if isinstance(each, Tensor))
        inputs = [each if isinstance(each, Tensor) else constant(each, like) for each in inputs]
        value = self.compute(*(np.ones(each.shape, each.dtype) for each in inputs))
        return Tensor(self, inputs, value.shape, value.dtype)


class Source(Op):
    """An input of the graph, or a cell that keeps its number between runs."""

    key = property(id)

    def __init__(self, value=None):
        self.value = value

    def compute(self):
        return self.value


class Slice(Source):
    """One element of a batch."""


class Constant(Source):
    """A number that is known when the graph is built."""

    key = property(lambda self: (self.value.tobytes(), self.value.shape, self.value.dtype))


class Function(Op):
    """A function of NumPy's, with arguments of its own that are no tensors."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def compute(self, *values):
        # With one dimension more, as NumPy 1 takes a scalar's dtype for one that does not count.
        with np.errstate(all="ignore"):
            return self.function(*(value[None] for value in values), *self.arguments)[0, ...]

    def pullback(self, inputs, g):
        cotangents = DERIVATIVES[self.function](g, *inputs)
        return [c and sum_to(c, each.shape) for c, each in zip(cotangents, inputs)]


def sum_array(value, shape):
    """Return the sum over what a shape does not have, in an array of one dimension more."""
    lead = value.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
    return value.sum(axis=axes, dtype=value.dtype).reshape((1, *shape))


def relu_in_place(value):
    return np.maximum(value, 0, out=value)


tanh, cos, exp, log, isfinite, minimum, maximum, where = map(
    Function, (np.tanh, np.cos, np.exp, np.log, np.isfinite, np.minimum, np.maximum, np.where)
)
stop_gradient = Function(np.asarray)
transpose = Function(np.swapaxes, -1, -2)

DERIVATIVES = {
    np.add: lambda g, a, b: (g, g),
    np.subtract: lambda g, a, b: (g, -g),
    np.multiply: lambda g, a, b: (g * b, g * a),
    np.divide: lambda g, a, b: (g / b, -g * a / (b * b)),
    np.power: lambda g, a, n: (g * n * a ** (n - 1), None),
    np.negative: lambda g, a: (-g,),
    np.tanh: lambda g, a: (g * (1 - tanh(a) ** 2),),
    np.exp: lambda g, a: (g * exp(a),),
    np.log: lambda g, a: (g / a,),
    np.where: lambda g, c, a, b: (None, where(c, g, zeros_like(g)), where(c, zeros_like(g), g)),
    np.maximum: lambda g, a, b: DERIVATIVES[np.where](g, a > b, a, b)[1:],
    relu_in_place: lambda g, a: (where(a > 0.0, g, 0.0 * g),),
    np.matmul: lambda g, a, b: (g @ transpose(b), transpose(a) @ g),
    np.ndarray.astype: lambda g, a: (g.astype(a.dtype),),
    np.asarray: lambda g, a: (None,),  # stop_gradient
    sum_array: lambda g, a: (g * constant(np.ones(a.shape), g.dtype),),
}
"""By function: its pullback, which maps a cotangent and the inputs to their cotangents."""


def write(x):
    """Write max(x, 0) to the memory of x; the framework sees a new value."""
    if x.op.view:
        raise ValueError("this is a view: copy it before you write to it")
    return Function(relu_in_place)(x)


def source(shape, dtype, kind=Source, cls=Tensor):
    return cls(kind(), (), shape, dtype)


def constant(value, dtype=None):
    value = np.array(value, dtype)
    value.setflags(write=False)
    return Tensor(Constant(value), (), value.shape, value.dtype)


def zeros_like(x):
    return constant(np.zeros(x.shape), x.dtype)


def sum_to(x, shape=()):
    return x if x.shape == shape else Function(sum_array, shape)(x)


def nodes_of(y, found=None):
    """Return every tensor that `y` depends on, inputs before what is computed from them."""
    found = {} if found is None else found
    if y not in found:
        for each in y.inputs:
            nodes_of(each, found)
        found[y] = None
    return found


def total(parts):
    """Return the sum of the tensors among the parts, None if there are none."""
    return reduce(lambda a, b: a + b if a and b else a or b, parts)


def gradient(y, wrt, g, rule="pullback"):
    """Return the cotangents of inputs, None where `y` does not depend on them."""
    cotangents = {y: g}
    for node in reversed(nodes_of(y)):
        arrived = cotangents.get(node)
        if arrived and node.inputs:
            for each, c in zip(node.inputs, getattr(node.op, rule)(node.inputs, arrived)):
                cotangents[each] = total([cotangents.get(each), c])
    return [cotangents.get(each) for each in wrt]


def push_forward(y, x, tangent):
    """Return the pullback of the pullback, which is linear in its cotangent."""
    g = source(y.shape, y.dtype)
    (linear,) = gradient(y, [x], g, "pullback_to_push")
    return linear and gradient(linear, [g], tangent)[0]


def rebuilt(y, change):
    """Return a copy of `y` and of what it depends on, each node passed through `change`."""
    new = {}
    for node in nodes_of(y):
        inputs = [new[each] for each in node.inputs]
        new[node] = change(Tensor(node.op, inputs, node.shape, node.dtype) if inputs else node)
    return new[y]


def merged(y):
    """Return `y` with equal nodes made one."""
    known = {}
    return rebuilt(y, lambda node: known.setdefault((node.op.key, *node.inputs), node))


def simplified(y):
    """Return `y` without the nodes that only the gradient needs, constants folded."""

    def change(node):
        if node.op.removable:
            return node.inputs[0]
        if node.inputs and all(isinstance(each.op, Constant) for each in node.inputs):
            return constant(node.op.compute(*(each.op.value for each in node.inputs)))
        return node

    return rebuilt(y, change)


def evaluate(inputs, y):
    """Return a function of arrays that computes one tensor, as the graph stands."""

    def run(*arrays):
        if [each.dtype for each in arrays] != [each.dtype for each in inputs]:
            raise TypeError(f"expected arrays of the dtypes of {inputs}; got {arrays}")
        values = dict(zip(inputs, arrays))
        for node in nodes_of(y):
            if node not in values:
                values[node] = node.op.compute(*(values[each] for each in node.inputs))
        return values[y]

    return run


compiled = []
"""The programs that were compiled in this process."""


def compile(inputs, outputs):
    """Return a function of arrays that computes tensors; None stands for itself."""
    runs = [each and evaluate(inputs, simplified(each)) for each in outputs]
    compiled.append(runs)
    return lambda *arrays: tuple(run and run(*arrays) for run in runs)


mode = {"training": True}
"""The mode of the framework."""


# --- the backend ----------------------------------------------------------------------------------


class TapeNative(Native):
    lambda_words = "a tensor"

    def constant(self, value, x):
        return constant(super().constant(value, x))

    def is_value(self, value):
        return isinstance(value, Tensor)

    def known_number(self, value):
        return value.op.value if isinstance(value.op, Constant) else None

    def new_cell(self, value):
        cell = source((), "float64")
        self.set_cell(cell, value)
        return cell

    def set_cell(self, cell, value):
        cell.op.value = np.asarray(value)


native = TapeNative()


class Scale(Op):
    """The identity, whose gradient is multiplied by its second input."""

    removable = view = True

    def compute(self, x, *_):
        return x

    def pullback(self, inputs, g):
        return [inputs[1] * g, None]


class TapeBackend(revgrad.Backend):
    native = native
    capabilities = frozenset(CAPABILITIES)
    xp = sys.modules[__name__]

    def multiply_gradient(self, x, factor):
        return Scale()(x, factor)


class Reversal:
    """The reversal as a layer, which holds its λ."""

    def __init__(self, lam):
        self.lam = lam

    def __call__(self, x):
        return revgrad.reverse(x, self.lam)


# --- the harness ----------------------------------------------------------------------------------


def copies_of(value):
    return {"copy": copy.deepcopy(value), "pickle": pickle.loads(pickle.dumps(value))}


class TapeHarness(Harness):
    backend = "tape"
    # ml_dtypes has no wheel for Python 3.8.
    half_dtypes = ("float16", "bfloat16")[: 2 if find_spec("ml_dtypes") else 1]
    layer = Reversal

    def program(self, fn, shape, dtype, **kind):
        x = source(shape, numpy_dtype(dtype), **kind)
        return self._pulled_back(x, fn(x))

    def _pulled_back(self, x, y, *others):
        g = source(y.shape, y.dtype)
        return compile([x, *others, g], [y, *gradient(y, [x], g)])

    def constant(self, array):
        return constant(array)

    def several_outputs(self, fn, shape, dtype):
        x = source(shape, dtype)
        ys = [y.inputs[0] if y.op.merged else y for y in fn(x)]
        gs = [source(shape, dtype) for _ in ys]
        run = compile([x, *gs], [*ys, total(gradient(y, [x], g)[0] for y, g in zip(ys, gs))])

        def run_all(x, gs):
            *values, slope = run(x, *gs)
            return values, slope

        return {"one program": run_all}

    def in_place(self, fn, shape, dtype):
        def program(written):
            def run(*arrays):
                x, g = source(shape, dtype), source(shape, dtype)
                h = x * 1.0
                y = written(fn(h)) + h
                return [evaluate([x, g], each)(*arrays) for each in (y, *gradient(y, [x], g))]

            return run

        return {"relu": (program(write), program(lambda y: write(y * 1.0)))}

    def layers(self, lam, shape, dtype):
        layers = copies_of(self.layer(lam))
        return {name: self.program(each, shape, dtype) for name, each in layers.items()}

    def assigned(self, first, second, shape, dtype):
        layer = self.layer(first)
        layer.lam = second
        return {"layer.lam = ...": self.program(layer, shape, dtype)}

    def modes(self, fn, shape, dtype):
        with mock.patch.dict(mode, training=False):
            evaluation = self.program(fn, shape, dtype)
        return {"evaluation": evaluation, "training": self.program(fn, shape, dtype)}

    def instances(self, fn, shape, dtype):
        return {"Parameter": self.program(fn, shape, dtype, cls=Parameter)}

    def values(self):
        return [source((2,), "float32", cls=Parameter), constant([1.0])]

    def views(self, fn, shape, dtype):
        x, array = source(shape, dtype), np.ones(shape, dtype)
        return np.shares_memory(*compile([x], [fn(x)])(array), array)

    def rewritten(self, fn, shape, dtype):
        return {"merged": self.program(lambda x: merged(fn(x)), shape, dtype)}

    def compilations(self):
        return len(compiled)

    def graph_lambda(self, fn, shape, dtype, lam_shape, lam_dtype):
        x, lam = source(shape, dtype), source(lam_shape, lam_dtype)
        return self._pulled_back(x, fn(x, lam), lam)

    def lambda_gradient(self, fn, shape, dtype):
        x, lam = source(shape, dtype), source((), dtype)
        run = self._pulled_back(lam, fn(x, lam), x)
        return lambda x, lam, g: run(lam, x, g)[1]

    def scalar_program(self, fn, dtype):
        p = source((), dtype)
        run = compile([p], [fn(p)])
        return lambda value: run(value)[0]

    def forward_mode(self, fn, shape, dtype):
        x, t = source(shape, dtype), source(shape, dtype)
        y = fn(x)
        return compile([x, t], [y, push_forward(y, x, t)])

    def second_order(self, fn, shape, dtype):
        x, v = source(shape, dtype), source(shape, dtype)
        cost = fn(x**2) ** 3
        slope = gradient(cost, [x], constant(np.ones(shape), dtype))[0]
        return compile([x, v], [sum_to(cost), *gradient(slope, [x], v)])

    def vectorised(self, fn, shape, dtype):
        """Map the program of one element over the batch."""
        run = self.program(fn, shape, dtype, kind=Slice)
        return lambda xs, gs: tuple(np.stack(each) for each in zip(*map(run, xs, gs)))

    def operations(self, fn, shape, dtype):
        x, g = source(shape, dtype), source(shape, dtype)
        y = fn(x)
        names = lambda y: [str(node.op.key) for node in nodes_of(simplified(y)) if node.inputs]
        return names(tanh(y)), names(*gradient(y, [x], g))

    def copies(self, fn, shape, dtype):
        x = source(shape, dtype)
        return {name: self._pulled_back(*graph) for name, graph in copies_of((x, fn(x))).items()}


class EagerHarness(TapeHarness):
    """Calls the function at each run."""

    def program(self, fn, shape, dtype, **kind):
        return lambda x, g: TapeHarness.program(self, fn, shape, dtype, **kind)(x, g)


SPEC = revgrad.BackendSpec("tape", ("tape:Tensor",), "tape:TapeBackend", harness="tape:TapeHarness")
