import plugins_on_disk
import pytest
from hypothesis import HealthCheck, settings
from support.processes import python

# No test fails because the machine is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# benchmarks/mutation.py runs each test hundreds of times.
settings.register_profile(
    "mutation",
    max_examples=20,
    derandomize=True,
    database=None,
    parent=settings.get_profile("untimed"),
)


@pytest.fixture
def install(tmp_path):
    """Install a distribution with one plugin into a folder; it comes first on the path."""

    return lambda name, code, folder="site": plugins_on_disk.install(tmp_path / folder, name, code)


@pytest.fixture
def run(tmp_path):
    """Run code in a fresh interpreter and return what it prints, warnings included."""

    def run(code, *folders, **variables):
        folders = [tmp_path / folder for folder in folders or ("site",)]
        done = python(code=code, **plugins_on_disk.environment(*folders, **variables))
        return done.stdout + done.stderr

    return run
