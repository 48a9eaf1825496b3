"""Networks: plain `torch.nn.Module` classes that know nothing of transport."""

from .autoencoder import Autoencoder, AutoencoderNet, build_autoencoder, build_encoder
from .build import build_critic, build_generator
from .conv_icnn import ConvICNN
from .dcgan import CReLUCritic, GLUGenerator
from .ema import EMA
from .icnn import DenseICNN
from .interpolation import Interpolation, InterpolationCritic, InterpolationGame
from .mlp import MLP
from .parts import batched, checkpointed_batches, without_grad
from .patches import enlarge, patches, pyramid
from .potentials import Potentials
from .random_filters import RandomFilters
from .seq2seq import ConvSeq2Seq, conv1d_critic
from .settings import AutoencoderNets, ConvPotentialNets, GameNets, GeneratorNets, PotentialNets
from .texture_net import TextureNet
from .weight_norm import data_dependent_init, weight_normalized

# fmt: off
__all__ = [
    "EMA", "MLP", "Autoencoder", "AutoencoderNet", "AutoencoderNets", "CReLUCritic", "ConvICNN",
    "ConvPotentialNets", "ConvSeq2Seq", "DenseICNN", "GLUGenerator", "GameNets", "GeneratorNets",
    "Interpolation", "InterpolationCritic", "InterpolationGame", "PotentialNets", "Potentials",
    "RandomFilters", "TextureNet", "batched", "build_autoencoder", "build_critic", "build_encoder",
    "build_generator", "checkpointed_batches", "conv1d_critic", "data_dependent_init", "enlarge",
    "patches", "pyramid", "weight_normalized", "without_grad",
]
# fmt: on
