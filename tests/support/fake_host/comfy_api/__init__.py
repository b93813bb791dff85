"""The part of the host's node API that this pack uses."""
