"""Print as JSON how ComfyUI's sampler and the package agree on the views of a tiny multi-view model.

ComfyUI's Python runs it in ComfyUI's folder: ``compare_native_multiview.py PACK FOLDER [CASE ...]``. Each
case is a function below, and its result a dict of numbers and messages.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch

root, folder, chosen = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
sys.path.insert(0, str(Path.cwd()))
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.cldm.cldm  # noqa: E402
import comfy.controlnet  # noqa: E402
import comfy.latent_formats  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.utils  # noqa: E402

SEED, FRAMES, STEPS, CFG = 7, 4, 3, 4.0
NOISY = ("euler_ancestral", "dpm_2_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "lcm", "ddpm")
PLAIN = ("euler", "heun", "dpmpp_2m", "uni_pc", "lms")


def pack():
    """Return the pack as ComfyUI loads it."""
    spec = importlib.util.spec_from_file_location(
        "native_pack", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def module(name):
    """Return a module of the pack."""
    return importlib.import_module(f"native_pack.{name}")


def model_of(result):
    """Return the MODEL that a node of ComfyUI gives; some give a tuple."""
    return result[0] if isinstance(result, tuple) else result.args[0]


def distance(found, expected):
    """Return the largest difference, relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


class Setup:
    """A model from a folder, by the package and as ComfyUI's MODEL, and the conditioning of random frames."""

    def __init__(self, folder, frames=FRAMES):
        self.diffusion, self.anchored = module("stag4d.diffusion"), module("nodes.host.anchored_model")
        networks = module("nodes.host.multiview_networks")
        self.folder, self.noise = folder, self.diffusion.SeededNoise(SEED)
        self.own = self.diffusion.load_multiview_model(folder)
        self.rig = self.diffusion.read_rig(folder)
        self.model, self.clip_vision, self.vae = networks.load_networks(folder, None, self.rig.grid)
        generator = torch.Generator().manual_seed(5)
        self.images = torch.rand(frames, 40, 40, 3, generator=generator)
        self.alphas = (torch.rand(frames, 40, 40, generator=generator) > 0.3).float()
        self.conditioning = self.own.encode_conditioning(self.images, self.alphas, self.noise)
        self.shape = (self.own.unet.config.in_channels, *self.own.grid_size)

    def package(self, anchor, *, steps=STEPS, cfg=CFG, unet=None):
        """Return the package's latents."""
        config = self.diffusion.SamplingConfig(num_steps=steps, guidance_scale=cfg, anchor=anchor)
        states = self.diffusion.denoise(
            unet or self.own.unet,
            self.own.scheduler,
            self.conditioning,
            self.noise,
            config,
            grid_size=self.own.grid_size,
        )
        return list(states)[-1].latents

    def patched(self, anchor=None, model=None, **settings):
        """Return the MODEL with anchored attention."""
        anchor = anchor or self.diffusion.Anchor()
        attention = self.anchored.AnchoredAttention(anchor, **settings)
        return attention.patch(model or self.model)

    def conds(self):
        """Return positive and negative conditioning from the package's."""
        states, references = self.conditioning.cond_embeddings, self.conditioning.references
        return (
            self.anchored.conditioning(states, references[:, 1]),
            self.anchored.conditioning(self.conditioning.uncond_embeddings, references[:, 0]),
        )

    def sample(self, model, *, sampler="euler_ancestral", steps=STEPS, cfg=CFG, conds=None):
        """Return the latents of ComfyUI's sampler, in the scale of the UNet."""
        sigmas = module("nodes.trailing_sigmas").STAG4DTrailingSigmas.execute(model, steps).args[0]
        start = torch.stack([self.noise.initial(frame, self.shape) for frame in range(len(self.images))])
        latents = comfy.sample.sample_custom(
            model,
            start,
            cfg,
            comfy.samplers.sampler_object(sampler),
            sigmas,
            *(conds or self.conds()),
            torch.zeros_like(start),
            disable_pbar=True,
            seed=SEED,
        )
        return model.get_model_object("latent_format").process_in(latents)


class PosteriorMean:
    """A source of noise that gives the mean of the VAE's posterior, as ComfyUI's VAE does."""

    def posterior(self, frame, branch, shape):
        return torch.zeros(shape)


