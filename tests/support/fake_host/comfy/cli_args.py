"""Options of ComfyUI's command line."""

from argparse import Namespace

args = Namespace(disable_metadata=False)
