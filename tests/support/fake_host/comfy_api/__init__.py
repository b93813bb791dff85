"""The part of ComfyUI's node API that this pack uses."""
