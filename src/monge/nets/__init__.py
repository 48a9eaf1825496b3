"""Networks: plain `torch.nn.Module` classes that know nothing of transport."""

from .autoencoder import Autoencoder, AutoencoderNet, build_autoencoder, build_encoder
from .build import build_critic, build_generator
from .conv_icnn import ConvICNN
from .dcgan import CReLUCritic, GLUGenerator
from .ema import EMA
from .icnn import DenseICNN
from .interpolation import InterpolationCritic
from .mlp import MLP
from .parts import by_parts
from .patches import enlarge, patches, pyramid
from .random_filters import RandomFilters
from .schedule import linear_decay, linear_rise
from .seq2seq import ConvSeq2Seq, conv1d_critic
from .texture_net import TextureNet
from .weight_norm import data_dependent_init, weight_normalised

__all__ = [
    "EMA",
    "MLP",
    "Autoencoder",
    "AutoencoderNet",
    "CReLUCritic",
    "ConvICNN",
    "ConvSeq2Seq",
    "DenseICNN",
    "GLUGenerator",
    "InterpolationCritic",
    "RandomFilters",
    "TextureNet",
    "build_autoencoder",
    "build_critic",
    "build_encoder",
    "build_generator",
    "by_parts",
    "conv1d_critic",
    "data_dependent_init",
    "enlarge",
    "linear_decay",
    "linear_rise",
    "patches",
    "pyramid",
    "weight_normalised",
]
