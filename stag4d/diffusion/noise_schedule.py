"""Schedulers of model folders, of which the noise schedule and the type of the model's output are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .denoiser import PREDICTION_TYPES
from .folders import reading
from .json_files import read_json, shown

MAX_TIMESTEPS = 10_000  # published models have 1000


def load_scheduler(kind: Any, folder: Path, *, prediction_type: str | None = None, **settings: Any) -> Any:
    """Return the scheduler of a model.

    Args:
        kind: Scheduler class of diffusers, whatever class the folder names.
        folder: The model's folder.
        prediction_type: Type of the model's output where the folder states none; None: it must.
        **settings: They take precedence over the folder's.

    Raises:
        FileNotFoundError: if its configuration is missing.
        ValueError: if it is damaged or a value is out of range.
    """
    place = folder / "scheduler"
    values = read_json(place / "scheduler_config.json", "the noise schedule")
    output = values.setdefault("prediction_type", prediction_type)
    if output not in PREDICTION_TYPES:
        raise ValueError(
            f"{place}: prediction_type is {shown(output)}; expected one of {', '.join(PREDICTION_TYPES)}."
        )
    num_timesteps = values.get("num_train_timesteps", 1000)
    if type(num_timesteps) is not int or not 1 <= num_timesteps <= MAX_TIMESTEPS:
        raise ValueError(
            f"{place}: num_train_timesteps is {shown(num_timesteps)}; expected 1 to {MAX_TIMESTEPS}."
        )
    with reading(place, "the noise schedule"):
        scheduler = kind.from_config(values, **settings)
        signal = scheduler.alphas_cumprod
        if signal.shape != (num_timesteps,) or not bool(((signal >= 0) & (signal <= 1)).all()):
            raise ValueError("the products of its alphas are not between 0 and 1")
    return scheduler
