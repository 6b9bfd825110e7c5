import revgrad


@revgrad.hookimpl
def revgrad_backends():
    return revgrad.BackendSpec(
        name="stranger",
        claims=("mygrad:Tensor",),
        factory="stranger_mygrad.backend:StrangerBackend",
        requires="mygrad",
        harness="stranger_mygrad.backend:StrangerHarness",
    )
