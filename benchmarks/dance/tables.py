"""Tables of dances; a result that is not there yet is None.

Makers that were not measured are left out.
"""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.common.markdown import NOT_MEASURED, cpu_minutes, header, machine_line, row
from benchmarks.common.results import Result

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
KINDS = ("kinetic", "geometric")  # of features
CURVES = {"relations": "relations, first → last", "transport": "transport, first → last"}


def makers(result: Result | None) -> str:
    """A row for each maker of dances, and the floor."""
    if result is None:
        return NOT_MEASURED
    head = ["dances", "Fréchet kinetic", "geometric", "diversity kinetic", "geometric"]
    head += ["beat alignment", "dance beats a second"]
    table = header([*head, "foot contact, m²/s²", "skating, m/s", "jerk, m/s³"])
    for name, maker in measured(result):
        s = maker["summary"]
        cells = [
            *(cell(s[f"frechet_{kind}"], 1) for kind in KINDS),
            *(cell(s[f"diversity_{kind}"], 1) for kind in KINDS),
            cell(s["beat_alignment"], 3),
            cell(s["motion_beats_per_second"], 2),
            cell(s["foot_contact"], 2),
            cell(s["skating"], 3),
            cell(s["jerk"], 0),
        ]
        table.append(row([TITLES[name], *cells]))
        if name == "real":
            table.append(floor_row(s, 7))
    songs = f"{len(result['songs'])} songs held out, {result['train_songs']} learnt from"
    takes = [
        f"{TITLES[name].strip('*')} {len(maker['takes'])}"
        for name, maker in measured(result)
        if len(maker["takes"]) > 1
    ]
    several = ""
    if takes:
        deviations = "Means ± standard deviations over several sets of dances"
        several = f" {deviations}: {', '.join(takes)}."
    return "\n".join([*table, "", f"{songs}.{several} {machine_line(result)}"])


def summary(result: Result | None) -> str:
    """Distances, beats, correlation with the music and cost."""
    if result is None:
        return NOT_MEASURED
    head = ["dances to songs held out", "Fréchet kinetic", "Fréchet geometric", "beat alignment"]
    table = header([*head, "with other songs' music", "correlation with the music", "training"])
    whole = result["makers"].get("ot-gw", {}).get("relation", {})
    for name, maker in measured(result):
        if name.endswith("-retimed") and name != "ot-gw-retimed":
            continue
        s = maker["summary"]
        relation = maker.get("relation", {}).get("learnt_relation_made")
        if relation is None and name == "real":
            relation = whole.get("learnt_relation_real")
        cells = [
            *(cell(s[f"frechet_{kind}"], 1) for kind in KINDS),
            cell(s["beat_alignment"], 3),
            f"{maker['beats']['other']:.3f}" if "beats" in maker else "",
            cell(relation, 2),
            cost(maker),
        ]
        table.append(row([TITLES[name], *cells]))
        if name == "real":
            table.append(floor_row(s, 4))
    return "\n".join([*table, "", machine_line(result)])


def floor_row(summary: dict[str, Any], n_empty: int) -> str:
    floors = [cell(summary[f"frechet_{kind}_floor"], 1) for kind in KINDS]
    return row(["floor: dances learnt from", *floors, *[""] * n_empty])


def beats(result: Result | None) -> str:
    """What dances gain in beat alignment from their own music."""
    rows = [] if result is None else [pair for pair in measured(result) if "beats" in pair[1]]
    if result is None or not rows:
        return NOT_MEASURED
    head = ["dances", "alignment with their music", "with other songs'"]
    head += ["difference ± standard error", "in standard errors", "of the real dances'"]
    table = header(head)
    real = result["makers"].get("real", {}).get("beats", {}).get("own")
    for name, maker in rows:
        own, other, excess = (maker["beats"][key] for key in ("own", "other", "excess"))
        error = max(maker["beats"]["se"], maker["beats"]["se_songs"])
        cells = [
            f"{own:.3f}",
            f"{other:.3f}",
            f"{excess:+.4f} ± {error:.4f}",
            f"{excess / error:.1f}" if error else "",
            f"{own / real:.0%}" if real else "",
        ]
        table.append(row([TITLES[name], *cells]))
    return "\n".join(table)


