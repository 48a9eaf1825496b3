"""The tables of dances; a result that is not there yet is None, and makers that were not measured
are left out.
"""

from __future__ import annotations

from typing import Any

from code_tables import row
from texture_tables import MISSING, Result, header, machine

TITLES = {
    "real": "real dances",
    "real-shuffled": "real dances, another song's music",
    "retrieval": "nearest music",
    "retrieval-shuffled": "nearest to another song's music",
    "mean": "mean pose",
    "gan": "GAN's loss, same generator",
    "gw": "Gromov-Wasserstein alone",
    "ot": "transport alone",
    "ot-gw": "**MDOT-Net**",
    "real-retimed": "real dances, retimed",
    "retrieval-retimed": "nearest music, retimed",
    "gan-retimed": "GAN's loss, retimed",
    "gw-retimed": "Gromov-Wasserstein alone, retimed",
    "ot-retimed": "transport alone, retimed",
    "ot-gw-retimed": "**MDOT-Net, retimed**",
}
TRAINED = ("ot-gw", "ot", "gw", "gan")
CURVES = {"relations": "relations, first → last", "transport": "transport, first → last"}


def makers(result: Result | None) -> str:
    """A row for each maker of dances, and the floor."""
    if result is None:
        return MISSING
    head = [
        "Fréchet kinetic",
        "geometric",
        "diversity kinetic",
        "geometric",
        "beat alignment",
        "dance beats a second",
    ]
    table = header(["dances", *head, "foot contact, m²/s²", "skating, m/s", "jerk, m/s³"])
    for name, found in listed(result):
        s = found["summary"]
        cells = [
            shown(s[f"{figure}_{kind}"], 1)
            for figure in ("frechet", "diversity")
            for kind in ("kinetic", "geometric")
        ]
        cells += [
            shown(s["beat_alignment"], 3),
            shown(s["motion_beats_per_second"], 2),
            shown(s["foot_contact"], 2),
        ]
        table.append(row([TITLES[name], *cells, shown(s["skating"], 3), shown(s["jerk"], 0)]))
        if name == "real":
            floor = [shown(s[f"frechet_{kind}_floor"], 1) for kind in ("kinetic", "geometric")]
            table.append(row(["floor: dances learnt from", *floor, *[""] * 7]))
    songs = f"{len(result['songs'])} songs held out, {result['train_songs']} learnt from"
    takes = [
        f"{TITLES[name].strip('*')} {len(found['takes'])}"
        for name, found in listed(result)
        if len(found["takes"]) > 1
    ]
    several = (
        f" Means ± standard deviations over several sets of dances: {', '.join(takes)}."
        if takes
        else ""
    )
    return "\n".join([*table, "", f"{songs}.{several} {machine(result)}"])


def short(result: Result | None) -> str:
    """The README's: distances, beats and cost."""
    if result is None:
        return MISSING
    head = [
        "Fréchet kinetic",
        "Fréchet geometric",
        "beat alignment",
        "with other songs' music",
        "correlation with the music",
    ]
    table = header(["dances to songs held out", *head, "training"])
    whole = result["makers"].get("ot-gw", {}).get("relation", {})
    for name, found in listed(result):
        if name.endswith("-retimed") and name != "ot-gw-retimed":
            continue
        s = found["summary"]
        related = found.get("relation", {}).get("learnt_relation_made") or (
            whole.get("learnt_relation_real") if name == "real" else None
        )
        beats = [
            shown(s["beat_alignment"], 3),
            f"{found['beats']['other']:.3f}" if "beats" in found else "",
        ]
        cells = [
            shown(s["frechet_kinetic"], 1),
            shown(s["frechet_geometric"], 1),
            *beats,
            shown(related, 2),
        ]
        table.append(row([TITLES[name], *cells, cost(found)]))
        if name == "real":
            floor = [shown(s[f"frechet_{kind}_floor"], 1) for kind in ("kinetic", "geometric")]
            table.append(row(["floor: dances learnt from", *floor, *[""] * 4]))
    return "\n".join([*table, "", machine(result)])


def beats(result: Result | None) -> str:
    """What dances gain in beat alignment from their own music."""
    found = (
        []
        if result is None
        else [(name, about) for name, about in listed(result) if "beats" in about]
    )
    if result is None or not found:
        return MISSING
    head = [
        "dances",
        "alignment with their music",
        "with other songs'",
        "difference ± standard error",
        "in standard errors",
    ]
    table = header([*head, "of the real dances'"])
    truth = result["makers"].get("real", {}).get("beats", {}).get("own")
    for name, about in found:
        b = about["beats"]
        error = max(b["se"], b["se_songs"])
        times = f"{b['excess'] / error:.1f}" if error else ""
        share = f"{b['own'] / truth:.0%}" if truth else ""
        cells = [
            f"{b['own']:.3f}",
            f"{b['other']:.3f}",
            f"{b['excess']:+.4f} ± {error:.4f}",
            times,
            share,
        ]
        table.append(row([TITLES[name], *cells]))
    return "\n".join(table)


