from readme_blocks import BLOCKS


def test_the_block_of_the_readme():
    exec(BLOCKS["TensorFlow"], {})
