"""The commands that training/README.md gives are such as the scripts take."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "training" / "README.md"
COMMANDS = re.findall(
    r"^    (?:python|torchrun .*?) -m (training\.\w+) +(.*)$", README.read_text(), re.MULTILINE
)


class ParsedError(Exception):
    """The command line was understood."""


@pytest.mark.parametrize(("module", "words"), COMMANDS, ids=[module for module, _ in COMMANDS])
def test_the_script_takes_the_command(module, words, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser, arguments=None, namespace=None):
        parse(parser, shlex.split(words), namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    with pytest.raises(ParsedError):
        importlib.import_module(module).main()


def test_every_run_has_its_command():
    scripts = {path.stem for path in README.parent.glob("*.py") if "def main()" in path.read_text()}
    assert {f"training.{script}" for script in scripts} == {module for module, _ in COMMANDS}
