"""A small graph framework in NumPy, its backend and its harness.

Graphs are built from values without numbers, differentiated by building more graph, rewritten,
pickled, mapped over a batch and compiled, as in the frameworks that revgrad is for; so every
check of the suite runs here with no framework installed.
"""

import copy
import operator
import pickle
from functools import partial, reduce

import numpy as np

import revgrad
from revgrad.backend import Native, learnable_lambda_error, normalize_lambda
from revgrad.testing import CAPABILITIES, Harness

try:
    import ml_dtypes

    HALF = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
except ImportError:  # it has no wheel for Python 3.8
    HALF = {"float16": np.float16}


# --- the framework --------------------------------------------------------------------------------


class Tensor:
    """A value of the graph: what computes it, and from what."""

    def __init__(self, op, inputs, shape, dtype):
        self.op, self.inputs = op, tuple(inputs)
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)


def operator_of(name, swapped=False):
    """Return the method behind an operator."""

    def method(self, *other):
        return apply(name, *other, self) if swapped else apply(name, self, *other)

    return method


for _name, _function in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
}.items():
    setattr(Tensor, f"__{_name}__", operator_of(_function))
    setattr(Tensor, f"__r{_name}__", operator_of(_function, swapped=True))
for _name, _function in {
    "neg": "negative",
    "matmul": "matmul",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}.items():
    setattr(Tensor, f"__{_name}__", operator_of(_function))


class Parameter(Tensor):
    """A tensor that is trained, as user code makes it."""


class Op:
    """Computes a value; two Ops of one class and state are equal, and may be merged."""

    removable = False  # whether the compiler may put the first input in its place
    view = False  # whether the value lies in the memory of the first input
    merged = False  # whether it is taken for its first input where both are outputs

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(type(self))

    def __call__(self, *inputs):
        return Tensor(self, inputs, inputs[0].shape, inputs[0].dtype)

    @property
    def name(self):
        return type(self).__name__


class Source(Op):
    """An input of the graph, or a cell that keeps its number between runs."""

    def __init__(self, value=None):
        self.value = value

    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Slice(Source):
    """One element of the batch that a Map goes over."""


class Constant(Op):
    def __init__(self, value):
        self.value = np.array(value)
        self.value.setflags(write=False)

    def __eq__(self, other):
        return type(self) is type(other) and self.key == other.key

    __hash__ = Op.__hash__

    @property
    def key(self):
        return self.value.tobytes(), self.value.shape, self.value.dtype

    def compute(self):
        return self.value


def derivative_of(name):
    """Return the pullback of an elementwise function: cotangent and inputs to cotangents."""
    return {
        "add": lambda g, a, b: (g, g),
        "subtract": lambda g, a, b: (g, -g),
        "multiply": lambda g, a, b: (g * b, g * a),
        "divide": lambda g, a, b: (g / b, -g * a / (b * b)),
        "power": lambda g, a, n: (g * n * a ** (n - 1), None),
        "negative": lambda g, a: (-g,),
        "tanh": lambda g, a: (g * (1 - tanh(a) ** 2),),
        "exp": lambda g, a: (g * exp(a),),
        "log": lambda g, a: (g / a,),
        "where": lambda g, c, a, b: (None, where(c, g, zeros_like(g)), where(c, zeros_like(g), g)),
        "maximum": lambda g, a, b: (where(a > b, g, zeros_like(g)), where(a > b, zeros_like(g), g)),
    }[name]


class Elementwise(Op):
    def __init__(self, name):
        self.function = name

    @property
    def name(self):
        return self.function

    def compute(self, *values):
        # With one dimension more, as NumPy 1 takes a scalar's dtype for one that does not count.
        with np.errstate(all="ignore"):
            return getattr(np, self.function)(*(value[None] for value in values))[0, ...]

    def pullback(self, inputs, g):
        cotangents = derivative_of(self.function)(g, *inputs)
        return [c and sum_to(c, each.shape) for c, each in zip(cotangents, inputs)]


class Cast(Op):
    def __init__(self, dtype):
        self.dtype = dtype

    def compute(self, value):
        return value.astype(self.dtype)

    def pullback(self, inputs, g):
        return [cast(g, inputs[0].dtype)]


class Sum(Op):
    """The sum over all elements, or over what a shape does not have."""

    def __init__(self, shape=()):
        self.shape = shape

    def compute(self, value):
        if self.shape == ():
            return np.asarray(value.sum(dtype=value.dtype))
        lead = value.ndim - len(self.shape)
        value = value.sum(axis=tuple(range(lead)), dtype=value.dtype)
        axes = tuple(i for i, n in enumerate(self.shape) if n == 1 and value.shape[i] != 1)
        return value.sum(axis=axes, keepdims=True, dtype=value.dtype)

    def pullback(self, inputs, g):
        return [g * constant(np.ones(inputs[0].shape), g.dtype)]


