"""Plugins installed beside revgrad: a broken one leaves the others working.

Each test installs real distributions (a module and its metadata) into a folder and runs a fresh
interpreter with that folder on its path.
"""

import pytest
from plugins_on_disk import BROKEN, GOOD, STAGE

USE = """
import good_plugin, numpy, revgrad
print(revgrad.reverse(good_plugin.Tensor(), 1.0))
print(*revgrad.backends)
"""


def test_a_plugin_is_found_and_used(install, run):
    install("good-plugin", GOOD)
    printed = run(USE).splitlines()
    assert printed[0] == "reversed by good"
    assert set(printed[1].split()) >= {"numpy", "good", "theano", "lasagne"}
    assert len(printed) == 2


def test_broken_plugins_are_each_named_once_and_leave_the_others_working(install, run):
    for number, (kind, (code, _)) in enumerate(BROKEN.items()):
        install("broken-" + kind.replace(" ", "-"), code, f"broken-{number % 2}")
    install("good-plugin", GOOD, "good")
    printed = run(USE, "broken-0", "good", "broken-1")
    assert "reversed by good" in printed and "beside" in printed
    for kind, (_, words) in BROKEN.items():
        name = "broken-" + kind.replace(" ", "-")
        says = f"PluginWarning: revgrad plugin '{name}' of {name} 1.5 was left out at stage "
        (line,) = (each for each in printed.splitlines() if says in each)
        assert f"{says}'{STAGE[kind]}'" in line and f"set REVGRAD_DISABLE={name}" in line
        assert words in line
    assert printed.count("PluginWarning: revgrad plugin") == len(BROKEN)


def test_an_error_names_what_was_left_out_and_what_is_disabled(install, run):
    install("broken-plugin", BROKEN["import"][0])
    code = """
    import warnings; warnings.simplefilter("ignore")
    import revgrad
    for call in (lambda: revgrad.reverse(object(), 1), lambda: revgrad.get_backend("theano")):
        try:
            call()
        except revgrad.RevgradError as error:
            print(error)
    """
    left_out = (
        "plugin 'broken-plugin' of broken-plugin 1.5 (at import: RuntimeError: no such driver)."
    )
    words = f" REVGRAD_DISABLE leaves out: theano. Left out: {left_out}"
    assert run(code, REVGRAD_DISABLE="theano").count(words) == 2


def test_warnings_as_errors_raise_once_and_lose_nothing(install, run):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    code = """
    import warnings; warnings.simplefilter("error")
    import good_plugin, revgrad
    try:
        revgrad.reverse(good_plugin.Tensor(), 1.0)
    except revgrad.PluginWarning as warning:
        print("raised:", warning)
    print(revgrad.reverse(good_plugin.Tensor(), 1.0))
    """
    printed = run(code)
    assert "raised: revgrad plugin 'broken-plugin'" in printed and "reversed by good" in printed


def test_disabled_plugins_are_not_imported(install, run):
    install("good-plugin", GOOD)
    install("broken-plugin", "print('imported')\n" + BROKEN["import"][0])
    printed = run(USE, REVGRAD_DISABLE="broken-plugin, theano")
    assert "imported" not in printed and "PluginWarning" not in printed
    assert set(printed.splitlines()[1].split()) & {"good", "theano"} == {"good"}


def test_the_warning_points_at_the_line_of_the_user(install, run, tmp_path):
    install("broken-plugin", BROKEN["hook"][0])
    (tmp_path / "site" / "users.py").write_text("import revgrad\nlist(revgrad.backends)\n")
    assert "users.py:2: PluginWarning" in run("import users")


def test_a_distribution_seen_twice_counts_once(install, run):
    install("good-plugin", GOOD, "one")
    install("good-plugin", GOOD, "two")
    assert "PluginWarning" not in run(USE, "one", "two")


@pytest.fixture
def damaged(install, tmp_path):
    """The metadata of a broken plugin, for a test to damage; one that works is beside it."""
    install("good-plugin", GOOD)
    install("other", BROKEN["import"][0])
    return tmp_path / "site" / "other-1.5.dist-info"


# A duplicate option and a line without a value; no UTF-8; a link to itself.
@pytest.mark.parametrize("text", [b"a = b\na = b\nnonsense\n", b"\xff = b\n", None], ids=repr)
def test_malformed_metadata_of_another_package_is_not_our_concern(damaged, run, text):
    path = damaged / "entry_points.txt"
    path.unlink()
    path.symlink_to(path) if text is None else path.write_bytes(b"[console_scripts]\n" + text)
    printed = run(USE)
    assert "reversed by good" in printed and "PluginWarning" not in printed


def test_malformed_metadata_of_a_plugin_is_a_failure_of_that_plugin(damaged, run):
    text = "[console_scripts]\na = b\na = b\nnonsense\n[revgrad]\nother = other\n"
    (damaged / "entry_points.txt").write_text(text)
    printed = run(USE + "\nprint(revgrad.reverse(numpy.ones(1), 1.0))")
    assert "reversed by good" in printed and "[1.]" in printed
    assert "revgrad plugin 'other' of other 1.5 was left out at stage 'import'" in printed
    assert "its entry_points.txt does not parse" in printed


@pytest.mark.parametrize("metadata", [b"Name: caf\xe9\n", b"Name:\nVersion:\n", None], ids=repr)
def test_a_distribution_without_a_name_leaves_the_others_working(damaged, run, metadata):
    path = damaged / "METADATA"
    path.unlink() if metadata is None else path.write_bytes(metadata)
    printed = run(USE)
    assert "reversed by good" in printed
    assert "revgrad plugin 'other' of unknown (no version) was left out" in printed


def test_a_plugin_may_look_at_revgrad_while_it_loads(install, run):
    install("good-plugin", "import revgrad\nlist(revgrad.backends)\n" + GOOD)
    printed = run("import revgrad; list(revgrad.backends)\n" + USE)
    assert "reversed by good" in printed and "PluginWarning" not in printed
