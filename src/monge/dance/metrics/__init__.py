"""Metrics of dances: distance from real dances, beat alignment, plausibility, relation to music."""

from .beats import beat_alignment, beat_alignment_of, motion_beats
from .features import kinetic_features, windows
from .music import dance_distance, relation
from .physics import bone_length_error, jerk, physical_foot_contact, skating
from .relations import RELATIONS, geometric_features
from .score import Kind, diversity, frechet_dance, measure_dances, multi_modality

# fmt: off
__all__ = [
    "RELATIONS", "Kind", "beat_alignment", "beat_alignment_of", "bone_length_error",
    "dance_distance", "diversity", "frechet_dance", "geometric_features", "jerk",
    "kinetic_features", "measure_dances", "motion_beats", "multi_modality", "physical_foot_contact",
    "relation", "skating", "windows",
]
# fmt: on
