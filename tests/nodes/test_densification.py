"""STAG4DDensification: widgets to configuration."""

import importlib

import pytest

NUMBERS = {"max_gaussians": 500, "every": 20, "start": 0.2, "stop": 0.5, "clone_scale": 0.03}


@pytest.fixture(scope="module")
def node(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.densification").STAG4DDensification


def test_numbers_reach_the_configuration(node):
    (config,) = node.execute({"strategy": "adaptive", "top_percent": 2.5}, **NUMBERS).args
    assert {name: getattr(config, name) for name in NUMBERS} == NUMBERS
    assert config.strategy.top_share == pytest.approx(0.025)


def test_the_other_strategies(node):
    (fixed,) = node.execute({"strategy": "fixed", "threshold": 0.001}, **NUMBERS).args
    (none,) = node.execute({"strategy": "none"}, **NUMBERS).args
    assert fixed.strategy.threshold == 0.001
    assert none.strategy is None


def test_a_stop_before_the_start_is_refused(node):
    with pytest.raises(ValueError, match=r"start 0\.2, stop 0\.1"):
        node.execute({"strategy": "none"}, **(NUMBERS | {"stop": 0.1}))
