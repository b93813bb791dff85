"""Seeds have a control in ComfyUI's page, fixed at first; workflows stored without it keep their values."""

from __future__ import annotations

import pytest
from node_modes import mostly_vue

pytestmark = pytest.mark.host

SEED_PLACES = {
    "STAG4DSampleObject": 1,
    "STAG4DAnchoredMultiView": 2,
    "STAG4DOptimize": 3,
}  # among the widgets
STORED = {  # as stored before seeds had a control
    "STAG4DSampleObject": ["fish", 5, 7, 64],
    "STAG4DAnchoredMultiView": [28, 3.5, 11, 0.25, 2, 10.0, 0.1, False, True, "none", 12.0],
    "STAG4DOptimize": ["quality", 120, 96, 13, 0.5, "nearest"],
}
LATER = {"STAG4DOptimize": [0]}  # defaults of widgets that were added after that
OLDEST = {"STAG4DOptimize": ["quality", 120, 96, 13]}  # before guidance_weight and guidance_anchors
LOAD = """(stored) => app.loadGraphData({
  last_node_id: 9, last_link_id: 0, links: [], groups: [], config: {}, extra: {}, version: 0.4,
  nodes: Object.entries(stored).map(([type, values], index) => ({
    id: index + 1, type, pos: [40 + 400 * index, 60], size: [300, 400], flags: {}, order: index, mode: 0,
    inputs: [], outputs: [], properties: {"Node name for S&R": type}, widgets_values: values,
  })),
})"""
VALUES = "(type) => node(type).widgets.filter(({serialize}) => serialize !== false).map(({value}) => value)"
CONTROL = "(type) => node(type).widgets.find(({name}) => name === 'seed').linkedWidgets[0]"


def with_control(name, values, control="fixed"):
    """Return stored values with that of the control after the seed."""
    end = SEED_PLACES[name] + 1
    return [*values[:end], control, *values[end:]]


@pytest.mark.parametrize("name", STORED)
@mostly_vue
def test_new_node_has_a_fixed_control(page, name):
    page.run("() => app.graph.clear()")
    page.run("(type) => { add(type, [40, 60], [300, 400], {}); }", name)
    assert page.run(f"(type) => ({CONTROL})(type).value", name) == "fixed"


@mostly_vue
def test_workflow_stored_without_controls_keeps_its_values(page):
    page.run(LOAD, STORED)
    for name, values in STORED.items():
        assert page.run(VALUES, name) == with_control(name, values) + LATER.get(name, []), name
    page.run(LOAD, OLDEST)
    assert page.run(VALUES, "STAG4DOptimize")[:5] == ["quality", 120, 96, 13, "fixed"]


@mostly_vue
def test_workflow_stored_with_controls_keeps_them(page):
    stored = {
        name: with_control(name, values, "increment") + LATER.get(name, []) for name, values in STORED.items()
    }
    page.run(LOAD, stored)
    again = page.run("() => app.graph.serialize()")
    assert {node["type"]: node["widgets_values"] for node in again["nodes"]} == stored
    page.run("(workflow) => app.loadGraphData(workflow)", again)
    for name, values in stored.items():
        assert page.run(VALUES, name) == values, name


@mostly_vue
def test_prompt_has_the_seed_and_no_control(page):
    page.run(LOAD, STORED)
    prompt = page.run("async () => (await app.graphToPrompt()).output")
    inputs = {node["class_type"]: node["inputs"] for node in prompt.values()}
    assert inputs["STAG4DOptimize"]["seed"] == 13
    assert inputs["STAG4DOptimize"]["guidance_anchors"] == "nearest"
    assert inputs["STAG4DAnchoredMultiView"]["anchor_frame"] == 2
    assert "fixed" not in inputs["STAG4DOptimize"]