class MatMul(Op):
    def compute(self, a, b):
        return a @ b

    def pullback(self, inputs, g):
        a, b = inputs
        return [g @ transpose(b), transpose(a) @ g]


class Transpose(Op):
    def compute(self, value):
        return value.T

    def pullback(self, inputs, g):
        return [transpose(g)]


class Stop(Op):
    """The identity, through which no gradient passes."""

    def compute(self, value):
        return value

    def pullback(self, inputs, g):
        return [None]


class Map(Op):
    """A graph with one or more inputs, run for each element of a batch."""

    def __init__(self, inner_inputs, inner_output):
        self.inner = inner_inputs, inner_output

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def compute(self, *batches):
        run = evaluate(*self.inner)
        return np.stack([run(*(np.asarray(each) for each in row)) for row in zip(*batches)])

    def pullback(self, inputs, g):
        slices, output = self.inner
        g_slice = Tensor(Slice(), (), output.shape, g.dtype)
        cotangents = gradient(output, slices, g_slice)
        return [
            c and Tensor(Map([*slices, g_slice], c), [*inputs, g], each.shape, c.dtype)
            for c, each in zip(cotangents, inputs)
        ]


class Write(Op):
    """max(x, 0), written to the memory of x; autograd sees a new value."""

    def compute(self, value):
        return np.maximum(value, 0, out=value)

    def pullback(self, inputs, g):
        return [where(inputs[0] > 0.0, g, 0.0 * g)]


def write(x):
    """Return ``max(x, 0)``, computed in place; reject a view."""
    if x.op.view:
        raise ValueError("this is a view: copy it before you write to it")
    return Write()(x)


def source(shape, dtype, kind=Source, cls=Tensor):
    return cls(kind(), (), shape, dtype)


def constant(value, dtype=None):
    value = np.asarray(value, dtype)
    return Tensor(Constant(value), (), value.shape, value.dtype)


def apply(name, *inputs):
    """Build an elementwise node; a number takes the dtype of the tensors that it meets."""
    like = next(each.dtype for each in inputs[::-1] if isinstance(each, Tensor))
    inputs = [each if isinstance(each, Tensor) else constant(each, like) for each in inputs]
    if name == "matmul":
        a, b = inputs
        return Tensor(MatMul(), inputs, (a.shape[0], b.shape[1]), np.result_type(a.dtype, b.dtype))
    # By shapes of no memory: only what broadcasting makes of them is wanted.
    shape = np.broadcast(*(np.broadcast_to(np.int8(0), each.shape) for each in inputs)).shape
    empty = [np.ones((1,), each.dtype) for each in inputs]
    return Tensor(Elementwise(name), inputs, shape, Elementwise(name).compute(*empty).dtype)


def cast(x, dtype):
    return x if x.dtype == dtype else Tensor(Cast(np.dtype(dtype)), (x,), x.shape, dtype)


def sum_to(x, shape=()):
    return x if x.shape == shape else Tensor(Sum(shape), (x,), shape, x.dtype)


def transpose(x):
    return Tensor(Transpose(), (x,), x.shape[::-1], x.dtype)


def stop_gradient(x):
    return Stop()(x)


tanh, cos, exp, log, isfinite, minimum, maximum, where = (
    partial(apply, name)
    for name in ("tanh", "cos", "exp", "log", "isfinite", "minimum", "maximum", "where")
)


def zeros_like(x):
    return constant(np.zeros(x.shape), x.dtype)


def nodes_of(*outputs):
    """Return every tensor that the outputs depend on, inputs before what is computed from them."""
    order, seen, stack = [], set(), [(each, False) for each in outputs]
    while stack:
        node, entered = stack.pop()
        if entered:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((each, False) for each in node.inputs)
    return order


def gradient(y, wrt, g):
    """Return the cotangents of tensors, None where `y` does not depend on them."""
    cotangents = {id(y): g}
    for node in reversed(nodes_of(y)):
        arrived = cotangents.get(id(node))
        if arrived is not None and node.inputs and not any(node is each for each in wrt):
            for each, c in zip(node.inputs, node.op.pullback(node.inputs, arrived)):
                if c is not None:
                    before = cotangents.get(id(each))
                    cotangents[id(each)] = c if before is None else before + c
    return [cotangents.get(id(each)) for each in wrt]


