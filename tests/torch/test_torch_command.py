from support.processes import check_prints


def test_check_prints_the_table_of_the_docs():
    check_prints("check-torch.txt", "torch")
