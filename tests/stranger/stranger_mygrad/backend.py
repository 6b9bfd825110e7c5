import mygrad

import revgrad.testing


class Reverse(mygrad.operation_base.Operation):
    can_return_view = True

    def __call__(self, x, lam):
        self.variables, self.factor = (x,), revgrad.reference.factor(x.data, lam)
        return x.data

    def backward_var(self, grad, index, **kwargs):
        return -self.factor * grad


class StrangerBackend(revgrad.Backend):
    capabilities = frozenset({"half_precision", "lambda_array", "threads"})

    def reverse(self, x, lam):
        return mygrad.execute_op(Reverse, x, op_args=[lam])


class StrangerHarness(revgrad.testing.Harness):
    backend = "stranger"

    def program(self, fn, shape, dtype):
        def run(x, g):
            y = fn(x := mygrad.tensor(x))
            y.backward(g)
            return y.data, x.grad

        return run
