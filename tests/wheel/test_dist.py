"""The distributions: what the index shows, what they hold, and whether they work by themselves."""

import email
import os
import shutil
import sys
import tarfile
import zipfile

import pytest
from support.pages import ROOT
from support.processes import call

PACKAGES = sorted(path.parent.name for path in ROOT.glob("revgrad*/__init__.py"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    litter = shutil.ignore_patterns(".*", "build", "*.egg-info", "_build", "results")
    shutil.copytree(ROOT, folder / "sources", ignore=litter)
    call(sys.executable, "-m", "build", "-o", folder / "dist", folder / "sources", cwd=folder)
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return sdist, wheel


def test_the_index_takes_them(built):
    assert "WARNING" not in call("twine", "check", "--strict", *built, cwd=ROOT)
    call("check-wheel-contents", "--toplevel", ",".join(PACKAGES), built[1], cwd=ROOT)


def test_the_wheel_holds_every_file_as_it_is_here(built):
    wheel = zipfile.ZipFile(str(built[1]))
    paths = [path for path in ROOT.glob("revgrad*/**/*") if path.suffix in (".py", ".typed")]
    ours = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {name: wheel.read(name) for name in names} == ours
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(ours)


def test_the_description_needs_no_repository(built):
    wheel = zipfile.ZipFile(str(built[1]))
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    text = (ROOT / "docs" / "description.md").read_text(encoding="utf-8")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True).decode().strip() == text.strip()
    assert text.count("](") == text.count("](https://")


# The oldest and the newest CPython that revgrad supports, where they are on PATH.
PYTHONS = list(filter(None, map(shutil.which, ("python3.8", "python3.13")))) or [sys.executable]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_core_passes_its_tests_from_the_sdist(built, python, tmp_path):
    """The wheel is installed alone; the tests come from the sdist."""
    sdist, wheel = built
    with tarfile.open(str(sdist)) as archive:
        archive.extractall(str(tmp_path))
    (sources,) = tmp_path.glob("revgrad-*")
    for package in PACKAGES:
        shutil.rmtree(str(sources / package))  # the installed ones are meant
    call(python, "-m", "venv", tmp_path / "environment", cwd=tmp_path)
    own = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    call(own, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    call(own, "-c", "import revgrad, numpy; revgrad.reverse(numpy.ones(3), 0.5)", cwd=tmp_path)
    call(own, "-m", "pip", "install", "--quiet", f"{wheel}[test]", cwd=tmp_path)
    # test_words reads the sources, which are gone.
    tests = ["tests/core"] + [f"--ignore=tests/core/test_{name}.py" for name in ("doctor", "words")]
    printed = call(own, "-m", "pytest", "-q", *tests, cwd=sources)
    assert " passed" in printed and "failed" not in printed
