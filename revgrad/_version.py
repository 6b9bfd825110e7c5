"""The version, in one place: setup.cfg and the documentation read it from here."""

__version__ = "0.1.0"
