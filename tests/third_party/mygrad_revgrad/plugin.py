import revgrad


@revgrad.hookimpl
def revgrad_backends():
    backend, harness = (f"mygrad_revgrad.backend:Mygrad{each}" for each in ("Backend", "Harness"))
    return revgrad.BackendSpec("mygrad", ("mygrad:Tensor",), backend, "mygrad", harness)
