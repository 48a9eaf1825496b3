"""Tables of autoencoders: codes, what the prior decodes to, and what lies between two codes."""

from __future__ import annotations

from typing import Any

from benchmarks.common.markdown import NOT_MEASURED, cpu_minutes, header, row, with_deviation
from benchmarks.common.results import Result

FRECHET = "frechet_lenet"
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
ON_LINES = ("ae", "acai", "acai-wwae")
PUBLISHED_LINES = {
    "ACAI, published, 262,144 steps": (0.24, 0.10),
    "plain autoencoder, published": (6.88, 0.44),
}
ON_MUSIC = ("ae", "wae", "acai-wwae")
MUSIC = {
    "pitch_class": "pitch classes",
    "onset_density": "notes a second",
    "voice_leading": "steps, semitones",
    "silence": "silence",
}
KINDS = {"midpoint": "midpoints", "transported": "midpoints, transported", "sample": "samples"}
REFERENCES = {
    "crossfade": "cross-fade, a coin for each cell",
    "crossfade_latest": "cross-fade, the note struck last",
    "floor": "other held-out songs",
}


def mnist(results: Result, folder: str) -> str:
    """All autoencoders on MNIST; the pixel cross-fade and the data themselves as references.

    ``folder`` is that of the methods' pages, seen from the page of the table.
    """
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
    table = header(["Fréchet-LeNet of, and more", *head, "seeds", "training"])
    measured = on_data(results, tuple(AUTOENCODERS), "mnist")
    for name, result in measured:
        s, (title, page) = result["summary"], AUTOENCODERS[name]
        ratio = f"{cell(s, 'codes_w2_ratio', 2)} × floor" if "codes_w2" in s else ""
        cells = [
            cell(s, FRECHET, 1) + ("" if ratio else " (no prior)"),
            cell(s, f"{FRECHET}_baseline", 1),
            cell(s, f"{FRECHET}_midpoint", 1),
            cell(s, "confidence_midpoint", 3),
            cell(s, "reconstruction_error", 4),
            percent(s, "linear_probe"),
            percent(s, "clustering_accuracy"),
            f"{ratio}, {s['codes_mmd']['mean']:.3f}" if ratio else "",
        ]
        table.append(row([f"[{title}]({folder}{page}.md)", *cells, *seeds_and_cost(result)]))
    if measured:
        s = measured[0][1]["summary"]
        faded = [cell(s, f"{FRECHET}_crossfade", 1), cell(s, "confidence_crossfade", 3)]
        data = [cell(s, f"{FRECHET}_floor", 1), "", "", cell(s, "confidence_data", 3)]
        table.append(row(["cross-fade of the pixels", "", "", *faded, *[""] * 6]))
        table.append(row(["training pictures", *data, *[""] * 6]))
    return "\n".join(table)


def lines(results: Result) -> str:
    """ACAI's own task, beside what its paper reports."""
    head = ["lines, 32×32", "mean distance × 10³", "smoothness", "seeds", "training"]
    table = header(head)
    for name, result in on_data(results, ON_LINES, "lines"):
        s = result["summary"]
        distance = with_deviation(s["lines_mean_distance"], 2, 1e3)
        cells = [distance, cell(s, "lines_smoothness", 2), *seeds_and_cost(result)]
        table.append(row([AUTOENCODERS[name][0], *cells]))
    table += [
        row([title, f"{distance:.2f}", f"{smooth:.2f}", "", "a GPU"])
        for title, (distance, smooth) in PUBLISHED_LINES.items()
    ]
    return "\n".join(table)


def paths(result: Result | None) -> str:
    """Midpoints of the three kinds of path."""
    if result is None:
        return NOT_MEASURED
    recipes = result["paths"]
    names = {"map": "transport, `--steps 500`", "reconstructions": "the reconstructions"}
    titles = [AUTOENCODERS[recipe.rsplit("-", 1)[0]][0] for recipe in recipes]
    table = header([f"Fréchet-LeNet, confidence; {len(result['seeds'])} seeds", *titles])
    for path in next(iter(recipes.values())):
        cells = [
            f"{runs[path]['frechet_lenet']:.1f}, {runs[path]['confidence']:.3f}"
            for runs in recipes.values()
        ]
        table.append(row([names.get(path, path), *cells]))
    return "\n".join(table)


def music(results: Result) -> str:
    """NES music: what comes back, and distances to held-out songs of what is decoded."""
    head = ["", "notes right, of those sounding", *MUSIC.values(), "seeds", "training"]
    table = header(head)
    measured = on_data(results, ON_MUSIC, "nesmdb")
    for name, result in measured:
        s = result["summary"]
        first = f"{percent(s, 'note_accuracy')}, {percent(s, 'note_accuracy_sounding')}"
        about = seeds_and_cost(result)
        for kind, what in KINDS.items():
            title = f"{AUTOENCODERS[name][0]}: {what}"
            table.append(row([title, first, *music_distances(s, kind), *about]))
            first, about = "", ["", ""]  # the other rows are of the same runs
    if measured:
        s = measured[0][1]["summary"]
        for kind, what in REFERENCES.items():
            table.append(row([what, "", *music_distances(s, kind), "", ""]))
    return "\n".join(table)


def critic(result: Result | None) -> str:
    """The critic's error on frozen autoencoders, in a sentence."""
    if result is None:
        return NOT_MEASURED
    s = {name: value["mean"] for name, value in result["summary"].items()}
    return (
        f"On {len(result['runs'])} frozen plain autoencoders of MNIST, after {result['steps']:,} "
        f"steps: mean squared error {s['alpha_error']:.4f}, a constant's {s['constant']:.4f}, "
        f"{s['times_below']:.1f} times as much; its α of held-out digits is "
        f"{s['alpha_of_data']:.3f} in the mean."
    )


def on_data(results: Result, names: tuple[str, ...], data: str) -> list[tuple[str, Result]]:
    """Return the autoencoders that were measured on a data set, with their results."""
    return [(name, results[f"{name}-{data}"]) for name in names if f"{name}-{data}" in results]


def music_distances(summary: dict[str, Any], kind: str) -> list[str]:
    keys = [f"score_{name}_{kind}" for name in MUSIC]
    return [cell(summary, key, 3) if key in summary else "" for key in keys]


def cell(summary: dict[str, Any], name: str, digits: int) -> str:
    return with_deviation(summary[name], digits)


def percent(summary: dict[str, Any], name: str) -> str:
    return f"{with_deviation(summary[name], 1, 100)} %"


def seeds_and_cost(result: Result) -> list[str]:
    return [str(len(result["runs"])), cpu_minutes(result["summary"]["cpu_seconds"]["mean"])]
