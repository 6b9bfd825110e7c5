import revgrad.testing


@revgrad.testing.conformance("mygrad")
def test_conformance(check):
    check()
