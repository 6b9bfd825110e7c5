import revgrad.testing


@revgrad.testing.conformance("stranger")
def test_conformance(check):
    check()
