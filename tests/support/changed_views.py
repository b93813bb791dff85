"""Changed copies of view sets of orbit poses."""

from stag4d.view_set import ViewSet


def changed_views(views, **changes):
    """Return a set like another; changes are arguments of ``ViewSet.from_orbit``."""
    names = ("images", "alphas", "view_images", "view_alphas", "input_pose", "view_poses", "fps", "offsets")
    return ViewSet.from_orbit(**({name: getattr(views, name) for name in names} | changes))
