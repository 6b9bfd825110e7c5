"""Plugins installed beside revgrad: a broken one leaves the others working.

Each test installs real distributions (a module and its metadata) into a folder and runs a fresh
interpreter with that folder on its path.
"""

import pytest
from plugins_on_disk import BROKEN, BROKEN_IMPORT, GOOD, RAISES

from revgrad.exceptions import describe_error

USE = """
import good_plugin, numpy, revgrad
print(revgrad.reverse(good_plugin.Tensor(), 1.0))
print(*revgrad.backends)
"""


def test_a_plugin_is_found_and_used_once_even_if_its_distribution_is_seen_twice(install, run):
    install("good-plugin", GOOD, "one")
    install("good-plugin", GOOD, "two")
    reversed_by, names = run(USE, "one", "two").splitlines()  # and no warning
    assert reversed_by == "reversed by good"
    assert set(names.split()) >= {"numpy", "good", "theano", "lasagne"}


def test_broken_plugins_are_each_named_once_and_leave_the_others_working(install, run):
    for number, (name, (_, code, _)) in enumerate(BROKEN.items()):
        install(name, code, f"broken-{number % 2}")
    install("good-plugin", GOOD, "good")
    printed = run(USE, "broken-0", "good", "broken-1")
    assert "reversed by good" in printed and "beside" in printed
    for name, (stage, _, words) in BROKEN.items():
        says = f"PluginWarning: revgrad plugin '{name}' of {name} 1.5 was left out at stage "
        (line,) = (each for each in printed.splitlines() if says in each)
        assert f"{says}'{stage}'" in line and words in line
        assert f"Upgrade or uninstall {name}, or set REVGRAD_DISABLE={name} to" in line
    assert printed.count("PluginWarning: revgrad plugin") == len(BROKEN)


def test_an_error_names_what_was_left_out_and_what_is_disabled(install, run):
    install("broken-plugin", BROKEN_IMPORT)
    code = """
    import pytest, revgrad
    for call in (lambda: revgrad.reverse(object(), 1), lambda: revgrad.get_backend("theano")):
        with pytest.raises(revgrad.RevgradError) as error:
            call()
        print(error.value)
    """
    words = (
        " REVGRAD_DISABLE leaves out: theano. Left out: plugin 'broken-plugin' of broken-plugin "
        "1.5 (at import: OSError: no such driver)."
    )
    assert run(code, REVGRAD_DISABLE="theano").count(words) == 2


def test_warnings_as_errors_raise_once_and_lose_nothing(install, run):
    install("good-plugin", GOOD)
    install("broken-plugin", RAISES)
    code = """
    import good_plugin, pytest, revgrad, warnings
    warnings.simplefilter("error")
    with pytest.raises(revgrad.PluginWarning, match="revgrad plugin 'broken-plugin'"):
        revgrad.reverse(good_plugin.Tensor(), 1.0)
    print(revgrad.reverse(good_plugin.Tensor(), 1.0))
    """
    assert run(code) == "reversed by good\n"


def test_disabled_plugins_are_not_imported(install, run):
    install("good-plugin", GOOD)
    install("broken-plugin", "print('imported')\n" + BROKEN_IMPORT)
    printed = run(USE, REVGRAD_DISABLE="broken-plugin, theano")
    assert "imported" not in printed and "PluginWarning" not in printed
    assert set(printed.splitlines()[1].split()) & {"good", "theano"} == {"good"}


def test_the_warning_points_at_the_line_of_the_user(install, run, tmp_path):
    install("broken-plugin", RAISES)
    (tmp_path / "site" / "users.py").write_text("import revgrad\nlist(revgrad.backends)\n")
    assert "users.py:2: PluginWarning" in run("import users")


@pytest.fixture
def damaged(install, run, tmp_path):
    """Return what is printed where the metadata of a broken plugin is damaged; another works."""

    def damaged(file, content):
        install("good-plugin", GOOD)
        install("other", BROKEN_IMPORT)
        path = tmp_path / "site" / "other-1.5.dist-info" / file
        path.unlink()
        path.write_bytes(content) if isinstance(content, bytes) else path.symlink_to(content)
        printed = run(USE)
        assert "reversed by good" in printed
        return printed

    return damaged


DUPLICATE = b"[console_scripts]\na = b\na = b\nno value\n"


# The second is not UTF-8; the third is a link to itself.
@pytest.mark.parametrize("content", [DUPLICATE, b"\xff = b\n", "entry_points.txt"], ids=repr)
def test_malformed_metadata_of_another_package_is_not_our_concern(damaged, content):
    assert "PluginWarning" not in damaged("entry_points.txt", content)


def test_malformed_metadata_of_a_plugin_is_a_failure_of_that_plugin(damaged):
    printed = damaged("entry_points.txt", DUPLICATE + b"[revgrad]\nother = other\n")
    assert "revgrad plugin 'other' of other 1.5 was left out at stage 'import'" in printed
    assert "its entry_points.txt does not parse" in printed


@pytest.mark.parametrize("content", [b"Name: caf\xe9\n", b"Name:\nVersion:\n", "none"], ids=repr)
def test_a_distribution_without_a_name_leaves_the_others_working(damaged, content):
    left_out = "revgrad plugin 'other' of unknown (no version) was left out"
    assert left_out in damaged("METADATA", content)


def test_a_plugin_may_look_at_revgrad_while_it_loads(install, run):
    install("good-plugin", "import revgrad\nlist(revgrad.backends)\n" + GOOD)
    printed = run("import revgrad; list(revgrad.backends)\n" + USE)
    assert "reversed by good" in printed and "PluginWarning" not in printed


def test_a_long_error_is_cut_to_300_letters():
    whole, cut = (describe_error(OSError("x" * letters)) for letters in (291, 292))
    assert whole == f"OSError: {'x' * 291}" and cut == f"OSError: {'x' * 288}..."