def ablation(result: Result | None) -> str:
    """The trained rows: what each loss does to the relations, and how training went."""
    rows = [] if result is None else [pair for pair in measured(result) if pair[0] in TRAINED]
    if result is None or not rows:
        return NOT_MEASURED
    head = ["loss", "Fréchet kinetic", "geometric", "correlation, as learnt", "of poses"]
    head += ["multi-modality kinetic", "geometric"]
    table = header([*head, *CURVES.values(), "seeds", "training"])
    for name, maker in rows:
        s = maker["summary"]
        cells = [
            *(cell(s[f"frechet_{kind}"], 1) for kind in KINDS),
            cell(maker.get("relation", {}).get("learnt_relation_made"), 2),
            cell(s.get("correlation"), 2),
            *(cell(maker["modes"].get(f"multi_modality_{kind}"), 2) for kind in KINDS),
            *(curve_cell(maker["training"], curve) for curve in CURVES),
            str(len(maker["training"])),
            cost(maker),
        ]
        table.append(row([TITLES[name], *cells]))
    real = result["makers"].get("real", {}).get("summary", {})
    if "correlation" in real:
        relation = rows[0][1].get("relation", {}).get("learnt_relation_real")
        cells = ["", "", cell(relation, 2), cell(real["correlation"], 2), *[""] * 6]
        table.append(row(["real dances", *cells]))
    return "\n".join([*table, "", f"{describe_curves(rows)} {machine_line(result)}"])


def curve_cell(training: list[Result], curve: str) -> str:
    """First and last value of a curve, mean over the seeds.

    Curves whose names begin alike are summed; a curve that was not logged is an empty cell.
    """
    if not any(key.startswith(curve) for key in training[0]["curves"]):
        return ""

    def total(run: Result, end: int) -> float:
        curves = run["curves"].items()
        return float(sum(values[end] for key, values in curves if key.startswith(curve)))

    first, last = (sum(total(run, end) for run in training) / len(training) for end in (0, 1))
    return f"{first:.3g} → {last:.3g}"


def describe_curves(rows: list[tuple[str, Result]]) -> str:
    """In how many runs all values are finite, and in how many the loss became lower."""
    runs = [run for _, maker in rows for run in maker["training"]]
    finite = sum(run["finite"] for run in runs)
    lower = sum(run["curves"]["loss"][1] < run["curves"]["loss"][0] for run in runs)
    return (
        f"All values of the log are finite in {finite} of {len(runs)} runs; the loss ends lower "
        f"than it began in {lower}."
    )


def speed(result: Result | None) -> str:
    """Time for a song, and properties of a long dance."""
    if result is None or "speed" not in result:
        return NOT_MEASURED
    s = result["speed"]
    table = header(["a song", "CPU", "by the clock"])
    for key, title in (
        ("features_of_3_minutes", "3 minutes, sound to features"),
        ("dance_of_3_minutes", "3 minutes, features to poses"),
    ):
        seconds = [f"{s[key][clock]:.2f} s" for clock in ("cpu_seconds", "wall_seconds")]
        table.append(row([title, *seconds]))
    finite = "finite" if s["5_minutes_finite"] else "**not finite**"
    sentence = (
        f"Over 5 minutes all positions are {finite} and bones keep their lengths to "
        f"{s['5_minutes_bone_length_error']:.1e}."
    )
    return "\n".join([*table, "", f"{sentence} {machine_line(result)}"])


def extraction(result: Result | None) -> str:
    """Features beside one Python loop per joint and frame."""
    if result is None:
        return NOT_MEASURED
    first = f"{result['windows']} windows of {result['frames']} frames"
    table = header([first, "a loop", "monge", "faster", "largest difference"])
    for name, metrics in result["features"].items():
        cells = [
            f"{metrics['loop_cpu_seconds']:.2f} s",
            f"{metrics['cpu_seconds'] * 1e3:.1f} ms",
            f"{metrics['times_faster']:.0f} ×",
            f"{metrics['max_difference']:.1e}",
        ]
        table.append(row([name, *cells]))
    return "\n".join([*table, "", machine_line(result)])


def measured(result: Result) -> list[tuple[str, Result]]:
    """Return the makers that were measured, in the order of the tables."""
    return [(name, result["makers"][name]) for name in TITLES if name in result["makers"]]


def cost(maker: Result) -> str:
    runs = maker.get("training", [])
    return cpu_minutes(mean(run["cpu_seconds"] for run in runs)) if runs else ""


def cell(value: dict[str, Any] | None, digits: int) -> str:
    """Return mean ± standard deviation, if it is visible; an empty cell for None."""
    if value is None:
        return ""
    text = f"{round(value['mean'], digits) + 0.0:.{digits}f}"  # no −0
    return f"{text} ± {value['sd']:.{digits}f}" if value["sd"] >= 0.5 * 10**-digits else text
