"""Edit Flows: the loss of the rates of all edits, with alignments summed out, and the weight on its logarithm alone.

    loss = E w(t) { sum of u(e | x_t) over allowed edits e  -  h(t) sum of log u(e | x_t) over remaining edits e },

with the hazard ``h = kappa' / (1 - kappa)``. The marginal rate of an edit is h times the expected number of times it
remains, given x_t. A weight on the logarithm alone multiplies the rates of the minimiser instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from corrwise.experiments.studies.time_weights.alignments import (
    EDITS,
    LETTERS,
    LONGEST,
    STRINGS,
    aligned_states,
    alignments,
    allowed,
    edited,
)
from corrwise.experiments.studies.time_weights.exact import Case, Problem, Terms, group_sum

__all__ = [
    "allowed_edits",
    "edits",
    "final_law",
    "generator",
    "hazard",
    "kappa",
    "log_only",
    "marginal_rates",
    "states",
    "strings_at",
]

BEGINS = {"": 0.3, "a": 0.2, "bb": 0.25, "aab": 0.25}  # noise, with probabilities
ENDS = {"ab": 0.3, "abba": 0.25, "b": 0.15, "aaa": 0.2, "": 0.1}  # data


def kappa(t: Tensor) -> Tensor:
    """Return the probability that a differing column has been edited, ``t^3``."""
    return t**3


def hazard(t: Tensor) -> Tensor:
    """Return the rate at which a remaining edit is made, ``kappa' / (1 - kappa)``."""
    return 3 * t.square() / (1 - t**3)


@dataclass(frozen=True)
class States:
    """All states of all aligned pairs.

    Attributes:
        share: probability of the pair and its alignment.
        string: number of x_t among ``STRINGS``.
        done, left: differing columns that have been edited, and that have not.
        remaining: how often each edit remains.
    """

    share: Float[Tensor, "n"]
    string: Int[Tensor, "n"]
    done: Float[Tensor, "n"]
    left: Float[Tensor, "n"]
    remaining: Float[Tensor, "n e"]

    def probability(self, t: Float[Tensor, "t"]) -> Float[Tensor, "t n"]:
        """Return the probability of each state at each time."""
        k = kappa(t)[:, None]
        return self.share * k**self.done * (1 - k) ** self.left


@cache
def states() -> States:
    """Return the states of all pairs; all alignments of a pair are equally probable."""
    number = {string: i for i, string in enumerate(STRINGS)}
    share, string, done, left, remaining = [], [], [], [], []
    for begin, p in BEGINS.items():
        for end, q in ENDS.items():
            each = alignments(begin, end)
            for columns in each:
                for state in aligned_states(columns):
                    share.append(p * q / len(each))
                    string.append(number[state.string])
                    done.append(float(state.done))
                    left.append(float(len(state.remaining)))
                    counts = Counter(state.remaining)
                    remaining.append([float(counts[edit]) for edit in EDITS])
    numbers = [torch.tensor(each, dtype=torch.float64, device="cpu") for each in (share, done, left, remaining)]
    return States(numbers[0], torch.tensor(string, dtype=torch.long, device="cpu"), *numbers[1:])


def allowed_edits() -> Float[Tensor, "31 e"]:
    """Return 1 for each edit that a string allows, else 0."""
    flags = [[float(allowed(string, edit)) for edit in EDITS] for string in STRINGS]
    return torch.tensor(flags, dtype=torch.float64, device="cpu")


def strings_at(t: Float[Tensor, "t"]) -> Float[Tensor, "t 31"]:
    """Return the probability of each string at each time."""
    there = states()
    return group_sum(there.probability(t).mT, there.string, len(STRINGS)).mT


def marginal_counts(t: Float[Tensor, "t"]) -> Float[Tensor, "t 31 e"]:
    """Return how often each edit is expected to remain, given the string; 0 for strings that never occur."""
    there = states()
    joint = there.probability(t)[:, :, None] * there.remaining
    sums = group_sum(joint.transpose(0, 1), there.string, len(STRINGS)).transpose(0, 1)
    return sums / strings_at(t).clamp_min(1e-300)[:, :, None]


def marginal_rates(t: Float[Tensor, "t"]) -> Float[Tensor, "t 31 e"]:
    """Return the rate of each edit, given the string."""
    return hazard(t)[:, None, None] * marginal_counts(t)


@cache
def _moves() -> tuple[Int[Tensor, "m"], Int[Tensor, "m"], Int[Tensor, "m"]]:
    """Return the string, the edit, and the string after it, of all edits that are allowed."""
    number = {string: i for i, string in enumerate(STRINGS)}
    begin, edit = allowed_edits().nonzero(as_tuple=True)
    ends = [number[edited(STRINGS[i], EDITS[j])] for i, j in zip(begin.tolist(), edit.tolist(), strict=True)]
    return begin, edit, torch.tensor(ends, dtype=torch.long, device="cpu")