def push_forward(y, x, tangent):
    """Return the tangent of `y`: the pullback of the pullback, or the Op's own rule."""
    tangents = {id(x): tangent}
    for node in nodes_of(y):
        arrived = [tangents.get(id(each)) for each in node.inputs]
        if id(node) in tangents or all(each is None for each in arrived):
            continue
        if hasattr(node.op, "push_forward"):
            tangents[id(node)] = node.op.push_forward(node.inputs, arrived)
            continue
        parts = []
        for each, t in zip(node.inputs, arrived):
            if t is not None:
                # The pullback is linear in its cotangent: its transpose is the push-forward.
                g = source(node.shape, node.dtype)
                back = gradient(node, [each], g)[0]
                if back is not None:
                    parts.append(gradient(back, [g], t)[0])
        if parts:
            tangents[id(node)] = reduce(operator.add, parts)
    return tangents.get(id(y))


def rebuilt(outputs, change):
    """Return copies of the outputs, each node passed through ``change(node, new inputs)``."""
    new = {}
    for node in nodes_of(*outputs):
        new[id(node)] = change(node, [new[id(each)] for each in node.inputs])
    return [new[id(each)] for each in outputs]


def merged(*outputs):
    """Return the outputs with equal nodes made one."""
    known = {}

    def change(node, inputs):
        if isinstance(node.op, Source):
            return node
        key = node.op, tuple(id(each) for each in inputs)
        if key not in known:
            known[key] = Tensor(node.op, inputs, node.shape, node.dtype)
        return known[key]

    return rebuilt(outputs, change)


def simplified(*outputs):
    """Return the outputs without the nodes that only the gradient needs, constants folded."""

    def change(node, inputs):
        if node.op.removable:
            return inputs[0]
        if inputs and all(isinstance(each.op, Constant) for each in inputs):
            return constant(node.op.compute(*(each.op.value for each in inputs)))
        return node if not node.inputs else Tensor(node.op, inputs, node.shape, node.dtype)

    return rebuilt(outputs, change)


def evaluate(inputs, output):
    """Return a function of arrays that computes one tensor, as the graph stands."""

    def run(*arrays):
        values = {id(each): array for each, array in zip(inputs, arrays)}
        for node in nodes_of(output):
            if id(node) not in values:
                if isinstance(node.op, Source):
                    values[id(node)] = node.op.value
                else:
                    values[id(node)] = node.op.compute(*(values[id(i)] for i in node.inputs))
        return values[id(output)]

    return run


compiled = []
"""The programs that were compiled in this process."""


def compile(inputs, outputs):
    """Return a function of arrays that computes tensors; None stands for itself."""
    wanted = [each for each in outputs if each is not None]
    simple = dict(zip(map(id, wanted), simplified(*wanted)))
    runs = [each if each is None else evaluate(inputs, simple[id(each)]) for each in outputs]
    compiled.append(runs)
    return lambda *arrays: tuple(run and run(*arrays) for run in runs)


training = [True]
"""The mode of the framework."""


# --- the backend ----------------------------------------------------------------------------------


class TapeNative(Native):
    lambda_words = "a tensor"
    copies_cells = True

    def constant(self, value, x):
        return constant(super().constant(value, x))

    def is_value(self, value):
        return isinstance(value, Tensor)

    def known_number(self, value):
        if isinstance(value, Parameter):
            raise learnable_lambda_error()
        return value.op.value if isinstance(value.op, Constant) else None

    def cast(self, value, x):
        return cast(value, x.dtype)

    def new_cell(self, value):
        cell = source((), "float64")
        self.set_cell(cell, value)
        return cell

    def set_cell(self, cell, value):
        cell.op.value = np.asarray(value)

    def __reduce__(self):
        return "native"


native = TapeNative()


class Scale(Op):
    """The identity, whose gradient is multiplied by its second input."""

    removable = view = True

    def compute(self, x, factor):
        return x

    def pullback(self, inputs, g):
        return [inputs[1] * g, None]

    def push_forward(self, inputs, tangents):
        return inputs[1] * tangents[0]


class TapeBackend(revgrad.Backend):
    native = native
    capabilities = frozenset(CAPABILITIES)
    op = Scale()

    def multiply_gradient(self, x, factor):
        return self.op(x, factor)

    @property
    def xp(self):
        import tape

        return tape


class Reversal:
    """The reversal as a layer, which holds its λ."""

    def __init__(self, lam):
        self.lam = lam

    @property
    def lam(self):
        return self._lam

    @lam.setter
    def lam(self, lam):
        self._lam = normalize_lambda(lam)

    def __call__(self, x):
        return revgrad.reverse(x, self.lam)


TapeBackend.layer = Reversal


# --- the harness ----------------------------------------------------------------------------------


