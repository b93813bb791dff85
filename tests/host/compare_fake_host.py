"""Print as JSON what the fake host has and ComfyUI has not; ComfyUI's Python runs it in its folder."""

import importlib.util
import inspect
import json
import sys
from pathlib import Path


def fake_module(path):
    """Return a file of the fake host as a module, beside the real one."""
    spec = importlib.util.spec_from_file_location(f"fake_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def parameters(call):
    """Return the names of a callable's parameters."""
    return set(inspect.signature(call).parameters)


def missing_of_videos(fake):
    """Yield the classes, methods and parameters of VIDEO that ComfyUI lacks, or does not override alike."""
    for fake_group, real_group in ((fake.Input, Input), (fake.InputImpl, InputImpl)):
        for name, fake_class in vars(fake_group).items():
            if name.startswith("_"):
                continue
            real_class = getattr(real_group, name, None)
            if real_class is None:
                yield f"{fake_group.__name__}.{name}"
                continue
            for method, call in vars(fake_class).items():
                if not inspect.isfunction(call):
                    continue
                if method not in vars(real_class):
                    yield f"{name}.{method}"
                else:
                    unknown = parameters(call) - parameters(getattr(real_class, method))
                    yield from (f"{name}.{method}: {option}" for option in unknown)
            own = "get_stream_source"  # tells videos of files from others
            if (own in vars(fake_class)) != (own in vars(real_class)):
                yield f"{name}.{own} is overridden in one host only"


def missing():
    """Yield the qualified name of everything that ComfyUI lacks."""
    root = Path(sys.argv[1])
    fake = fake_module(root / "comfy_api" / "latest" / "io.py")
    for name, kind in vars(fake).items():
        if name.startswith("_") or not hasattr(kind, "Input"):
            continue
        real = getattr(io, name, None)
        if real is None:
            yield f"io.{name}"
            continue
        own_type = getattr(kind.Input, "io_type", None)  # that of MultiType depends on its arguments
        if own_type is not None and real.io_type != own_type:
            yield f"io.{name} is {real.io_type}"
        yield from (f"io.{name}: {option}" for option in kind.Input.known - parameters(real.Input))
    yield from (f"io.Schema: {option}" for option in parameters(fake.Schema) - parameters(io.Schema))
    yield from (f"NodeOutput: {option}" for option in parameters(fake.NodeOutput) - parameters(io.NodeOutput))
    values = fake_module(root / "comfy_api" / "latest" / "types.py")
    for name in ("SPLAT", "File3D", "VideoComponents"):
        fake_class, real_class = getattr(values, name), getattr(Types, name)
        yield from (f"{name}: {option}" for option in parameters(fake_class) - parameters(real_class))
    yield from missing_of_videos(values)
    types = fake.UploadType.__members__
    yield from (f"io.UploadType: {name}" for name in types if getattr(io.UploadType, name, "") != types[name])
    modules = (
        ("clip_vision", comfy.clip_vision),
        ("conds", comfy.conds),
        ("latent_formats", comfy.latent_formats),
        ("model_base", comfy.model_base),
        ("model_management", comfy.model_management),
        ("model_patcher", comfy.model_patcher),
        ("model_sampling", comfy.model_sampling),
        ("patcher_extension", comfy.patcher_extension),
        ("sd", comfy.sd),
        ("supported_models", comfy.supported_models),
        ("utils", comfy.utils),
    )
    for name, real in modules:
        file = fake_module(root / "comfy" / f"{name}.py")
        for function, call in vars(file).items():
            if getattr(call, "__module__", "") == file.__name__:
                if not hasattr(real, function):
                    yield f"comfy.{name}.{function}"
                elif inspect.isfunction(call) or "__init__" in vars(call):
                    unknown = parameters(call) - parameters(getattr(real, function))
                    yield from (f"comfy.{name}.{function}: {option}" for option in unknown)
    options = fake_module(root / "comfy" / "cli_args.py").args
    yield from (f"option {name}" for name in vars(options) if not hasattr(comfy.cli_args.args, name))
    hidden = {name for name in vars(fake.Hidden) if not name.startswith("_")}
    yield from (f"io.Hidden: {name}" for name in hidden - set(io.Hidden.__members__))
    send_sync = fake_module(root / "server.py").PromptServer.send_sync
    unknown = parameters(send_sync) - parameters(server.PromptServer.send_sync)
    yield from (f"send_sync: {name}" for name in unknown)
    folders = fake_module(root / "folder_paths.py")
    for function, call in vars(folders).items():
        if inspect.isfunction(call) and not parameters(call) <= parameters(getattr(folder_paths, function)):
            yield f"folder_paths.{function}"


sys.path.insert(0, str(Path.cwd()))
arguments, sys.argv = sys.argv, [sys.argv[0], "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.cli_args  # noqa: E402
import comfy.clip_vision  # noqa: E402
import comfy.conds  # noqa: E402
import comfy.latent_formats  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.patcher_extension  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
import server  # noqa: E402
from comfy_api.latest import Input, InputImpl, Types, io  # noqa: E402

sys.argv = arguments
print(json.dumps(list(missing())))  # noqa: T201
