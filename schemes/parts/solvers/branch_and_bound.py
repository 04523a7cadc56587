"""Best-first branch and bound for small mixed-integer problems, with an optional pruning policy.

A node of the tree is a partial assignment: choices of the first variables. The problem gives an upper bound on the
value of everything below a node; at a leaf, where all discrete variables have their choice, the bound is the value
itself, the continuous variables being optimised there. The open node of the largest bound is expanded first, until no
bound is above the best leaf: without a policy that leaf is an optimum.

A policy may cut nodes that the bound would keep (liang2019 sec. III, accelerated optimisation: pruning learned by
imitation). The search then needs fewer nodes and its result need not be optimal.

One problem at a time: trees of different replicas have nothing in common that could be batched.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple, Protocol

Assignment = tuple[int, ...]


class Problem(Protocol):
    """What is maximised."""

    @property
    def n_choices(self) -> tuple[int, ...]:
        """Choices of each discrete variable, in the order of branching; at least one variable."""
        ...

    def bound(self, assignment: Assignment) -> float:
        """Nothing below this partial assignment is better; of a full one its value. -inf: nothing below is feasible."""
        ...


class Node(NamedTuple):
    """A node as a pruning policy sees it: `incumbent` is the value of the best leaf seen so far, -inf before."""

    assignment: Assignment
    bound: float
    incumbent: float


class Optimum(NamedTuple):
    """The best leaf found, None if none is feasible or all were pruned; its value; the nodes that were bounded."""

    assignment: Assignment | None
    value: float
    visited: int


def keep_all(_: Node) -> bool:
    """The policy that prunes nothing."""
    return False


def solve(problem: Problem, prune: Callable[[Node], bool] = keep_all) -> Optimum:
    """Search; `prune` is asked about each inner node whose bound is better than the incumbent, but the root."""
    n_choices = problem.n_choices
    best = Optimum(None, -inf, 0)
    open_nodes: list[tuple[float, int, Assignment]] = [(-inf, 0, ())]  # the smallest first; ties to the oldest
    visited = 1
    while open_nodes and -open_nodes[0][0] > best.value:
        assignment = heappop(open_nodes)[2]
        for choice in range(n_choices[len(assignment)]):
            child = (*assignment, choice)
            bound = problem.bound(child)
            visited += 1
            if bound <= best.value:
                continue
            if len(child) == len(n_choices):
                best = Optimum(child, bound, 0)
            elif not prune(Node(child, bound, best.value)):
                heappush(open_nodes, (-bound, visited, child))
    return best._replace(visited=visited)
