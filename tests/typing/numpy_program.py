"""A user's program with the core: checked by mypy and by pyright, never run."""

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import revgrad
from revgrad.schedules import Dann, progress

x: npt.NDArray[np.float32] = np.ones(3, np.float32)
lam = revgrad.LambdaVariable(0.5)

assert_type(revgrad.reverse(x, 0.5), npt.NDArray[np.float32])
assert_type(revgrad.reverse(x, lam), npt.NDArray[np.float32])
assert_type(revgrad.reverse(x, x, backend="numpy"), npt.NDArray[np.float32])
assert_type(revgrad.scale_gradient(x, -2), npt.NDArray[np.float32])
assert_type(Dann()(0.5), float)
assert_type(Dann()(x), npt.NDArray[np.float32])
assert_type(progress(3, 10), float)
assert_type(revgrad.LambdaScheduler(lam, Dann(), total_steps=10).step(), float)
assert_type(lam.value, float)

revgrad.reverse(x, "half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
revgrad.reverse(x, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
revgrad.scale_gradient(x, "half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
revgrad.reverse(x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
