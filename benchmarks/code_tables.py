"""The tables of autoencoders: figures of codes, of what is decoded from the prior, and of what lies
between two codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FIGURE = "frechet_lenet"
AUTOENCODERS = {  # recipe without its data: title, page
    "ae": ("plain autoencoder", "acai"),
    "rae": ("RAE", "rae"),
    "wae-mmd-imq": ("WAE-MMD, IMQ", "wae"),
    "wae-mmd-rbf": ("WAE-MMD, RBF", "wae"),
    "wae-gan": ("WAE-GAN", "wae"),
    "wwae": ("WWAE", "wwae"),
    "sinkhorn-wae": ("Sinkhorn autoencoder", "sinkhorn-wae"),
    "acai": ("ACAI", "acai"),
    "acai-wae": ("ACAI + WAE-MMD, IMQ", "wae"),
    "acai-wwae": ("ACAI + WWAE", "wwae"),
    "wae": ("WAE-MMD, IMQ", "wae"),
}
LINES = ("ae", "acai", "acai-wwae")
PUBLISHED_LINES = {
    "ACAI, published, 262,144 steps": (0.24, 0.10),
    "plain autoencoder, published": (6.88, 0.44),
}
SCORES = ("ae", "wae", "acai-wwae")
MUSIC = {
    "pitch_class": "pitch classes",
    "onset_density": "notes a second",
    "voice_leading": "steps, semitones",
    "silence": "silence",
}
KINDS = {"midpoint": "midpoints", "transported": "midpoints, transported", "sample": "samples"}
FADES = {
    "crossfade": "cross-fade, a coin for each cell",
    "crossfade_latest": "cross-fade, the note struck last",
    "floor": "other held-out songs",
}

Results = dict[str, Any]


def digits(results: Results, folder: str) -> str:
    """All autoencoders on MNIST, with the pixel cross-fade and the data themselves as references."""
    head = [
        "decode(prior)",
        "decode(Gaussian fitted)",
        "midpoints",
        "their confidence",
        "error",
        "linear probe",
        "clusters",
        "codes to the prior, W₂² and MMD",
    ]
    lines = [
        row(["Fréchet-LeNet of, and more", *head, "seeds", "training"]),
        "|---" * (len(head) + 3) + "|",
    ]
    found = [
        (name, results[f"{name}-mnist"]) for name in AUTOENCODERS if f"{name}-mnist" in results
    ]
    for name, result in found:
        s, (title, page) = result["summary"], AUTOENCODERS[name]
        cells = [
            shown(s, FIGURE, 1) + ("" if "codes_w2" in s else " (no prior)"),
            shown(s, f"{FIGURE}_baseline", 1),
            shown(s, f"{FIGURE}_midpoint", 1),
            shown(s, "confidence_midpoint", 3),
            shown(s, "reconstruction_error", 4),
            percent(s, "linear_probe"),
            percent(s, "clustering_accuracy"),
            f"{shown(s, 'codes_w2_ratio', 2)} × floor, {s['codes_mmd']['mean']:.3f}"
            if "codes_w2" in s
            else "",
        ]
        lines.append(
            row([f"[{title}]({folder}{page}.md)", *cells, str(len(result["runs"])), cost(s)])
        )
    if found:
        s = found[0][1]["summary"]
        faded = [shown(s, f"{FIGURE}_crossfade", 1), shown(s, "confidence_crossfade", 3)]
        data = [shown(s, f"{FIGURE}_floor", 1), "", "", shown(s, "confidence_data", 3)]
        lines.append(row(["cross-fade of the pixels", "", "", *faded, *[""] * 6]))
        lines.append(row(["training pictures", *data, *[""] * 6]))
    return "\n".join(lines)


def lines32(results: Results) -> str:
    """ACAI's own task, beside what its paper reports."""
    table = [
        "| lines, 32×32 | mean distance × 10³ | smoothness | seeds | training |",
        "|---|---|---|---|---|",
    ]
    for name in LINES:
        if result := results.get(f"{name}-lines"):
            s = result["summary"]
            mean, sd = (1e3 * s["lines_mean_distance"][key] for key in ("mean", "sd"))
            distance = f"{mean:.2f} ± {sd:.2f}" if sd else f"{mean:.2f}"
            cells = [
                AUTOENCODERS[name][0],
                distance,
                shown(s, "lines_smoothness", 2),
                str(len(result["runs"])),
                cost(s),
            ]
            table.append(row(cells))
    table += [
        row([title, f"{distance:.2f}", f"{smooth:.2f}", "", "a GPU"])
        for title, (distance, smooth) in PUBLISHED_LINES.items()
    ]
    return "\n".join(table)


