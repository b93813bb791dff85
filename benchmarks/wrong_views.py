"""How far is a wrong view below the others in the report of a fit?

    python3 tasks.py bench wrong_views --size 48 --steps 200 --toys 3
    python3 tasks.py bench wrong_views --toys 1 --only correct mirrored

Fits validation toys with preset fast to true views, of which one (two, if swapped) is made wrong on purpose.
Prints a line per fit: the smallest gap of a wrong view, the largest gap of a correct one, and the number of
Gaussians at the end as a share of its maximum. The gap is the median PSNR of all views less that of the view,
dB; ``stag4d/pipeline/fit_warnings.py`` warns from ``MAX_GAP_DB`` on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from statistics import median

from stag4d.optimization import preset
from stag4d.pipeline import fit
from stag4d.toys import toy_seed, toy_views
from stag4d.view_set import ViewSet, ViewTrack

Fault = Callable[[ViewSet, ViewSet], ViewSet]


def _with_images(track: ViewTrack, source: ViewTrack) -> ViewTrack:
    """Return a track with the images of another one."""
    return replace(track, images=source.images, alphas=source.alphas)


def _changed(views: ViewSet, **changed: ViewTrack) -> ViewSet:
    """Return a set with other tracks; names are ``track`` and their index."""
    return replace(
        views,
        tracks=tuple(changed.get(f"track{index}", track) for index, track in enumerate(views.tracks)),
    )


def _mirrored(views: ViewSet, other: ViewSet) -> ViewSet:
    track = views.tracks[3]
    return _changed(views, track3=replace(track, images=track.images.flip(2), alphas=track.alphas.flip(2)))


def _swapped(views: ViewSet, other: ViewSet) -> ViewSet:
    second, fifth = views.tracks[2], views.tracks[5]
    return _changed(views, track2=_with_images(second, fifth), track5=_with_images(fifth, second))


def _frozen(views: ViewSet, other: ViewSet) -> ViewSet:
    track = views.tracks[1]
    first = replace(
        track,
        images=track.images[:1].expand_as(track.images),
        alphas=track.alphas[:1].expand_as(track.alphas),
    )
    return _changed(views, track1=first)


FAULTS: dict[str, tuple[Fault, set[int]]] = {
    "correct": (lambda views, other: views, set()),
    "mirrored": (_mirrored, {3}),
    "of another toy": (lambda v, other: _changed(v, track2=_with_images(v.tracks[2], other.tracks[2])), {2}),
    "from the opposite side": (lambda v, _: _changed(v, track4=_with_images(v.tracks[4], v.tracks[1])), {4}),
    "two swapped": (_swapped, {2, 5}),
    "that of its neighbor": (lambda v, _: _changed(v, track3=_with_images(v.tracks[3], v.tracks[2])), {3}),
    "frozen at the first frame": (_frozen, {1}),
}


def main() -> None:
    """Print the gaps of wrong and correct views."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=int, default=3, help="number of toys (default: %(default)s)")
    parser.add_argument("--size", type=int, default=48, help="pixels (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="steps of a fit (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=8, help="frames of the videos (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT")
    options = parser.parse_args()
    config = preset("fast", steps=options.steps, size=options.size)
    print(f"{'toy':>3} {'fault':26} {'wrong':>6} {'correct':>8} {'Gaussians':>10}")
    for toy in range(options.toys):
        views = toy_views(toy_seed("val", toy), options.frames, options.size)
        other = toy_views(toy_seed("val", toy + 8), options.frames, options.size)
        for name in options.only:
            make, wrong = FAULTS[name]
            _, report = fit(make(views, other), config)
            assert report.comparison is not None
            psnrs = [view.psnr for view in report.comparison.views]
            gaps = [median(psnrs) - value for value in psnrs]
            worst = min((gaps[index] for index in wrong), default=None)
            best = max(gap for index, gap in enumerate(gaps) if index not in wrong)
            share = report.num_gaussians / max(report.history.num_gaussians)
            found = "" if worst is None else f"{worst:.2f}"
            print(f"{toy:>3} {name:26} {found:>6} {best:>8.2f} {share:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