def parity(setup):
    """Return the differences to the package's own path, by setting."""
    anchor = setup.diffusion.Anchor
    found = {}
    for name, mix, settings, cfg in (
        ("default", anchor(), {}, CFG),
        ("one_frame_per_call", anchor(), {"frames_per_call": 1}, CFG),
        ("previous", anchor(1, 0.4, 0.3), {"frames_per_call": 2}, CFG),
        ("no_anchor", anchor(0, 0.0), {}, CFG),
        ("without_guidance", anchor(), {}, 1.0),
    ):
        expected = setup.package(mix, cfg=cfg)
        found[name] = distance(setup.sample(setup.patched(mix, **settings), cfg=cfg), expected)
    unanchored = setup.package(anchor(0, 0.0))
    found["effect_of_the_anchor"] = distance(setup.package(anchor()), unanchored)
    patcher = type(setup.model)
    free, patcher.get_free_memory = patcher.get_free_memory, lambda self, device: 0
    sizes = []
    network = setup.model.model.diffusion_model
    hook = network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    try:  # ComfyUI then calls the model once per branch
        split = setup.sample(setup.patched())
    finally:
        patcher.get_free_memory = free
        hook.remove()
    found["rows_of_a_branch"] = max(sizes)
    found["branches_in_turn"] = distance(split, setup.package(anchor()))
    return found


def sigmas(setup):
    """Return the largest relative difference of the noise levels to diffusers', for several step counts."""
    node = module("nodes.trailing_sigmas").STAG4DTrailingSigmas
    found = {}
    for steps in (1, 7, 28, 30, 36, 61, 75, 300, 1000):
        setup.own.scheduler.set_timesteps(steps)
        expected = setup.own.scheduler.sigmas.float()
        levels = node.execute(setup.model, steps).args[0]
        found[str(steps)] = distance(levels, expected) if len(levels) == len(expected) else 1.0
    return found


def encoders(setup):
    """Return the differences of the conditioning node to the package's conditioning."""
    prompt = [[setup.diffusion.empty_prompt_embeddings(setup.folder), {}]]
    node = module("nodes.multiview_conditioning").STAG4DMultiViewConditioning
    positive, negative, latent = node.execute(
        setup.clip_vision, setup.vae, prompt, setup.rig, setup.images, True, setup.alphas
    ).args
    own = setup.own.encode_conditioning(setup.images, setup.alphas, PosteriorMean())
    reference = setup.anchored.REFERENCE

    def references(conditioning):
        return conditioning[0][1]["model_conds"][reference].cond

    latents = setup.package(setup.diffusion.Anchor())
    grids = setup.vae.decode(setup.model.get_model_object("latent_format").process_out(latents))
    views = module("stag4d.pipeline.grid_views").views_of_grids(
        setup.rig.grid,
        module("nodes.host.prepared_frames").input_video(setup.images, setup.alphas, 8.0, 0.0, None),
        grids.float(),
        remover=module("stag4d.matting").BackgroundRemover("none"),
    )
    decoded = torch.stack([setup.own.decode(frame) for frame in latents])
    return {
        "embeddings": distance(positive[0][0], own.cond_embeddings),
        "prompt": distance(negative[0][0], own.uncond_embeddings),
        "references": distance(references(positive), own.references[:, 1]),
        "blank": distance(references(negative), own.references[:, 0]),
        "views": distance(views.view_images, decoded),
        "latent_is_right": list(latent["samples"].shape) == [FRAMES, *setup.shape]
        and latent["batch_index"] == [0] * FRAMES,
    }


def lora(setup):
    """Return how a LoRA before and after the patch, and one that is merged into the weights, agree."""
    generator = torch.Generator().manual_seed(1)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k"
    weight = setup.own.unet.get_submodule(name).weight
    up = torch.randn(len(weight), 2, generator=generator)
    down = torch.randn(2, weight.shape[1], generator=generator)
    file = {f"unet.{name}.lora_up.weight": up, f"unet.{name}.lora_down.weight": down}
    file = {f"lora_unet_{name.replace('.', '_')}.{key.split(name + '.')[1]}": v for key, v in file.items()}
    before, _ = comfy.sd.load_lora_for_models(setup.model, None, file, 1.0, 0.0)
    after, _ = comfy.sd.load_lora_for_models(setup.patched(), None, file, 1.0, 0.0)
    plain = setup.sample(setup.patched())
    results = setup.sample(setup.patched(model=before)), setup.sample(after)
    original = weight.detach().clone()
    weight.data += up @ down
    merged = setup.package(setup.diffusion.Anchor())
    weight.data.copy_(original)
    return {
        "before": distance(results[0], merged),
        "after": distance(results[1], merged),
        "effect": distance(merged, plain),
    }


