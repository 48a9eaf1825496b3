"""Networks: plain `torch.nn.Module` classes that know nothing of transport."""

from .build import build_critic, build_generator
from .dcgan import CReLUCritic, GLUGenerator
from .ema import EMA
from .mlp import MLP
from .schedule import linear_decay

__all__ = ["EMA", "MLP", "CReLUCritic", "GLUGenerator", "build_critic", "build_generator", "linear_decay"]
