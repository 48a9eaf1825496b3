"""Spectra of sound: mel power, chroma and onset strength of each frame.

Frame k is centered at sample k · hop. The sound is padded with silence at both ends, so that n
samples give 1 + n // hop frames. The settings are those of the dance data: 22,050 Hz, hop 882 (25
frames per second), Hann window 2,048, 64 bands from 40 to 11,025 Hz. The description of the data
leaves the following open; its values imply it:

- the mel scale is 2595 log₁₀(1 + f/700): only then do the low bands that contain a note rise and
  fall with its chroma
- a band's triangle has area 1 in Hz: only then are the 36 songs about as loud as commercial
  recordings, −15 dB of full scale
- the power is that of the window's transform, not normalized, of samples in [−1, 1]; 10⁻⁸ is
  silence
- chroma adds the power from 80 to 5,000 Hz to the nearest of 12 pitch classes from C, A = 440 Hz
"""

from __future__ import annotations

import torch
from torch import Tensor

RATE = 22050  # Hz
HOP = 882
WINDOW = 2048

_SILENCE = 1e-8
_BATCH = 4096  # frames transformed at once


def mel(
    x: Tensor,
    rate: int = RATE,
    hop: int = HOP,
    window: int = WINDOW,
    bands: int = 64,
    low: float = 40,
    high: float = 11025,
) -> Tensor:
    """Compute log₁₀ mel power (T, bands) of samples (n,).

    Bands are equally wide in mel. The result is at least −8.

    >>> mel(torch.zeros(22050)).shape, mel(torch.zeros(22050)).unique().tolist()
    (torch.Size([26, 64]), [-8.0])
    """
    power = _power(x, hop, window, _triangles(rate, window, bands, low, high))
    return power.clamp_min(_SILENCE).log10()


def chroma(x: Tensor, rate: int = RATE, hop: int = HOP, window: int = WINDOW) -> Tensor:
    """Compute the power (T, 12) of samples (n,) in the pitch classes C to B.

    It is divided by the power of the strongest class, and is 0 in silence.

    >>> a = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    >>> chroma(a)[5].argmax()
    tensor(9)
    """
    power = _power(x, hop, window, _pitch_classes(rate, window))
    return power / (power.amax(1, keepdim=True) + _SILENCE)


def onset(mel: Tensor) -> Tensor:
    """Compute onset strength (T,) from log mel power (T, bands).

    The strength is the increase from one frame to the next, averaged over the bands. A window
    contains a sudden sound before its center reaches it, so beats of these onsets are about half a
    frame, 10 to 20 ms, early.

    >>> onset(torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.0, 1.5]]))
    tensor([0.0000, 0.7500, 0.5000])
    """
    gain = mel.diff(dim=0).clamp_min(0).mean(1)
    return torch.cat([gain.new_zeros(min(1, len(mel))), gain])


def _power(x: Tensor, hop: int, window: int, weights: Tensor) -> Tensor:
    """Sum the power spectrum of samples (n,) in bands (T, bands).

    ``weights`` are (1 + window / 2, bands).
    """
    if x.ndim != 1 or not len(x):
        raise ValueError(f"x must be samples (n,), got shape {tuple(x.shape)}: mix channels first")
    if hop < 1 or window < 2:
        raise ValueError(f"hop and window must be at least 1 and 2 samples, got {hop} and {window}")
    padded = torch.nn.functional.pad(x.float(), (window // 2, window - window // 2))
    frames = padded.unfold(0, window, hop)[: 1 + len(x) // hop]
    hann, weights = torch.hann_window(window, device=x.device), weights.to(x.device)
    spectra = (torch.fft.rfft(batch * hann) for batch in frames.split(_BATCH))
    return torch.cat([spectrum.abs().square() @ weights for spectrum in spectra])


def _triangles(rate: int, window: int, bands: int, low: float, high: float) -> Tensor:
    """Return the weights (1 + window / 2, bands) of frequencies in the mel bands.

    Each band is a triangle of area 1 Hz.
    """
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"low and high must be in order and at most half the rate {rate}, got {low} and {high}"
        )
    ends = 2595 * (1 + torch.tensor([low, high], dtype=torch.float64) / 700).log10()
    mels = torch.linspace(float(ends[0]), float(ends[1]), bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    at = _frequencies(rate, window)[:, None]
    height = torch.minimum((at - left) / (middle - left), (right - at) / (right - middle))
    return (height.clamp_min(0) * 2 / (right - left)).float()


def _pitch_classes(rate: int, window: int) -> Tensor:
    """Return the membership (1 + window / 2, 12) of frequencies in pitch classes, 0 or 1."""
    at = _frequencies(rate, window)
    audible = (at >= 80) & (at <= 5000)
    nearest = (69 + 12 * (at.clamp_min(1) / 440).log2()).round().long() % 12
    return torch.nn.functional.one_hot(nearest, 12).float() * audible[:, None]


def _frequencies(rate: int, window: int) -> Tensor:
    return torch.arange(window // 2 + 1, dtype=torch.float64) * rate / window
