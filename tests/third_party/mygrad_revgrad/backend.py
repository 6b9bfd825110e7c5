import mygrad

import revgrad.testing


class Scale(mygrad.operation_base.Operation):
    def __call__(self, x, factor):
        self.variables, self.factor = (x,), factor
        return x.data

    def backward_var(self, grad, index, **kwargs):
        return self.factor * grad


class MygradBackend(revgrad.Backend):
    native = revgrad.backend.EagerNative()
    capabilities = frozenset({"half_precision", "lambda_array", "threads"})

    def multiply_gradient(self, x, factor):
        return mygrad.execute_op(Scale, x, op_args=[factor])


class MygradHarness(revgrad.testing.Harness):
    backend = "mygrad"
    unsupported = {"*": "MyGrad has reverse mode only"}

    def evaluate(self, fn, x, g):
        y = fn(x := mygrad.tensor(x))
        y.backward(g)
        return y.data, x.grad
