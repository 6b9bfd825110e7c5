"""benchmarks/gpu.py where there is no device."""

import pathlib
import sys

import pytest
import torch


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_it_says_so_and_has_no_numbers(monkeypatch, capsys):
    benchmarks = pathlib.Path(__file__).parents[2] / "benchmarks"
    monkeypatch.setattr(sys, "path", [str(benchmarks), *sys.path])
    import gpu

    monkeypatch.setattr(sys, "argv", ["gpu.py", "torch"])
    assert gpu.main() == 0
    assert capsys.readouterr().out.split() == ["torch", "no", "device"]