def ablation(result: Result | None) -> str:
    """The trained rows: what each loss does to the relations, and how training went."""
    found = (
        []
        if result is None
        else [(name, about) for name, about in listed(result) if name in TRAINED]
    )
    if result is None or not found:
        return MISSING
    head = [
        "loss",
        "Fréchet kinetic",
        "geometric",
        "correlation, as learnt",
        "of poses",
        "multi-modality kinetic",
        "geometric",
    ]
    table = header([*head, *CURVES.values(), "seeds", "training"])
    for name, about in found:
        s = about["summary"]
        cells = [shown(s[f"frechet_{kind}"], 1) for kind in ("kinetic", "geometric")]
        cells += [
            shown(about.get("relation", {}).get("learnt_relation_made"), 2),
            shown(s.get("correlation"), 2),
        ]
        cells += [
            shown(about["modes"].get(f"multi_modality_{kind}"), 2)
            for kind in ("kinetic", "geometric")
        ]
        cells += [fallen(about["training"], curve) for curve in CURVES]
        table.append(row([TITLES[name], *cells, str(len(about["training"])), cost(about)]))
    real = result["makers"].get("real", {}).get("summary", {})
    if "correlation" in real:
        table.append(
            row(
                [
                    "real dances",
                    "",
                    "",
                    shown(found[0][1].get("relation", {}).get("learnt_relation_real"), 2),
                    shown(real["correlation"], 2),
                    *[""] * 6,
                ]
            )
        )
    return "\n".join([*table, "", f"{said_of_curves(found)} {machine(result)}"])


def fallen(training: list[Result], curve: str) -> str:
    """First and last value of a curve, mean over the seeds; of curves that share the name's
    beginning, the sum.
    """
    ends: list[float] = []
    for end in (0, 1):
        sums = [
            sum(pair[end] for key, pair in run["curves"].items() if key.startswith(curve))
            for run in training
        ]
        ends.append(sum(sums) / len(sums))
    return (
        f"{ends[0]:.3g} → {ends[1]:.3g}"
        if any(key.startswith(curve) for key in training[0]["curves"])
        else ""
    )


def said_of_curves(found: list[tuple[str, Result]]) -> str:
    runs = [run for _, about in found for run in about["training"]]
    fine = sum(run["finite"] for run in runs)
    down = sum(run["curves"]["loss"][1] < run["curves"]["loss"][0] for run in runs)
    return (
        f"All values of the log are finite in {fine} of {len(runs)} runs; the loss ends lower than "
        f"it began in {down}."
    )


def speed(result: Result | None) -> str:
    if result is None or "speed" not in result:
        return MISSING
    s = result["speed"]
    table = header(["a song", "CPU", "by the clock"])
    for key, what in (
        ("features_of_3_minutes", "3 minutes, sound to features"),
        ("dance_of_3_minutes", "3 minutes, features to poses"),
    ):
        table.append(
            row([what, f"{s[key]['cpu_seconds']:.2f} s", f"{s[key]['wall_seconds']:.2f} s"])
        )
    fine = "finite" if s["5_minutes_finite"] else "**not finite**"
    said = (
        f"Over 5 minutes all positions are {fine} and bones keep their lengths to "
        f"{s['5_minutes_bone_length_error']:.1e}."
    )
    return "\n".join([*table, "", f"{said} {machine(result)}"])


def extraction(result: Result | None) -> str:
    """Features beside one Python loop per joint and frame."""
    if result is None:
        return MISSING
    table = header(
        [
            f"{result['windows']} windows of {result['frames']} frames",
            "a loop",
            "monge",
            "faster",
            "largest difference",
        ]
    )
    for name, r in result["features"].items():
        cells = [
            f"{r['loop_cpu_seconds']:.2f} s",
            f"{r['cpu_seconds'] * 1e3:.1f} ms",
            f"{r['times_faster']:.0f} ×",
        ]
        table.append(row([name, *cells, f"{r['max_difference']:.1e}"]))
    return "\n".join([*table, "", machine(result)])


def listed(result: Result) -> list[tuple[str, Result]]:
    return [(name, result["makers"][name]) for name in TITLES if name in result["makers"]]


def cost(found: Result) -> str:
    runs = found.get("training", [])
    return f"{sum(run['cpu_seconds'] for run in runs) / len(runs) / 60:.1f} CPU-min" if runs else ""


def shown(figure: dict[str, Any] | None, digits: int) -> str:
    """Mean ± standard deviation; nothing where there is no figure."""
    if figure is None:
        return ""
    mean = f"{round(figure['mean'], digits) + 0.0:.{digits}f}"  # no −0
    return f"{mean} ± {figure['sd']:.{digits}f}" if figure["sd"] >= 0.5 * 10**-digits else mean
