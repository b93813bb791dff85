"""STAG4DDensification: from widgets to a DensificationConfig."""

import pytest

NUMBERS = {"max_gaussians": 500, "every": 20, "start": 0.2, "stop": 0.5, "clone_scale": 0.03}


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.densification").STAG4DDensification


def test_numbers_are_those_of_the_widgets(node):
    (config,) = node.execute({"strategy": "adaptive", "top_percent": 2.5}, **NUMBERS).args
    assert {name: getattr(config, name) for name in NUMBERS} == NUMBERS
    assert config.strategy.top_share == pytest.approx(0.025)


def test_fixed_threshold_and_no_densification(node):
    (fixed,) = node.execute({"strategy": "fixed", "threshold": 0.001}, **NUMBERS).args
    (none,) = node.execute({"strategy": "none"}, **NUMBERS).args
    assert fixed.strategy.threshold == 0.001
    assert none.strategy is None


def test_stop_before_start_is_rejected(node):
    with pytest.raises(ValueError, match=r"start 0\.2, stop 0\.1"):
        node.execute({"strategy": "none"}, **(NUMBERS | {"stop": 0.1}))
