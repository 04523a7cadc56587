"""Small float32 networks in numpy, so that nodes that only act never load torch.

`Mlp` is a ReLU perceptron known by its weights alone; `Network` is any `Architecture`, the plain description from which
`schemes.parts.nn.modules` builds the torch module with the same names of weights.
"""

from schemes.parts.numpy_nets.architecture import Architecture
from schemes.parts.numpy_nets.initial import draw, draw_policy
from schemes.parts.numpy_nets.mlp import Floats, HiddenLayers, Mlp, Weights, draw_mlp
from schemes.parts.numpy_nets.network import Network

__all__ = ["Architecture", "Floats", "HiddenLayers", "Mlp", "Network", "Weights", "draw", "draw_mlp", "draw_policy"]