def control_net(setup):
    """Return how the results with a hint per frame depend on the frames per call, and the hint's effect."""
    config = {
        key: value
        for key, value in setup.model.model.model_config.unet_config.items()
        if key != "out_channels"
    }
    config.pop("transformer_depth_output")
    torch.manual_seed(3)
    network = comfy.cldm.cldm.ControlNet(
        **config, hint_channels=3, device="cpu", operations=comfy.ops.disable_weight_init
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    control = comfy.controlnet.ControlNet(network, load_device=torch.device("cpu"), manual_cast_dtype=None)
    height, width = (8 * size for size in setup.shape[1:])
    hints = torch.rand(FRAMES, 3, height, width)

    def conds(hints):
        net = control.copy().set_cond_hint(hints, 10.0, (0.0, 1.0))
        return [
            [[states, options | {"control": net, "control_apply_to_uncond": False}]]
            for ((states, options),) in setup.conds()
        ]

    together = setup.sample(setup.patched(frames_per_call=FRAMES), conds=conds(hints))
    alone = setup.sample(setup.patched(frames_per_call=1), conds=conds(hints))
    shuffled = setup.sample(setup.patched(frames_per_call=FRAMES), conds=conds(hints.flip(0)))
    return {"frames_per_call": distance(alone, together), "effect": distance(shuffled, together)}


def samplers(setup):
    """Return the difference of two equal frames after each sampler, relative to their values."""
    one = slice(0, 1)
    images = setup.images
    setup.images = images[:2]
    found = {}
    states, references = setup.conditioning.cond_embeddings[one], setup.conditioning.references[one]
    twice = setup.anchored.conditioning(states.repeat(2, 1, 1), references[:, 1].repeat(2, 1, 1, 1))
    blank = setup.anchored.conditioning(
        setup.conditioning.uncond_embeddings, references[:, 0].repeat(2, 1, 1, 1)
    )
    for sampler in (*NOISY, *PLAIN):
        model = setup.patched(share_reference_noise=True)
        latents = setup.sample(model, sampler=sampler, conds=(twice, blank))
        found[sampler] = distance(latents[1], latents[0]) if latents.isfinite().all() else 1.0
    model = setup.patched(share_reference_noise=True, share_noise=False)
    latents = setup.sample(model, conds=(twice, blank))
    found["not_shared"] = distance(latents[1], latents[0])
    setup.images = images
    return found


def patches(setup):
    """Return the effects of other patches of the MODEL, which must be finite."""
    from comfy_extras.nodes_freelunch import FreeU_V2
    from comfy_extras.nodes_tomesd import TomePatchModel

    def finite(latents):
        return distance(latents, plain) if latents.isfinite().all() else -1.0

    plain = setup.sample(setup.patched())
    calls = []

    def attention(function, *args, **kwargs):
        calls.append(args[0].shape)
        return function(*args, **kwargs)

    overridden = setup.patched()
    overridden.model_options["transformer_options"]["optimized_attention_override"] = attention
    found = {"override": finite(setup.sample(overridden)), "calls_of_the_override": len(calls)}
    merged = model_of(TomePatchModel.execute(setup.patched(), 0.5))
    found["token_merging"] = finite(setup.sample(merged))
    freeu = model_of(FreeU_V2.execute(setup.patched(), 1.3, 1.4, 0.9, 0.2))
    found["freeu"] = finite(setup.sample(freeu))
    ranged = [
        [[states, options | {"start_percent": 0.0, "end_percent": 0.5}]]
        for ((states, options),) in setup.conds()
    ]
    rest = [
        [[states, options | {"start_percent": 0.5, "end_percent": 1.0}]]
        for ((states, options),) in setup.conds()
    ]
    both = [first + second for first, second in zip(ranged, rest, strict=True)]
    found["timestep_ranges"] = finite(setup.sample(setup.patched(), conds=both))
    twice = setup.patched(setup.diffusion.Anchor(1, 0.9), model=setup.patched())
    found["patched_twice"] = distance(
        setup.sample(twice), setup.sample(setup.patched(setup.diffusion.Anchor(1, 0.9)))
    )
    return found


def options(setup):
    """Return the difference of a MODEL with STAG4D Multi-View Model Options to that of the loader."""
    other = SimpleNamespace(sampling_settings={})
    raw = setup.model.clone()
    raw.add_object_patch(
        "model_sampling", comfy.model_base.model_sampling(other, comfy.model_base.ModelType.EPS)
    )
    raw.add_object_patch("latent_format", comfy.latent_formats.SD15())
    node = module("nodes.multiview_options").STAG4DMultiViewOptions
    model, rig = node.execute(raw, "v1.1", "published", "").args
    expected = setup.sample(setup.patched())
    return {
        "published": distance(setup.sample(setup.patched(model=model)), expected),
        "rig_is_right": rig.grid.poses == setup.rig.grid.poses,
    }


def float8(setup):
    """Return the effect of float8 weights, and their bytes relative to those of float32."""
    path = setup.folder / "unet" / "diffusion_pytorch_model.safetensors"
    original = path.read_bytes()
    weights = comfy.utils.load_torch_file(str(path))
    small = {name: value.to(torch.float8_e4m3fn) for name, value in weights.items()}
    comfy.utils.save_torch_file(small, str(path))
    networks = module("nodes.host.multiview_networks")
    try:
        model, _, _ = networks.load_networks(setup.folder, None, setup.rig.grid)
        latents = setup.sample(setup.patched(model=model))
        size = model.model_size()
    finally:
        path.write_bytes(original)
    plain = setup.sample(setup.patched())
    return {
        "effect": distance(latents, plain) if latents.isfinite().all() else -1.0,
        "size": size / setup.model.model_size(),
    }


def refusals(setup):
    """Return the messages of what cannot work."""
    from comfy_extras.nodes_hypertile import HyperTile
    from comfy_extras.nodes_pag import PerturbedAttentionGuidance
    from comfy_extras.nodes_sag import SelfAttentionGuidance

    def message(work):
        try:
            work()
        except ValueError as error:
            return str(error)
        return ""

    tiled = model_of(HyperTile.execute(setup.patched(), 256, 2, 0, False))
    sag = model_of(SelfAttentionGuidance.execute(setup.patched(), 0.5, 2.0))
    pag = model_of(PerturbedAttentionGuidance.execute(setup.patched(), 3.0))
    windowed = setup.patched()
    windowed.model_options["transformer_options"]["context_window"] = object()
    bare = [[[states, {}]] for ((states, _),) in setup.conds()]
    _, negative = setup.conds()
    references = setup.conditioning.references[:2]
    other = setup.anchored.conditioning(setup.conditioning.cond_embeddings[:2], references[:, 1])
    comfy.model_management.interrupt_current_processing()
    cancelled = False
    try:
        setup.sample(setup.patched())
    except comfy.model_management.InterruptProcessingException:
        cancelled = True
    return {
        "tiled": message(lambda: setup.sample(tiled)),
        "patched_after": message(
            lambda: setup.patched(model=model_of(HyperTile.execute(setup.model, 256, 2, 0, False)))
        ),
        "pag": message(lambda: setup.sample(pag)),
        "sag": message(lambda: setup.sample(sag)),
        "context_window": message(lambda: setup.sample(windowed)),
        "no_references": message(lambda: setup.sample(setup.patched(), conds=bare)),
        "other_frames": message(lambda: setup.sample(setup.patched(), conds=(other, negative))),
        "no_such_frame": message(lambda: setup.sample(setup.patched(setup.diffusion.Anchor(9)))),
        "cancelled": cancelled,
    }


def bundled(setup):
    """Return the differences of the bundled model's views and conditioning, which runs by an adapter."""
    bundled = Setup(root / "stag4d" / "weights" / "mini-zero123plus")
    anchor = bundled.diffusion.Anchor()
    found = encoders(bundled)
    for name, steps, cfg in (("one_step", 1, 1.0), ("guided", 3, 2.0)):
        expected = bundled.package(anchor, steps=steps, cfg=cfg)
        found[name] = distance(bundled.sample(bundled.patched(), steps=steps, cfg=cfg), expected)
    return found


CASES = (parity, sigmas, encoders, options, lora, control_net, samplers, patches, float8, refusals, bundled)
pack()
with torch.inference_mode():
    setup = Setup(folder)
    for case in CASES:
        if not chosen or case.__name__ in chosen:
            sys.stdout.write(json.dumps({case.__name__: case(setup)}) + "\n")
            sys.stdout.flush()
