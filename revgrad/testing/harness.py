"""`Harness`: what an author supplies so that the checks can run on a backend."""

from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from revgrad._reverse import reverse, scale_gradient
from revgrad.backend import EVERY_CAPABILITY

__all__ = ["CAPABILITIES", "Harness"]

Shape = Tuple[int, ...]

# Maps a value of the framework to a value of the framework.
Function = Callable[[Any], Any]

# Maps a value of the framework and λ to a value of the framework.
OfLambda = Callable[[Any, Any], Any]

# Maps two NumPy arrays to two NumPy arrays.
Run = Callable[[Any, Any], Tuple[Any, Any]]

# By the name of what was done to a program.
Programs = Mapping[str, Run]

# Maps an array and a sequence of arrays to a sequence of arrays and an array.
RunAll = Callable[[Any, Sequence[Any]], Tuple[Sequence[Any], Any]]

CAPABILITIES: Dict[str, Tuple[str, ...]] = {
    **{each: (each,) for each in sorted(EVERY_CAPABILITY)},
    "graph_lambda": ("graph_lambda", "lambda_gradient"),
    "half_precision": (),
    "known_lambda": ("constant",),
    "lambda_array": (),
    "layers": ("layers", "assigned"),
    "schedules": ("scalar_program",),
    "subclasses": ("instances",),
    "threads": (),
}
"""What a backend may declare in `Backend.capabilities`, and the methods of the harness it needs."""


