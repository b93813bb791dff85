"""Write down the random draws that other code makes, so that ours can be given the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor


@contextmanager
def recorded(places: dict[str, tuple[Any, str]]) -> Iterator[dict[str, list[Tensor]]]:
    """Record what functions return meanwhile.

    Args:
        places: Name to the module and the attribute where the function is looked up.

    Yields:
        Name to the tensors so far, in order.
    """
    drawn: dict[str, list[Tensor]] = defaultdict(list)

    def recording(name: str, draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: Any, **options: Any) -> Tensor:
            drawn[name].append(draw(*arguments, **options).clone())
            return drawn[name][-1]

        return call

    with ExitStack() as stack:
        for name, place in places.items():
            stack.enter_context(patch.object(*place, recording(name, getattr(*place))))
        yield drawn
