"""`python -m revgrad_theano.install`; tox itself runs the real installation before these tests."""

import os

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
    for folder, text in (
        ("tools", install._SITECUSTOMIZE),
        ("mine", "import sys; sys.mine = True"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sitecustomize.py").write_text(text)
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("tools", "mine"))
    code = "import configparser, sys; print(configparser.SafeConfigParser and sys.mine)"
    assert python("-W", "ignore", "-c", code, PYTHONPATH=path).stdout.strip() == "True"


def test_the_requirements_are_those_of_the_extras():
    from importlib import metadata

    required = [line.replace(" ", "") for line in metadata.requires("revgrad")]
    for requirement in (install.THEANO, install.LASAGNE):
        assert any(line.startswith(requirement + ";") for line in required), required
