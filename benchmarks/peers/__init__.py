"""The solvers that `make bench` compares: ours, and every setting of POT, GeomLoss and OTT-JAX
worth running.

A peer is a function ``peer(x, y, epsilon, setting) -> call``; ``call()`` is what is timed: it goes
from the points to the value and its gradient in x. Building and compiling happen before. Each
imports its own library inside, so a process holds only one.

Every peer has one knob, `Peer.ladder`, from cheap to dear: the harness takes the cheapest rung that
reaches the target. Where a library allows it the knob is the number of iterations, with the
library's own stopping test off: no user could know it beforehand, so this flatters the peers. Ours
stops by itself, and so do the peers named "own stop". Conventions are converted to P = a ⊗ b ·
exp((f ⊕ g − C)/ε) with C = |x − y|².
"""

from . import geomloss, ott, ours, pot
from .registry import PEERS, Answer, Peer

__all__ = ["PEERS", "Answer", "Peer", "geomloss", "ott", "ours", "pot"]
