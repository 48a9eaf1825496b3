"""The solvers that are compared: ours and the useful settings of POT, GeomLoss and OTT-JAX.

A peer is a function ``peer(x, y, epsilon, setting) -> call``. What is timed is ``call()``, which
computes the value and its gradient in x from the points; building and compiling happen before. Each
peer imports its own library inside, so that a process loads only one.

Every peer has one setting, with the values in `Peer.ladder`, from cheap to expensive: the benchmark
takes the cheapest that reaches the target. Where a library allows it, the setting is the number of
iterations, without the library's own stopping test. No user knows that number beforehand, so this
favors the peers. Ours stops by itself, and so do the peers named "own stop". Conventions are
converted to P = a ⊗ b · exp((f ⊕ g − C)/ε) with C = |x − y|².
"""

from benchmarks.solvers.peers import geomloss, ott, ours, pot
from benchmarks.solvers.peers.registry import PEERS, Answer, Peer

__all__ = ["PEERS", "Answer", "Peer", "geomloss", "ott", "ours", "pot"]
