"""Piano rolls as a kind of sample: plots, and the evaluator of samples and interpolations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from monge.data.subject import Subject, on_cpu
from monge.methods.protocols import Autoencoding
from monge.metrics import Evaluator, Measured, Measures, Metric, evaluator
from monge.nets import Autoencoder

from .metrics import TITLES, coin_fade, latest_fade, note_accuracy, piano_roll_distances
from .plots import plot_piano_rolls
from .rolls import most_likely, one_hot

_MOST = 1000  # windows of each kind
_SHOWN = 12  # piano rolls in a plot

ACCURACY = Metric("note_accuracy", "notes right", 1, "high", "%", 100, table="notes right, %")
DISTANCES = {
    name: Metric(f"score_{name}_sample", title, 3, "low", stem=f"score_{name}")
    for name, title in TITLES.items()
}


@dataclass(frozen=True)
class PianoRoll:
    """Windows of songs (n, voices, classes, frames), one-hot over the classes.

    ``rate`` is in frames per second.
    """

    rate: float

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        return (music_of(self.rate),)

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        from monge import plots

        return plots.to_png(plot_piano_rolls(most_likely(samples[:_SHOWN]), self.rate))

    def as_points(self, samples: Tensor) -> Tensor:
        return samples.flatten(1)


def music_of(rate: float) -> Evaluator:
    """Return the evaluator of piano rolls at ``rate`` frames per second."""

    @evaluator(ACCURACY, *DISTANCES.values())
    def music(subject: Subject) -> Measures:
        """Measure the distances of `monge.music.metrics` to held-out windows.

        The floor is the distance of other held-out windows A. For a method with an autoencoder, the
        distances of windows between pairs of held-out windows (A, B) are measured, too:
        ``midpoint``, decoded from (z_A + z_B)/2; ``transported``, decoded from a point as far from
        the mean m of the codes as codes are, m + ((z_A + z_B)/2 − m)·√2; and the cross-fades of the
        two rolls, ``crossfade`` (a coin for each cell) and ``crossfade_latest`` (the note struck
        last). `ACCURACY` is that of held-out reconstructions.
        """
        config = subject.config
        held_out = most_likely(subject.data.held_out(3 * min(_MOST, config.samples), config.seed))
        third = len(held_out) // 3
        if not third:
            return {}
        truth, a, b = held_out.split(third)[:3]
        kinds = {"floor": a, "sample": most_likely(subject.samples(third, config.seed))}
        measures: Measures = {}
        if isinstance(subject.method, Autoencoding):
            autoencoder = subject.method.autoencoder
            rebuilt = most_likely(autoencoder.decode_all(autoencoder.encode_all(_samples(truth))))
            right, sounding = note_accuracy(rebuilt, truth)
            measures[ACCURACY] = Measured(right, beside={"sounding": sounding})
            kinds |= _between(autoencoder, a, b, config.seed)
        distances = {kind: piano_roll_distances(x, truth, rate) for kind, x in kinds.items()}
        value, floor = distances.pop("sample"), distances.pop("floor")
        for name, metric in DISTANCES.items():
            others = {kind: values[name] for kind, values in distances.items()}
            measures[metric] = Measured(value[name], floor[name], others)
        return measures

    return music


def _between(autoencoder: Autoencoder, a: Tensor, b: Tensor, seed: int) -> dict[str, Tensor]:
    """Return the windows half-way between two, by kind."""
    z_a, z_b = (autoencoder.encode_all(_samples(rolls)) for rolls in (a, b))
    mean = on_cpu(autoencoder.mean)
    middle = (z_a + z_b) / 2
    return {
        "midpoint": most_likely(autoencoder.decode_all(middle)),
        "transported": most_likely(autoencoder.decode_all(mean + (middle - mean) * 2**0.5)),
        "crossfade": coin_fade(a, b, seed),
        "crossfade_latest": latest_fade(a, b, seed),
    }


def _samples(rolls: Tensor) -> Tensor:
    return one_hot(rolls.movedim(1, 2))
