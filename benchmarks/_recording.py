"""Record the random tensors of other code, so that ours can be run with the same ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor


@contextmanager
def recorded(places: dict[str, tuple[Any, str]]) -> Iterator[dict[str, list[Tensor]]]:
    """Record the tensors that functions return inside of the context.

    Args:
        places: By name, the module and the attribute of each function.

    Yields:
        By name, the tensors recorded so far, in order.
    """
    tensors: dict[str, list[Tensor]] = defaultdict(list)

    def recording(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: Any, **options: Any) -> Tensor:
            tensors[name].append(function(*arguments, **options).clone())
            return tensors[name][-1]

        return call

    with ExitStack() as stack:
        for name, place in places.items():
            stack.enter_context(patch.object(*place, recording(name, getattr(*place))))
        yield tensors
