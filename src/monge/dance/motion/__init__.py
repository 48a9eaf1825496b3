"""Motion of skeletons: positions, directions of bones, features, distances between poses, files."""

from .bvh import Clip, read_bvh, write_bvh
from .canonical import TRAVEL, channels, decode, encode, facing, velocities
from .contact import foot_contact, speeds
from .geodesic import angle, squared_angles
from .gltf import write_glb
from .kinematics import (
    bone_rotations,
    forward_kinematics,
    global_rotations,
    inverse_kinematics,
    rest_directions,
)
from .rotations import (
    between,
    exp,
    from_6d,
    from_quaternion,
    log,
    rotation_angle,
    slerp,
    to_6d,
    to_quaternion,
)
from .skeleton import (
    MELODY,
    SKELETONS,
    SMPL,
    Skeleton,
    check_motion,
    check_rate,
    directions,
    mirror,
    place,
    rest,
    retarget,
)
from .smooth import resample, smooth, smooth_directions
from .warp import at_times, beat_warp

# fmt: off
__all__ = [
    "MELODY", "SKELETONS", "SMPL", "TRAVEL", "Clip", "Skeleton", "angle", "at_times", "beat_warp",
    "between", "bone_rotations", "channels", "check_motion", "check_rate", "decode", "directions",
    "encode", "exp", "facing", "foot_contact", "forward_kinematics", "from_6d", "from_quaternion",
    "global_rotations", "inverse_kinematics", "log", "mirror", "place", "read_bvh", "resample",
    "rest", "rest_directions", "retarget", "rotation_angle", "slerp", "smooth", "smooth_directions",
    "speeds", "squared_angles", "to_6d", "to_quaternion", "velocities", "write_bvh", "write_glb",
]
# fmt: on
