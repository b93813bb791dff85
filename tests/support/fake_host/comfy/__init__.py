"""The part of ComfyUI's own library that this pack uses."""
