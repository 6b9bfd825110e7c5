"""The adapter of Lasagne: Theano's, for an `x` that is a layer.

Where Lasagne is installed but fails to import, it fails here, with advice.
"""

from typing import Any, Optional, Sequence

from revgrad.backend import EagerNative
from revgrad.exceptions import UnsupportedTypeError
from revgrad_theano.native import TheanoNative, importing

with importing("Lasagne", "Theano, NumPy or Python", "theano and lasagne"):
    from lasagne.layers import Layer

__all__ = ["LasagneNative", "Layer", "native"]


class LasagneNative(EagerNative, TheanoNative):
    """Validates what a layer is made with; its output reads λ through the adapter of Theano."""

    # Eager: of a LambdaVariable, the value now is validated here, and not used.

    def dtype(self, x: Any) -> Any:
        """Return the widest dtype: that of a layer is not known before its output is built."""
        if not isinstance(x, Layer):
            raise UnsupportedTypeError(
                f"The backend 'lasagne' expects a layer; got a {type(x).__name__}. Leave backend= "
                "out to have the backend chosen by type."
            )
        return "float64"

    def shape(self, value: Any) -> Sequence[Optional[int]]:
        """Return the output shape of a layer."""
        return value.output_shape if isinstance(value, Layer) else super().shape(value)

    def __reduce__(self) -> str:
        return "native"


native = LasagneNative()
