"""`python -m revgrad_theano.install`; tox itself runs the real installation before these tests."""

import os
from importlib import metadata

import pytest
from support.processes import python

from revgrad_theano import install


def test_what_tox_installed_is_there_and_asking_again_changes_nothing():
    done = python("-m", "revgrad_theano.install", PIP_NO_INDEX="1")  # nothing is looked for
    assert "Requirement already satisfied: Theano>=1.0.5" in done.stdout


def test_theano_pymc_is_not_overwritten(monkeypatch, capsys):
    monkeypatch.setattr(install, "_is_installed", lambda name: name == "Theano-PyMC")
    install.main([])  # nothing is left to be installed
    assert "Theano-PyMC is installed" in capsys.readouterr().out


def test_the_status_of_a_failing_pip_is_passed_on(capfd):
    with pytest.raises(SystemExit) as caught:
        install._pip("install", "--no-index", "no-such-distribution-of-ours")
    assert caught.value.code == 1
    assert "This command failed; what it printed says why:" in capfd.readouterr().err


def test_without_pip_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="There is no pip in the environment of .* -m ensurepip"):
        install.main([])


def test_help_names_what_it_installs(capsys):
    with pytest.raises(SystemExit):
        install.main(["--help"])
    printed = capsys.readouterr().out
    assert install.THEANO in printed and install.LASAGNE in printed


def test_the_build_keeps_the_users_sitecustomize(tmp_path):
    folders = tmp_path / "tools", tmp_path / "mine"
    for folder, text in zip(folders, (install._SITECUSTOMIZE, "import sys; sys.mine = True")):
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(text)
    code = "import configparser, sys; print(configparser.SafeConfigParser and sys.mine)"
    done = python("-W", "ignore", "-c", code, PYTHONPATH=os.pathsep.join(map(str, folders)))
    assert done.stdout.strip() == "True"


def test_the_requirements_are_those_of_the_extras():
    required = {line.replace(" ", "").split(";")[0] for line in metadata.requires("revgrad")}
    assert {install.THEANO, install.LASAGNE} <= required