class TapeHarness(Harness):
    backend = "tape"
    half_dtypes = tuple(HALF)

    def program(self, fn, shape, dtype):
        x = source(shape, HALF.get(dtype, dtype))
        return self._pulled_back(x, fn(x))

    def _pulled_back(self, x, y):
        g = source(y.shape, y.dtype)
        return compile([x, g], [y, gradient(y, [x], g)[0]])

    def constant(self, array):
        return constant(array)

    def several_outputs(self, fn, shape, dtype):
        x = source(shape, dtype)
        ys = [y.inputs[0] if y.op.merged else y for y in fn(x)]
        gs = [source(shape, dtype) for _ in ys]
        parts = [gradient(y, [x], g)[0] for y, g in zip(ys, gs)]
        run = compile([x, *gs], [*ys, reduce(operator.add, [each for each in parts if each])])

        def run_all(x, gs):
            *values, slope = run(x, *gs)
            return values, slope

        return {"one program": run_all}

    def in_place(self, fn, shape, dtype):
        def program(written):
            def run(x, g):
                leaf = source(shape, dtype)
                h = leaf * 1.0
                y = written(fn(h)) + h
                cotangent = source(shape, dtype)
                slope = gradient(y, [leaf], cotangent)[0]
                value = evaluate([leaf], y)(x)
                return value, evaluate([leaf, cotangent], slope)(x, g)

            return run

        return {"relu": (program(write), program(lambda y: write(y * 1.0)))}

    def layers(self, lam, shape, dtype):
        layer = revgrad.get_backend("tape").layer(lam)
        layers = {
            "copy": copy.deepcopy(layer),
            "pickle": pickle.loads(pickle.dumps(layer)),
        }
        return {name: self.program(each, shape, dtype) for name, each in layers.items()}

    def assigned(self, first, second, shape, dtype):
        layer = revgrad.get_backend("tape").layer(first)
        layer.lam = second
        return {"layer.lam = ...": self.program(layer, shape, dtype)}

    def modes(self, fn, shape, dtype):
        programs = {}
        try:
            for training[0] in (False, True):
                programs["training" if training[0] else "evaluation"] = self.program(
                    fn, shape, dtype
                )
        finally:
            training[0] = True
        return programs

    def instances(self, fn, shape, dtype):
        x = source(shape, dtype, cls=Parameter)
        return {"Parameter": self._pulled_back(x, fn(x))}

    def values(self):
        return [source((2,), "float32", cls=Parameter), constant([1.0])]

    def views(self, fn, shape, dtype):
        x, array = source(shape, dtype), np.ones(shape, dtype)
        (value,) = compile([x], [fn(x)])(array)
        return np.shares_memory(value, array)

    def rewritten(self, fn, shape, dtype):
        x = source(shape, dtype)
        return {"merged": self._pulled_back(x, merged(fn(x))[0])}

    def compilations(self):
        return len(compiled)

    def graph_lambda(self, fn, shape, dtype, lam_shape, lam_dtype):
        x, lam, g = source(shape, dtype), source(lam_shape, lam_dtype), source(shape, dtype)
        y = fn(x, lam)
        return compile([x, lam, g], [y, gradient(y, [x], g)[0]])

    def lambda_gradient(self, fn, shape, dtype):
        x, lam, g = source(shape, dtype), source((), dtype), source(shape, dtype)
        run = compile([x, lam, g], gradient(fn(x, lam), [lam], g))
        return lambda *arrays: run(*arrays)[0]

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
        return compile([x, v], [sum_to(cost), gradient(slope, [x], v)[0]])

    def vectorised(self, fn, shape, dtype):
        element = source(shape, dtype, Slice)
        y = fn(element)
        xs = source((4, *shape), dtype)
        return self._pulled_back(xs, Tensor(Map([element], y), [xs], (4, *y.shape), y.dtype))

    def operations(self, fn, shape, dtype):
        x, g = source(shape, dtype), source(shape, dtype)
        y = fn(x)
        programs = simplified(tanh(y)), simplified(gradient(y, [x], g)[0])
        return tuple([node.op.name for node in nodes_of(*each) if node.inputs] for each in programs)

    def copies(self, fn, shape, dtype):
        x = source(shape, dtype)
        graph = x, fn(x)
        return {
            "copy": self._pulled_back(*copy.deepcopy(graph)),
            "pickle": self._pulled_back(*pickle.loads(pickle.dumps(graph))),
        }


SPEC = revgrad.BackendSpec(
    name="tape",
    claims=("tape:Tensor",),
    factory="tape:TapeBackend",
    harness="tape:TapeHarness",
)
