import revgrad_theano.compat  # noqa: F401  before anything imports theano
import theano

# Compiling C code would take most of the time: what depends on it names its mode.
theano.config.linker = "py"
