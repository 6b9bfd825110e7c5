"""benchmarks/gpu.py where there is no device."""

import pytest
import torch
from support.pages import ROOT


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_it_says_so_and_has_no_numbers(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu

    monkeypatch.setattr("sys.argv", ["gpu.py", "torch"])
    assert gpu.main() == 0
    assert capsys.readouterr().out.split() == ["torch", "no", "device"]