def paths(result: dict[str, Any] | None) -> str:
    """Middles of the three kinds of path."""
    if result is None:
        return "Not measured."
    found = result["paths"]
    names = {"map": "transport, `--steps 500`", "reconstructions": "the reconstructions"}
    head = [f"{AUTOENCODERS[recipe.rsplit('-', 1)[0]][0]}" for recipe in found]
    seeds = len(result["seeds"])
    table = [
        row([f"Fréchet-LeNet, confidence; {seeds} seeds", *head]),
        "|---" * (len(head) + 1) + "|",
    ]
    for path in next(iter(found.values())):
        cells = [
            f"{runs[path]['frechet_lenet']:.1f}, {runs[path]['confidence']:.3f}"
            for runs in found.values()
        ]
        table.append(row([names.get(path, path), *cells]))
    return "\n".join(table)


def scores(results: Results) -> str:
    """Autoencoders on NES music: what comes back, and distances to held-out songs of what is
    decoded.
    """
    table = [
        row(["", "notes right, of those sounding", *MUSIC.values(), "seeds", "training"]),
        "|---" * (len(MUSIC) + 4) + "|",
    ]
    found = [(name, results[f"{name}-nesmdb"]) for name in SCORES if f"{name}-nesmdb" in results]
    for name, result in found:
        s = result["summary"]
        for kind, what in KINDS.items():
            first = kind == "midpoint"
            kept = (
                f"{percent(s, 'note_accuracy')}, {percent(s, 'note_accuracy_sounding')}"
                if first
                else ""
            )
            about = [str(len(result["runs"])), cost(s)] if first else ["", ""]
            table.append(row([f"{AUTOENCODERS[name][0]}: {what}", kept, *music(s, kind), *about]))
    if found:
        table += [
            row([what, "", *music(found[0][1]["summary"], kind), "", ""])
            for kind, what in FADES.items()
        ]
    return "\n".join(table)


def music(summary: dict[str, Any], kind: str) -> list[str]:
    return [
        shown(summary, f"score_{name}_{kind}", 3) if f"score_{name}_{kind}" in summary else ""
        for name in MUSIC
    ]


def critic(result: dict[str, Any] | None) -> str:
    """The critic's error on frozen autoencoders, in a sentence."""
    if result is None:
        return "Not measured."
    s = {name: value["mean"] for name, value in result["summary"].items()}
    return (
        f"On {len(result['runs'])} frozen plain autoencoders of MNIST, after {result['steps']:,} "
        "steps: mean squared error "
        f"{s['alpha_error']:.4f}, a constant's {s['constant']:.4f}, {s['times_below']:.1f} times "
        "as much; its α of held-out "
        f"digits is {s['alpha_of_data']:.3f} in the mean."
    )


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def shown(summary: dict[str, Any], name: str, digits: int) -> str:
    mean, sd = summary[name]["mean"], summary[name]["sd"]
    return f"{mean:.{digits}f} ± {sd:.{digits}f}" if sd else f"{mean:.{digits}f}"


def percent(summary: dict[str, Any], name: str) -> str:
    mean, sd = (100 * summary[name][key] for key in ("mean", "sd"))
    return f"{mean:.1f} ± {sd:.1f} %" if sd else f"{mean:.1f} %"


def cost(summary: dict[str, Any]) -> str:
    return f"{summary['cpu_seconds']['mean'] / 60:.1f} CPU-min"
