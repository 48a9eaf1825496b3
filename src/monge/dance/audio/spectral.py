"""Spectra of sound: mel power, chroma and onset strength, frame by frame.

A frame k is centered at the sample k · hop; the sound is continued by silence at both ends, so that
n samples make 1 + n // hop frames. The recipe is that of the dance data, 22,050 Hz, hop 882 (25
frames a second), Hann window 2,048, 64 bands from 40 to 11,025 Hz. What its description leaves open
follows from its values, and holds here too:

- the mel scale is 2595 log₁₀(1 + f/700): only then do the low bands that contain a note rise and
  fall with its chroma
- a band's triangle has area 1 in Hz: only then are the 36 songs about as loud as records are, −15
  dB of full scale
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
    """Logarithm to base 10 of the power (T, bands) of samples (n,) in bands that are evenly wide in
    mel; at least −8.

    >>> mel(torch.zeros(22050)).shape, mel(torch.zeros(22050)).unique().tolist()
    (torch.Size([26, 64]), [-8.0])
    """
    return (
        _power(x, hop, window, _triangles(rate, window, bands, low, high))
        .clamp_min(_SILENCE)
        .log10()
    )


def chroma(x: Tensor, rate: int = RATE, hop: int = HOP, window: int = WINDOW) -> Tensor:
    """Power (T, 12) of samples (n,) in the pitch classes C to B, over that of the strongest; 0 in
    silence.

    >>> a = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    >>> chroma(a)[5].argmax()
    tensor(9)
    """
    power = _power(x, hop, window, _pitch_classes(rate, window))
    return power / (power.amax(1, keepdim=True) + _SILENCE)


def onset(mel: Tensor) -> Tensor:
    """Onset strength (T,): the mean over the bands of what log mel power (T, bands) gains from one
    frame to the next.

    A window sees a sudden sound before its middle does: beats of these onsets come about half a
    frame, 10 to 20 ms, early.

    >>> onset(torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.0, 1.5]]))
    tensor([0.0000, 0.7500, 0.5000])
    """
    gain = mel.diff(dim=0).clamp_min(0).mean(1)
    return torch.cat([gain.new_zeros(min(1, len(mel))), gain])


def _power(x: Tensor, hop: int, window: int, weights: Tensor) -> Tensor:
    """Power spectrum of samples (n,), weighted (1 + window / 2, bands) and added up, (T, bands)."""
    if x.ndim != 1 or not len(x):
        raise ValueError(f"x must be samples (n,), got shape {tuple(x.shape)}: mix channels first")
    if hop < 1 or window < 2:
        raise ValueError(f"hop and window must be at least 1 and 2 samples, got {hop} and {window}")
    padded = torch.nn.functional.pad(x.float(), (window // 2, window - window // 2))
    frames = padded.unfold(0, window, hop)[: 1 + len(x) // hop]
    hann, weights = torch.hann_window(window, device=x.device), weights.to(x.device)
    return torch.cat(
        [torch.fft.rfft(part * hann).abs().square() @ weights for part in frames.split(_BATCH)]
    )


def _triangles(rate: int, window: int, bands: int, low: float, high: float) -> Tensor:
    """Weights (1 + window / 2, bands) of the frequencies in the bands, each a triangle of area 1
    Hz.
    """
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"low and high must be in order and at most half the rate {rate}, got {low} and {high}"
        )
    ends = 2595 * (1 + torch.tensor([low, high], dtype=torch.float64) / 700).log10()
    edges = 700 * (
        10
        ** (torch.linspace(float(ends[0]), float(ends[1]), bands + 2, dtype=torch.float64) / 2595)
        - 1
    )
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    at = _frequencies(rate, window)[:, None]
    height = torch.minimum(
        (at - left) / (middle - left), (right - at) / (right - middle)
    ).clamp_min(0)
    return (height * 2 / (right - left)).float()


def _pitch_classes(rate: int, window: int) -> Tensor:
    """Which frequencies (1 + window / 2, 12) belong to which pitch class."""
    at = _frequencies(rate, window)
    audible = (at >= 80) & (at <= 5000)
    nearest = (69 + 12 * (at.clamp_min(1) / 440).log2()).round().long() % 12
    return torch.nn.functional.one_hot(nearest, 12).float() * audible[:, None]


def _frequencies(rate: int, window: int) -> Tensor:
    return torch.arange(window // 2 + 1, dtype=torch.float64) * rate / window
