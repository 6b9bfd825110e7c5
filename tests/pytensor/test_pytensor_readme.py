import re

from readme_blocks import BLOCKS, README


def test_the_block_of_the_readme():
    exec(BLOCKS["PyTensor"], {})


def test_the_block_of_the_how_to():
    page = README.parent / "docs" / "how-to" / "from-theano-to-pytensor.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(block, {})