class Harness:
    """Drives one framework in NumPy terms, so that the checks need to know none.

    Write `program`, or `evaluate` where nothing is compiled, and set `backend`. Each further
    method unlocks the checks of its capability, once the backend declares it.

    The functions that come in, ``fn``, map a value of the framework to a value of the framework:
    the identity, or reversals and what `weighted_sum` makes of them. What comes back are functions
    of NumPy arrays. Build once, run many times: whatever the framework compiles is compiled when
    the method is called, and the function that it returns only runs it.

    Attributes
    ----------
    backend : str
        The name of the backend, a key of `revgrad.backends`.
    dtypes : tuple of str
        The floating dtypes that the framework computes in.
    half_dtypes : tuple of str
        Those of half precision, for the capability ``half_precision``; ``"bfloat16"`` is that of
        the package ml_dtypes.
    subnormals : bool
        False where the framework's arithmetic takes subnormal numbers for zero.
    examples : int
        How many examples a property is tried on, where hypothesis is installed. Lower it where a
        program takes long to compile; with 0 there are the fixed examples alone.
    expected_failures : mapping of str to str
        The names of checks that fail, each with the reason. One that passes is a failure.
    unsupported : mapping of str to str
        The capabilities that the backend does not declare, each with the reason; the reason under
        ``"*"`` counts for all that are not named. A capability that is neither declared nor
        explained fails its checks.

    Examples
    --------
    A backend on a framework whose functions are ``lib.array``, ``lib.vjp`` and ``lib.to_numpy``
    would have::

        class LibHarness(revgrad.testing.Harness):
            backend = "lib"

            def evaluate(self, fn, x, g):
                y, pullback = lib.vjp(fn, lib.array(x))
                return lib.to_numpy(y), lib.to_numpy(pullback(lib.array(g)))
    """

    backend: str
    dtypes: Tuple[str, ...] = ("float32", "float64")
    half_dtypes: Tuple[str, ...] = ("float16",)
    subnormals: bool = True
    examples: int = 30
    expected_failures: Mapping[str, str] = {}
    unsupported: Mapping[str, str] = {}

    def program(self, fn: Function, shape: Shape, dtype: str) -> Run:
        """Return ``run(x, g) -> (fn(x), pullback of g)``, compiled where the framework compiles.

        Kept as it is for a framework that compiles nothing; write `evaluate` there.

        Parameters
        ----------
        fn : callable
            Maps one value of the framework to one of the same shape and dtype.
        shape : tuple of int
            The shape of `x` and `g`, which a framework may ignore that needs none.
        dtype : str
            The dtype of `x` and `g`; also ``"int32"`` and ``"bool"``, which `fn` rejects.

        Returns
        -------
        callable
            Takes the NumPy arrays `x` and the cotangent `g`, and returns two: the value of `fn`,
            and the gradient of ``sum(g * fn(x))`` with respect to `x`, None where the framework
            says that they are not connected.

        Notes
        -----
        `revgrad.testing.check_flow` hands in a function whose value is a scalar, and a `g` of no
        dimensions to match.
        """
        return lambda x, g: self.evaluate(fn, x, g)

    def evaluate(self, fn: Function, x: Any, g: Any) -> Tuple[Any, Any]:
        """Return ``fn(x)`` and the pullback of `g`, computed at once.

        Parameters
        ----------
        fn : callable
            As for `program`.
        x, g : numpy.ndarray
            The value and the cotangent.

        Returns
        -------
        tuple of numpy.ndarray
            As for a function that `program` returns.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither program() nor evaluate()")

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return the reversal under test; ``revgrad.reverse(x, lam)`` as it is.

        Replace it to put a native form to the checks: an Op, a layer, a module.

        Parameters
        ----------
        x : value of the framework
            What `fn` was given.
        lam : object
            λ, valid or not.

        Returns
        -------
        value of the framework
            The reversal of `x`.
        """
        return reverse(x, lam)

    def scale_gradient(self, x: Any, factor: Any) -> Any:
        """Return ``revgrad.scale_gradient(x, factor)``; replace it as `reverse`.

        Parameters
        ----------
        x : value of the framework
            What `fn` was given.
        factor : object
            The factor, valid or not.

        Returns
        -------
        value of the framework
            `x`, whose gradient is scaled.
        """
        return scale_gradient(x, factor)

    def weighted_sum(self, values: Sequence[Any], weights: Sequence[float]) -> Any:
        """Return the sum of ``weight * value``; replace it where the values have no operators.

        Parameters
        ----------
        values : sequence of values of the framework
            At least one, all of one shape and dtype.
        weights : sequence of float
            Whole numbers, as many as there are values.

        Returns
        -------
        value of the framework
            Of the shape and dtype of the values.
        """
        first, *others = (value * weight for value, weight in zip(values, weights))
        return sum(others, first)

    def values(self) -> Iterable[Any]:
        """Return one value of each further class that users reverse, for the check of the claims.

        Returns
        -------
        iterable of values of the framework
            Parameters, constants, subclasses of users, ...; empty as it is. What `program` hands
            to `fn` is looked at anyway.
        """
        return ()

    def constant(self, array: Any) -> Any:
        """Return a value of the framework that holds the array and asks for no gradient.

        `revgrad.testing.check_flow` needs it where it is given the parameters of a head.

        Parameters
        ----------
        array : numpy.ndarray
            Any shape, a floating dtype.

        Returns
        -------
        value of the framework
            Of the same shape and dtype.
        """
        raise NotImplementedError

    # --- what the capabilities unlock -------------------------------------------------------------

    def views(self, fn: Function, shape: Shape, dtype: str) -> bool:
        """Say whether the value of `fn`, once computed, lies in the memory of `x` (C1)."""
        raise NotImplementedError

    def rewritten(self, fn: Function, shape: Shape, dtype: str) -> Programs:
        """Return programs whose graph was rewritten before the gradient was taken (C7).

        Returns
        -------
        mapping of str to callable
            By the name of the rewrite; each as `program` returns it.
        """
        raise NotImplementedError

    def several_outputs(self, fn: Function, shape: Shape, dtype: str) -> Mapping[str, RunAll]:
        """Return programs that compute all the values of `fn` as outputs of their own (C21).

        Parameters
        ----------
        fn : callable
            Maps one value of the framework to a tuple of values of the same shape and dtype.
        shape : tuple of int
            The shape of all of them.
        dtype : str
            The dtype of all of them.

        Returns
        -------
        mapping of str to callable
            By the name of the mode: compiled as one program, divided by a graph break, ... Each is
            ``run(x, gs) -> (values, pullback of all cotangents gs together)``.
        """
        raise NotImplementedError

    def in_place(self, fn: Function, shape: Shape, dtype: str) -> Mapping[str, Tuple[Run, Run]]:
        """Return programs that write in place to the value of `fn`, or to what it was given (C1).

        Returns
        -------
        mapping of str to (callable, callable)
            By the name of the program. The first writes in place, and uses both tensors
            afterwards; the second copies before it writes, and does the same. Both are as
            `program` returns them. The first may raise.
        """
        raise NotImplementedError

    def layers(self, lam: Any, shape: Shape, dtype: str) -> Programs:
        """Return programs of the native layer after what the framework does with layers (C22).

        Parameters
        ----------
        lam : float or LambdaVariable
            What each layer is made with.
        shape : tuple of int
            The shape of the input.
        dtype : str
            The dtype of the input.

        Returns
        -------
        mapping of str to callable
            By the name of what was done: copied, cast, moved, loaded, ... Each as `program`
            returns it.
        """
        raise NotImplementedError

    def assigned(self, first: float, second: float, shape: Shape, dtype: str) -> Programs:
        """Return programs of the native layer, made with one λ and then set to another (C8, C22).

        Returns
        -------
        mapping of str to callable
            By the way that users set λ; each as `program` returns it.
        """
        raise NotImplementedError

    def modes(self, fn: Function, shape: Shape, dtype: str) -> Programs:
        """Return the program of `fn` under each mode of the framework (C2).

        Returns
        -------
        mapping of str to callable
            By the name of the mode: training, evaluation, after a block without gradients, ...;
            each as `program` returns it.
        """
        raise NotImplementedError

    def instances(self, fn: Function, shape: Shape, dtype: str) -> Programs:
        """Return programs whose input is of a class that users or the framework derive (C18).

        Returns
        -------
        mapping of str to callable
            By the name of the class; each as `program` returns it.
        """
        raise NotImplementedError

    def compilations(self) -> int:
        """Return how many programs the framework has compiled in this process so far (C9)."""
        raise NotImplementedError

    def graph_lambda(
        self, fn: OfLambda, shape: Shape, dtype: str, lam_shape: Shape, lam_dtype: str
    ) -> Callable[[Any, Any, Any], Tuple[Any, Any]]:
        """Return ``run(x, lam, g) -> (fn(x, lam), pullback of g to x)`` (C3, C9, C16).

        λ is an argument of the program, of its own shape and dtype.
        """
        raise NotImplementedError

    def lambda_gradient(
        self, fn: OfLambda, shape: Shape, dtype: str
    ) -> Callable[[Any, Any, Any], Optional[Any]]:
        """Return ``run(x, lam, g) ->`` the pullback of `g` to the scalar `lam` (C5).

        Ask the framework for it as a user would who wants to learn λ. None where the framework
        says that they are not connected.
        """
        raise NotImplementedError

    def scalar_program(self, fn: Function, dtype: str) -> Callable[[Any], Any]:
        """Return ``run(p) -> fn(p)`` for a scalar `p` of the framework (C10)."""
        raise NotImplementedError

    def forward_mode(self, fn: Function, shape: Shape, dtype: str) -> Run:
        """Return ``run(x, t) -> (fn(x), pushforward of the tangent t)`` (C11)."""
        raise NotImplementedError

    def second_order(self, fn: Function, shape: Shape, dtype: str) -> Run:
        """Return ``run(x, v) -> (cost, H v)`` for the cost ``sum(fn(x**2)**3)`` (C12).

        ``H v`` is the product of the Hessian with `v`: the gradient of ``sum(v * gradient)``.
        """
        raise NotImplementedError

    def vectorised(self, fn: Function, shape: Shape, dtype: str) -> Run:
        """Return ``run(xs, gs) -> (ys, pullbacks)`` over a new first axis (C13).

        `fn` sees one element of the batch; the framework's own vectorisation (vmap, scan) does the
        rest, and the gradient is taken through it.
        """
        raise NotImplementedError

    def operations(
        self, fn: Function, shape: Shape, dtype: str
    ) -> Tuple[Sequence[str], Sequence[str]]:
        """Return the names of the operations of two compiled programs (C14).

        Returns
        -------
        forward : sequence of str
            Of a program that uses the value of `fn` and takes no gradient.
        backward : sequence of str
            Of a program that pulls a cotangent back through `fn`, and does nothing else.
        """
        raise NotImplementedError

    def copies(self, fn: Function, shape: Shape, dtype: str) -> Programs:
        """Return programs that went through export, clone, copy, pickle or save and load (C15).

        Returns
        -------
        mapping of str to callable
            By the name of the way; each as `program` returns it, the gradient taken afterwards.
        """
        raise NotImplementedError
