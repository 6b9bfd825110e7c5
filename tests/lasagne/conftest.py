import revgrad_theano.compat  # noqa: F401  before anything imports theano
