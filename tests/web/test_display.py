"""Settings of the player's image: view mode, splat size, background image, grid; and its first camera."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from counted_gl import COUNT_GL, LOSE_CONTEXT, RESTORE_CONTEXT
from PIL import Image
from viewer_page import Viewer

from stag4d.geometry import OrbitPose
from stag4d.rendering import encode_normals, normals_from_depth, render
from stag4d.scene import GaussianModel4D, Gaussians, SceneInfo, first_view, logit
from stag4d.types import Cameras

pytestmark = pytest.mark.browser


@pytest.fixture
def settings(viewer):
    """The viewer with its settings panel open."""
    viewer.page.get_by_role("button", name="Settings").click()
    return viewer.page.get_by_role("dialog", name="Settings")


def alpha_of(viewer: Viewer) -> np.ndarray:
    """Return the alpha of the current view on the checkered background, 0 to 1."""
    return viewer.screenshot()[..., 3] / 255


def one_splat() -> GaussianModel4D:
    """Return a scene of one opaque Gaussian at the origin."""
    gaussians = Gaussians(
        means=torch.zeros(1, 3),
        log_scales=torch.full((1, 3), 0.2).log(),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        logit_opacities=logit(torch.tensor([0.99])),
        sh0=torch.zeros(1, 1, 3),
    )
    return GaussianModel4D(gaussians, None, SceneInfo(num_frames=1))


def center_color(viewer: Viewer) -> np.ndarray:
    """Return red, green and blue at the center of the current view, 0 to 1."""
    image = viewer.screenshot()
    return image[image.shape[0] // 2, image.shape[1] // 2, :3] / 255


@pytest.mark.parametrize(("azimuth", "elevation", "time"), [(0, 0, 0.0), (30, 20, 0.5), (140, -40, 1.0)])
def test_normals_of_the_viewer_equal_those_of_the_rendered_depth(viewer, box, azimuth, elevation, time):
    viewer.set_canvas_size(160, 120)
    viewer.set_view(azimuth=azimuth, elevation=elevation, time=time)
    viewer.run("player.setBackground('black'); player.viewport.setDisplay({ mode: 'normals' })")
    pose = OrbitPose(azimuth_deg=float(azimuth), elevation_deg=float(elevation))
    cameras = Cameras.from_poses([pose], 160, 120)
    output = render(box.at(torch.tensor([time]))[0], cameras, with_depth=True)
    expected = encode_normals(normals_from_depth(output.depths, output.alphas, cameras.Ks))[0].numpy()
    opaque = (output.alphas[0] > 0.99).numpy()
    found = viewer.screenshot()[..., :3] / 255
    assert opaque.mean() > 0.1
    difference = np.abs(found - expected)[opaque]
    assert np.median(difference) < 2 / 255
    assert difference.mean() < 5 / 255
    assert np.abs(found[opaque].mean(axis=0) - expected[opaque].mean(axis=0)).max() < 2 / 255
    assert (found[output.alphas[0].numpy() < 0.4] == 0).all()


def test_normals_are_drawn_on_the_background_and_after_a_restored_context(page, box_s4d):
    page.evaluate(COUNT_GL)
    viewer = Viewer(page, page.evaluate("(s4d) => add(300, 300, s4d)", box_s4d))
    viewer.run("player.setBackground('#204060'); player.viewport.setDisplay({ mode: 'normals' })")
    before = viewer.screenshot()
    assert before[0, 0].tolist() == [0x20, 0x40, 0x60, 255]
    assert before[before.shape[0] // 2, before.shape[1] // 2, 2] > 180  # toward the camera
    page.evaluate(LOSE_CONTEXT)
    page.get_by_role("status").get_by_text("graphics driver was reset").wait_for()
    page.evaluate(RESTORE_CONTEXT)
    page.get_by_role("status").wait_for(state="hidden")
    assert np.array_equal(viewer.screenshot(), before)


def test_missing_float_textures_are_reported_and_the_mode_stays(viewer, settings):
    viewer.page.evaluate("WebGL2RenderingContext.prototype.getExtension = () => null")
    settings.get_by_role("combobox", name="View mode").select_option("Normals")
    settings.get_by_text("This graphics driver cannot render normals").wait_for()
    assert settings.get_by_role("combobox", name="View mode").input_value() == "color"


def test_depth_is_white_at_the_nearest_point_of_the_object_and_dark_gray_at_the_farthest(viewer, box):
    viewer.set_canvas_size(128, 128)
    viewer.run("player.setBackground('black'); player.viewport.setDisplay({ mode: 'depth' })")
    sphere = viewer.run("return player.viewport.scene.bounds")
    front = 1 - 0.9 * (2 - 0.35 - (2 - sphere["center"][2] - sphere["radius"])) / (2 * sphere["radius"])
    found = center_color(viewer)
    assert np.ptp(found) == 0
    assert found[0] == pytest.approx(front, abs=0.05)
    viewer.set_view(radius=4)  # the range follows the camera
    assert center_color(viewer)[0] == pytest.approx(found[0], abs=0.02)


def test_splat_size_scales_the_standard_deviations(viewer):
    viewer.load(one_splat())
    viewer.set_canvas_size(200, 200)
    areas = []
    for size in (1, 0.5):
        viewer.run("player.viewport.setDisplay({ splatSize: value })", size)
        areas.append((alpha_of(viewer) > 0.5).sum())
    assert areas[0] / areas[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("display", "message"),
    [
        ({"mode": "xray"}, "mode: xray; expected color, depth, normals"),
        ({"splatSize": 9}, "splatSize: 9; expected 0.05 to 2"),
        ({"background": "red"}, "background: red; expected checker"),
    ],
)
def test_invalid_setting_is_rejected_and_changes_nothing(viewer, display, message):
    before = viewer.screenshot()
    with pytest.raises(Exception, match=message):
        viewer.run("player.viewport.setDisplay(value)", display)
    assert np.array_equal(viewer.screenshot(), before)


def test_settings_panel_changes_mode_size_and_grid(viewer, settings):
    settings.get_by_role("combobox", name="View mode").select_option("Depth")
    settings.get_by_role("slider", name="Splat size").fill("0.5")
    settings.get_by_role("checkbox", name="Ground grid and axes (G)").check()
    display = viewer.run("return player.viewport.display")
    assert (display["mode"], display["splatSize"], display["hasGrid"]) == ("depth", 0.5, True)
    settings.get_by_text("0.50×").wait_for()
    settings.press("Escape")
    assert not settings.is_visible()
    assert viewer.run("return player.element.shadowRoot.activeElement.title") == "Settings"
    viewer.page.keyboard.press("g")
    assert not viewer.run("return player.viewport.display.hasGrid")


def test_settings_panel_of_a_scene_with_one_frame_has_splat_size_but_no_loop(viewer, settings):
    viewer.load(one_splat())
    viewer.wait_for_render()
    settings.get_by_role("slider", name="Splat size").fill("0.5")
    assert viewer.run("return player.viewport.display.splatSize") == 0.5
    assert not settings.get_by_role("spinbutton", name="First frame of the loop").is_visible()
    assert not viewer.page.get_by_role("slider", name="Time").is_visible()


def test_settings_panel_closes_on_a_press_outside(viewer, settings):
    viewer.page.mouse.click(40, 40)
    assert not settings.is_visible()


def test_grid_is_behind_the_object_from_above_and_before_it_from_below(viewer):
    for elevation, is_hidden in ((40, True), (-40, False)):
        viewer.set_view(elevation=elevation)
        viewer.run("player.setBackground('checker')")
        opaque = viewer.screenshot()[..., 3] > 250
        viewer.run("player.setBackground('white')")
        plain = viewer.screenshot()
        viewer.run("player.viewport.setDisplay({ hasGrid: true })")
        viewer.wait_for_render()
        lined = viewer.canvas()
        viewer.run("player.viewport.setDisplay({ hasGrid: false })")
        viewer.wait_for_render()
        changed = (np.abs(lined.astype(int) - plain).max(axis=-1) > 3).astype(float)
        assert changed[~opaque].mean() > 0.01
        assert (changed[opaque].mean() < 0.001) == is_hidden, elevation


def test_grid_and_axes_are_not_in_screenshots(viewer):
    plain = viewer.screenshot()
    viewer.page.locator("canvas").focus()
    viewer.page.keyboard.press("g")
    viewer.wait_for_render()
    assert not np.array_equal(viewer.canvas(), plain)
    assert np.array_equal(viewer.screenshot(), plain)
    viewer.wait_for_render()
    assert not np.array_equal(viewer.canvas(), plain)  # they are back


def test_background_image_covers_the_canvas_and_a_color_replaces_it(viewer, settings, tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = (200, 40, 20), (20, 60, 220)
    Image.fromarray(pixels).save(tmp_path / "two colors.png")
    with viewer.page.expect_file_chooser() as chooser:
        settings.get_by_role("button", name="Choose a background image").click()
    chooser.value.set_files(tmp_path / "two colors.png")
    settings.get_by_role("button", name="Remove the background image").wait_for()
    image = viewer.screenshot()
    assert np.abs(image[5, 5, :3].astype(int) - (200, 40, 20)).max() <= 2
    assert np.abs(image[-5, -5, :3].astype(int) - (20, 60, 220)).max() <= 2
    assert image[..., 3].min() == 255
    viewer.run("player.setBackground('black')")
    assert viewer.screenshot()[5, 5].tolist() == [0, 0, 0, 255]
    assert not settings.get_by_role("button", name="Remove the background image").is_visible()


def test_last_of_several_concurrent_background_choices_is_shown_and_the_others_are_closed(viewer):
    viewer.run(
        "const bitmap = () => createImageBitmap(new ImageData(4, 4));"
        "const [slow, fast] = [await bitmap(), await bitmap()]; window.slow = slow; let decoded;"
        "const answers = [new Promise((done) => (decoded = done)), fast];"
        "window.createImageBitmap = () => answers.shift();"
        "const { viewport } = player; const first = viewport.setBackgroundImage(new Blob());"
        "await viewport.setBackgroundImage(new Blob()); decoded(slow); await first;"
    )
    assert viewer.run("return [slow.width, player.viewport.display.backgroundImage.width]") == [0, 4]


def test_background_image_decoded_after_another_choice_or_dispose_is_closed(viewer):
    widths = []
    for choice in ("player.setBackground('black')", "player.dispose()"):
        script = (
            "const bitmap = await window.createImageBitmap(new ImageData(4, 4));"
            "const original = window.createImageBitmap; let decoded;"
            "window.createImageBitmap = () => new Promise((done) => (decoded = done));"
            "const loading = player.viewport.setBackgroundImage(new Blob());"
            f"{choice}; decoded(bitmap); await loading; window.createImageBitmap = original;"
            "return [bitmap.width, player.viewport.display.backgroundImage]"
        )
        widths.append(viewer.run(script))
    assert widths == [[0, None], [0, None]]


def test_file_that_is_no_image_is_reported_in_the_panel(viewer, settings, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    with viewer.page.expect_file_chooser() as chooser:
        settings.get_by_role("button", name="Choose a background image").click()
    chooser.value.set_files(tmp_path / "no.png")
    settings.get_by_text("This file is not an image that the browser can decode.").wait_for()
    assert viewer.screenshot()[0, 0, 3] == 0


def shifted(model: GaussianModel4D, offset: float) -> GaussianModel4D:
    """Return the scene with an object that slides to the right by an offset until the last frame."""

    def slide(means: torch.Tensor, times: torch.Tensor) -> SimpleNamespace:
        moved = model.deformation(means, times)
        return SimpleNamespace(
            **{
                **vars(moved),
                "means": moved.means + offset * times[:, None, None] * torch.tensor([1.0, 0.0, 0.0]),
            }
        )

    return GaussianModel4D(model.gaussians, slide, model.info)


@pytest.mark.parametrize("last_offset", [0.0, 3.0])
def test_first_camera_shows_the_whole_object_at_all_frames(page, box, last_offset):
    viewer = Viewer(page, page.evaluate("add(480, 360)"))
    viewer.set_canvas_size(480, 320)
    model = shifted(box, last_offset)
    viewer.load(model)
    for time in (0, 0.5, 1):
        viewer.run("player.viewport.clock.seek(4 * value)", time)
        alpha = alpha_of(viewer)
        assert alpha.max() > 0.9
        assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) < 0.1, time
    view = viewer.run("return player.getView()")
    assert (view["azimuth"], view["elevation"]) == (0, 0)
    assert (view["radius"] == 2) == (last_offset == 0)  # the input camera where it is sufficient
    output = first_view(model, 480 / 320)  # of STAG4D Preview, from all Gaussians instead of a subset
    assert view["radius"] == pytest.approx(output.pose.radius, rel=0.03)
    assert view["target"] == pytest.approx(output.target, abs=0.05)


def test_first_camera_follows_the_size_of_the_image_until_a_view_is_chosen(viewer):
    viewer.set_canvas_size(120, 400)
    narrow = viewer.run("return player.getView().radius")
    assert narrow > 2.5
    alpha = alpha_of(viewer)
    assert alpha.max() > 0.9
    assert max(alpha[:, 0].max(), alpha[:, -1].max()) < 0.1
    viewer.set_canvas_size(480, 320)
    assert viewer.run("return player.getView().radius") == 2  # the input camera is sufficient again
    viewer.set_view(azimuth=30)
    viewer.set_canvas_size(120, 400)
    assert viewer.run("return player.getView().radius") == 2


def test_first_camera_of_a_large_imported_object_shows_all_of_it(page, box):
    gaussians = replace(
        box.gaussians, means=20 * box.gaussians.means, log_scales=box.gaussians.log_scales + 3
    )
    viewer = Viewer(page, page.evaluate("add(300, 500)"))
    viewer.load(GaussianModel4D(gaussians, None, SceneInfo(num_frames=1)))
    alpha = alpha_of(viewer)
    assert alpha[:, [0, -1]].max() < 0.1
    assert alpha[[0, -1]].max() < 0.1
    assert (alpha > 0.5).any(axis=0).mean() > 0.5  # and not from too far away


def test_fit_all_frames_shows_the_object_at_all_frames_and_fit_only_the_current_one(viewer, box):
    viewer.load(shifted(box, 3.0))
    viewer.set_view(radius=1, target=[0, 0, 0], time=0)
    viewer.page.locator("canvas").focus()
    viewer.page.keyboard.press("f")
    near = viewer.run("return player.getView()")
    viewer.page.keyboard.press("Shift+F")
    far = viewer.run("return player.getView()")
    assert far["radius"] > 1.5 * near["radius"]
    assert far["target"][0] == pytest.approx(1.5, abs=0.2)
    viewer.set_view(time=1)
    alpha = alpha_of(viewer)
    assert alpha.max() > 0.9
    assert alpha[:, -1].max() < 0.1


def test_features_that_are_off_add_no_gl_objects_and_no_draw_calls(page, box_s4d):
    page.evaluate(COUNT_GL)
    viewer = Viewer(page, page.evaluate("(s4d) => add(300, 300, s4d)", box_s4d))
    before = page.evaluate("({ ...glCounts })")
    assert before == {"contexts": 1, "objects": 5}  # program, index buffer, three textures
    page.evaluate(
        "window.draws = 0; const { drawElementsInstanced } = gl;"
        "gl.drawElementsInstanced = (...values) => { draws += 1; drawElementsInstanced.apply(gl, values); };"
        "undefined"
    )
    viewer.set_view(azimuth=20)
    viewer.wait_for_render()
    assert page.evaluate("draws") == 1
    viewer.run("player.viewport.setDisplay({ mode: 'depth' }); await player.screenshot()")
    viewer.run("player.viewport.setDisplay({ mode: 'color' }); await player.screenshot()")
    assert page.evaluate("glCounts.objects") == 6  # a program per mode that was used


def test_depth_of_the_viewer_equals_the_rendered_depth(viewer, box):
    viewer.set_canvas_size(160, 160)
    viewer.set_view(azimuth=30, elevation=20, time=0.5)
    viewer.run("player.setBackground('black'); player.viewport.setDisplay({ mode: 'depth' })")
    sphere = viewer.run("return player.viewport.scene.bounds")
    pose = OrbitPose(azimuth_deg=30.0, elevation_deg=20.0)
    cameras = Cameras.from_poses([pose], 160, 160)
    output = render(box.at(torch.tensor([0.5]))[0], cameras, with_depth=True)
    center = cameras.viewmats[0, :3, :3] @ torch.tensor(sphere["center"]) + cameras.viewmats[0, :3, 3]
    nearest = center[2] - sphere["radius"]
    expected = 1 - 0.9 * (output.depths[0] - nearest) / (2 * sphere["radius"])
    opaque = (output.alphas[0] > 0.98).numpy()
    found = viewer.screenshot()[..., 0] / 255
    assert opaque.mean() > 0.1
    assert np.abs(found - expected.numpy())[opaque].mean() < 3 / 255


def test_image_decoded_as_background_is_drawn_with_its_own_transparency(viewer):
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(stream, format="PNG")
    viewer.run(
        "await player.viewport.setBackgroundImage(new Blob([bytes(value)]))",
        base64.b64encode(stream.getvalue()).decode(),
    )
    assert viewer.screenshot()[0, 0, 3] == 0
