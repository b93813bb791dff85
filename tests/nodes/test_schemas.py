"""Rules for the schemas of all nodes, and the entry point of the pack."""

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nodes(pack):
    return asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())


def all_inputs(inputs):
    for item in inputs:
        yield item
        if item.io_type == "COMFY_DYNAMICCOMBO_V3":
            for option in item.options["options"]:
                yield from all_inputs(option.inputs)


def test_nodes_of_all_files_are_registered(pack, nodes):
    registered = {node.__module__.rpartition(".")[2] for node in nodes}
    sources = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "nodes").glob("*.py")}
    assert registered == {name for name, source in sources.items() if "(io.ComfyNode)" in source}


def test_node_ids_are_class_names_that_start_with_stag4d(nodes):
    ids = [node.define_schema().node_id for node in nodes]
    assert ids == [node.__name__ for node in nodes]
    assert all(node_id.startswith("STAG4D") for node_id in ids)
    assert len(set(ids)) == len(ids)


def test_execute_has_the_inputs_as_parameters_in_the_same_order(nodes):
    for node in nodes:
        parameters = list(inspect.signature(node.execute).parameters)
        assert parameters == [item.id for item in node.define_schema().inputs], node.__name__


def test_inputs_and_outputs_have_names_and_tooltips_with_a_full_stop(nodes):
    for node in nodes:
        schema = node.define_schema()
        for item in [*all_inputs(schema.inputs), *schema.outputs]:
            assert item.id, node.__name__
            assert item.tooltip, (node.__name__, item.id)
            assert item.tooltip.endswith("."), (node.__name__, item.id)


def test_defaults_of_number_widgets_are_within_their_range(nodes):
    for node in nodes:
        for item in all_inputs(node.define_schema().inputs):
            if item.io_type in ("INT", "FLOAT"):
                assert item.options["min"] <= item.options["default"] <= item.options["max"], item.id


def test_nodes_are_in_the_categories_of_the_pack(nodes):
    categories = {node.define_schema().category for node in nodes}
    assert categories == {f"STAG4D/{name}" for name in ("load", "views", "scene", "output")}


def test_seeds_stay_fixed_unless_the_user_changes_their_control(nodes):
    seeds = {
        node.__name__: item.options["control_after_generate"].value
        for node in nodes
        for item in node.define_schema().inputs
        if item.id == "seed"
    }
    names = ("STAG4DSampleObject", "STAG4DAnchoredMultiView", "STAG4DOptimize")
    assert seeds == dict.fromkeys(names, "fixed")
    source = (ROOT / "web" / "js" / "seed_control.mjs").read_text(encoding="utf-8")
    assert all(f'"{name}"' in source for name in names)  # it restores workflows of before


def test_nodes_with_lazy_inputs_ask_for_those_that_are_linked(nodes):
    for node in nodes:
        lazy = [item.id for item in node.define_schema().inputs if item.options.get("lazy")]
        assert bool(lazy) == hasattr(node, "check_lazy_status"), node.__name__


def test_socket_types_are_those_of_comfyui_or_have_the_prefix_of_the_pack(pack, nodes):
    known = {"IMAGE", "MASK", "INT", "FLOAT", "STRING", "BOOLEAN", "COLOR", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
    known |= {"COMFY_AUTOGROW_V3", "EXTRINSICS", "INTRINSICS"}  # the matrices are those of other packs
    known |= {"SPLATKIT_FRAMESET,SPLATKIT_4DANYONE_VIEWS,MULTICAM_DICT", "COLMAP_DATA"}
    known |= {"SPLAT", "VIDEO", "LOAD3D_CAMERA", "FILE_3D_SPLAT_ANY", "MODEL", "CLIP_VISION", "VAE"}
    known |= {"CONDITIONING", "LATENT", "SIGMAS"}
    for node in nodes:
        schema = node.define_schema()
        for item in [*all_inputs(schema.inputs), *schema.outputs]:
            assert item.io_type in known or item.io_type.startswith("STAG4D_"), item.id


def test_entry_can_be_imported_without_comfyui(tmp_path):
    code = (
        "import importlib.util as u, sys\n"
        f"s = u.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r},"
        f" submodule_search_locations=[{str(ROOT)!r}])\n"
        "m = u.module_from_spec(s); sys.modules['pack'] = m; s.loader.exec_module(m)\n"
        "print(sorted(m.__all__), hasattr(m, 'comfy_entrypoint'))"
    )
    command = [sys.executable, "-I", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "['WEB_DIRECTORY'] False\n"


def test_web_folder_exists_and_no_v1_node_mapping_is_declared(pack):
    assert (ROOT / pack.WEB_DIRECTORY).is_dir()
    assert not hasattr(pack, "NODE_CLASS_MAPPINGS")  # ComfyUI would then ignore the entry point


def test_nodes_import_the_stag4d_package_of_the_pack(pack, pack_module):
    render = pack_module("nodes.render")
    assert render.Cameras.__module__ == f"{pack.__name__}.stag4d.types"
