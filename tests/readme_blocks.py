"""The code blocks of the README, by the heading above them."""

import pathlib
import re

README = pathlib.Path(__file__).parents[1] / "README.md"
SECTIONS = re.split(r"^#+ (.*)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
BLOCKS = {
    heading: found[0]
    for heading, text in zip(SECTIONS[1::2], SECTIONS[2::2])
    for found in [re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
    if found
}
