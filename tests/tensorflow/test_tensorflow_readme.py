import pathlib
import re

from readme_blocks import BLOCKS

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "how-to" / "tensorflow.md"


def test_the_block_of_the_readme():
    exec(BLOCKS["TensorFlow"], {})


def test_the_block_of_the_how_to():
    text = PAGE.read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1), {})
