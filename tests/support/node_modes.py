"""The node modes of ComfyUI in which a test of its page runs."""

import pytest

mostly_vue = pytest.mark.parametrize(
    "page",
    [pytest.param(False, id="classic", marks=pytest.mark.slow), pytest.param(True, id="vue")],
    indirect=True,
)
"""Run a test with Vue nodes, whose faults it is about, and with classic nodes only among the slow tests."""