def generator(rates: Float[Tensor, "*n 31 e"]) -> Float[Tensor, "*n 31 31"]:
    """Return the rates from string to string: those of all edits that lead there."""
    begin, edit, end = _moves()
    flat = rates.new_zeros((*rates.shape[:-2], len(STRINGS) ** 2))
    matrix = flat.index_add(-1, begin * len(STRINGS) + end, rates[..., begin, edit])
    matrix = matrix.unflatten(-1, (len(STRINGS), len(STRINGS)))
    return matrix - torch.diag_embed(matrix.sum(dim=-1))


def edits(times: Float[Tensor, "t"]) -> Case:
    """Return the case; the network gets the letters of x_t and puts out the logarithm of every edit's rate."""
    there, count, n = states(), len(times), len(states().share)
    i = torch.arange(count, dtype=torch.long, device="cpu").repeat_interleave(n)
    string, mass = there.string.repeat(count), there.probability(times).flatten()
    target = hazard(times)[i, None] * there.remaining.repeat(count, 1)
    conditional = Terms(i, _letters()[string], mass, target)

    occurs = torch.arange(len(STRINGS), dtype=torch.long, device="cpu")[strings_at(times[:1])[0] > 0]
    s, place = torch.arange(count, dtype=torch.long, device="cpu").repeat_interleave(len(occurs)), occurs.repeat(count)
    rates = marginal_rates(times)
    marginal = Terms(s, _letters()[place], strings_at(times)[s, place], rates[s, place])
    return Case(times, conditional, marginal, _problem(conditional, string, rates, times), _bracket, len(EDITS))


def _problem(conditional: Terms, string: Tensor, rates: Float[Tensor, "t 31 e"], times: Tensor) -> Problem:
    """Return the unrestricted problem, one output for each time, string and edit: the bracket is a sum over edits.

    An edit that never remains is left out: its best rate is 0, the logarithm of which no output reaches.
    """
    possible = rates > 0
    number = possible.flatten().cumsum(0).reshape(possible.shape) - 1
    time, place, _ = possible.nonzero(as_tuple=True)
    entry, edit = possible[conditional.time, string].nonzero(as_tuple=True)
    state = number[conditional.time[entry], string[entry], edit]

    def loss(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Tensor:
        return (raw.exp() - target * raw)[:, 0]

    target = conditional.target[entry, edit, None]
    wanted = rates[possible][:, None]
    return Problem(time, _letters()[place], state, conditional.mass[entry], target, wanted, loss, torch.exp)


def log_only(case: Case, factor: Float[Tensor, "t"]) -> Case:
    """Return the case with a weight on the logarithm alone, in the conditional loss and in the unrestricted problem."""
    conditional, problem = case.conditional, case.problem
    scaled = replace(conditional, target=factor[conditional.time, None] * conditional.target)
    pulled = factor[problem.time[problem.state], None] * problem.target
    return replace(case, conditional=scaled, problem=replace(problem, target=pulled))


def final_law(factor: Callable[[Tensor], Tensor], until: float, steps: int = 400) -> Float[Tensor, "31"]:
    """Return the law of strings at a time, of the process whose rates are the marginal ones times ``factor(t)``.

    In ``s = -log(1 - kappa)`` a remaining edit has the rate 1. Steps are exponentials of the generator in their middle.
    """
    end = -torch.log1p(-kappa(torch.tensor(until, dtype=torch.float64, device="cpu")))
    s = end * (torch.arange(steps, dtype=torch.float64, device="cpu") + 0.5) / steps
    t = (-torch.expm1(-s)) ** (1 / 3)
    moves = torch.matrix_exp(generator(factor(t)[:, None, None] * marginal_counts(t)) * (end / steps))
    p = strings_at(torch.zeros_like(t[:1]))[0]
    for move in moves:
        p = p @ move
    return p


def _letters() -> Float[Tensor, "31 12"]:
    """Return each string as features: at each of four places a blank or a letter."""
    symbols = "-" + LETTERS
    rows = [[float(symbol == s) for symbol in string.ljust(LONGEST, "-") for s in symbols] for string in STRINGS]
    return torch.tensor(rows, dtype=torch.float64, device="cpu")


@cache
def _allowed_by_features() -> tuple[Float[Tensor, "12"], Float[Tensor, "k e"]]:
    """Return a code of features and, by that code, the edits that are allowed."""
    code = 3.0 ** torch.arange(LONGEST, dtype=torch.float64, device="cpu").repeat_interleave(1 + len(LETTERS))
    code = code * torch.arange(1 + len(LETTERS), dtype=torch.float64, device="cpu").repeat(LONGEST)
    table = torch.zeros((3**LONGEST, len(EDITS)), dtype=torch.float64, device="cpu")
    table[(_letters() @ code).long()] = allowed_edits()
    return code, table


def _bracket(target: Tensor, raw: Tensor, t: Tensor, x: Tensor) -> Float[Tensor, "n"]:
    code, table = _allowed_by_features()
    return (table[(x @ code).long()] * raw.exp() - target * raw).sum(dim=1)
