from support.processes import check_prints


def test_check_prints_the_table_of_the_docs():
    check_prints("check-tensorflow-keras.txt", "tensorflow", "keras", KERAS_BACKEND="tensorflow")
