"""Texts as paths through a directed acyclic graph: their likelihood, their best path, and walks that write a text.

The graph's vertices are the positions of the canvas, numbered from 0 to its length - 1, and its edges lead from left
to right. A path of a text with n tokens visits vertices 0 = v_1 < v_2 < ... < v_n = canvas length - 1 and emits one
token at each. Its probability is the product of its emissions and of its transitions; that of the text is the sum
over all its paths (Huang et al., 2022, "Directed Acyclic Transformer for Non-Autoregressive Machine Translation",
section 3.2).

All functions take natural logarithms, -inf where something is impossible, and share these arguments:

- `emissions`, `[batch, target_length, canvas]`: the log-probability of target token t at vertex v;
- `transitions`, `[batch, canvas, canvas]`: the log-probability of going from the row's vertex to the column's. Edges
  that do not lead to the right are impossible, whatever their values are;
- `target_lengths` and `canvas_lengths`, `[batch]`: how many tokens and vertices of each row count. What lies behind
  them is padding and is never looked at, so it may be NaN.

16-bit inputs are computed with in float32.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

DECODINGS = ("greedy", "lookahead", "viterbi")
NO_VERTEX = -1
IMPOSSIBLE = -torch.inf
# Relative to its step's total, a smaller mass counts as none: denormal numbers would slow the CPU down.
NEGLIGIBLE = 1e-30
# What forward and backward masses have in common must be far above what was neglected, or the row is computed anew.
TRUSTED = 1e-20


def path_log_likelihood(
    emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> Tensor:
    """Return the log-likelihood of each text, summed over its paths, in nats, `[batch]`.

    It is differentiable with respect to `emissions` and `transitions`. A text without a possible path has -inf and no
    gradient.
    """
    return path_log_likelihood_and_posterior(emissions, transitions, target_lengths, canvas_lengths)[0]


def path_posterior(emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the probability that a text's token t is emitted at vertex v, `[batch, target_length, canvas]`.

    Given the text, each token's probabilities add up to 1. They are 0 in the padding and for a text without a possible
    path. No gradient flows through them.
    """
    return path_log_likelihood_and_posterior(emissions, transitions, target_lengths, canvas_lengths)[1]


def path_log_likelihood_and_posterior(
    emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `path_log_likelihood` and `path_posterior` return, for the price of one of them."""
    return _PathLikelihood.apply(emissions, transitions, target_lengths, canvas_lengths)


def best_path(emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the vertices of each text's likeliest path, `[batch, target_length]`.

    They are -1 behind the path's end, and everywhere for a text without a possible path.
    """
    emissions, transitions = _in_computing_type(emissions.detach(), transitions.detach())
    emissions = emissions.masked_fill(~_possible_vertices(emissions, target_lengths, canvas_lengths), IMPOSSIBLE)
    transitions = transitions.masked_fill(~_edges(transitions, canvas_lengths), IMPOSSIBLE)
    scores = _best_scores(emissions.transpose(0, 1), transitions)
    path = _trace_back(scores, transitions, target_lengths, canvas_lengths)
    last_tokens = (target_lengths - 1).clamp(min=0)
    best = scores[last_tokens, torch.arange(len(scores[0]), device=scores.device)].amax(-1)
    return path.masked_fill((best == IMPOSSIBLE)[:, None] | (target_lengths < 1)[:, None], NO_VERTEX)


def walk(token_log_probs: Tensor, transitions: Tensor, canvas_lengths: Tensor, decoding: str) -> Tensor:
    """Walk from vertex 0 to the last vertex, and return the vertices on the way, `[batch, canvas]`, -1 behind the end.

    `token_log_probs`, `[batch, canvas]`, holds the log-probability of each vertex's best token. `decoding` is one of

    - "greedy": take the likeliest transition;
    - "lookahead": take the largest transition plus `token_log_probs` of where it leads;
    - "viterbi": among all walks, take the one with the largest mean, over its vertices, of the sum of its transitions
      and of the `token_log_probs` of all its vertices.

    From a vertex without a possible transition the walk goes to the last vertex, as "viterbi" does from vertex 0 when
    no walk is possible. Raises `ValueError` for another `decoding`.
    """
    if decoding not in DECODINGS:
        raise ValueError(f"decoding must be one of {', '.join(DECODINGS)}, but it is {decoding!r}")
    token_log_probs, transitions = _in_computing_type(token_log_probs.detach(), transitions.detach())
    if decoding == "lookahead":
        transitions = transitions + token_log_probs[:, None]
    transitions = transitions.masked_fill(~_edges(transitions, canvas_lengths), IMPOSSIBLE)
    if decoding == "viterbi":
        return _best_mean_walk(token_log_probs, transitions, canvas_lengths)
    return _follow(transitions, canvas_lengths)


class _PathLikelihood(torch.autograd.Function):
    """The forward and backward recursions, in probabilities that are rescaled at every token.

    Logarithms would take an exponential per edge and token; so it is one matrix-vector product per token. The gradient
    of a log-likelihood is how often each emission and transition is expected on the text's path.
    """

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.types = emissions.dtype, transitions.dtype
        emissions, transitions = _in_computing_type(emissions, transitions)
        possible_vertices = _possible_vertices(emissions, target_lengths, canvas_lengths)
        emissions = emissions.masked_fill(~possible_vertices, IMPOSSIBLE)
        edges = _edges(transitions, canvas_lengths)
        tokens = _token_mask(emissions, target_lengths)

        highest = emissions.amax(-1)
        highest = highest.masked_fill(highest == IMPOSSIBLE, 0)
        weights = (emissions - highest[..., None]).exp_().transpose(0, 1).contiguous()
        probabilities = transitions.exp().masked_fill_(~edges, 0)
        forward, scales = _forward_masses(weights, probabilities)
        backward, arriving = _backward_masses(weights, probabilities, target_lengths)

        # What both recursions leave of every token: 0 if the numbers' range did not suffice, or if there is no path.
        common = (forward * backward).sum(-1)
        trusted = (common > TRUSTED).logical_or_(~tokens.T).all(0)
        log_likelihood = (scales.T.double().log() + highest).masked_fill(~tokens, 0).sum(-1)
        posterior = forward * backward / common[..., None]
        posterior = posterior.transpose(0, 1).masked_fill(~(tokens & trusted[:, None])[..., None], 0)
        log_likelihood = log_likelihood.masked_fill(~trusted, IMPOSSIBLE).to(emissions.dtype)
        arriving = (arriving[1:] / common[:-1, :, None]).masked_fill(~(tokens.T[1:] & trusted)[..., None], 0)

        fits = (target_lengths >= 1) & (target_lengths <= canvas_lengths)
        fits &= (target_lengths > 1) | (canvas_lengths == 1)
        rest = (fits & ~trusted).nonzero()[:, 0]
        counts = None
        if len(rest):
            rest_edges = transitions[rest].masked_fill(~edges[rest], IMPOSSIBLE)
            likelihood_of_rest, posterior_of_rest, counts = _in_log_space(
                emissions[rest], rest_edges, target_lengths[rest], canvas_lengths[rest]
            )
            log_likelihood[rest] = likelihood_of_rest.to(log_likelihood.dtype)
            posterior[rest] = posterior_of_rest.to(posterior.dtype)
        ctx.save_for_backward(posterior, probabilities, forward, arriving, rest, counts)
        ctx.mark_non_differentiable(posterior)
        return log_likelihood, posterior

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        posterior, probabilities, forward, arriving, rest, counts = ctx.saved_tensors
        of_emissions = of_transitions = None
        # A text without a path has no gradient even where its infinite loss makes the incoming one NaN.
        gradient = gradient.masked_fill(~posterior.any(-1).any(-1), 0)[:, None, None]
        if ctx.needs_input_grad[0]:
            of_emissions = (gradient * posterior).to(ctx.types[0])
        if ctx.needs_input_grad[1]:
            of_transitions = torch.bmm(forward[:-1].permute(1, 2, 0), arriving.transpose(0, 1)).mul_(probabilities)
            if counts is not None:
                of_transitions[rest] = counts.to(of_transitions.dtype)
            of_transitions = of_transitions.mul_(gradient).to(ctx.types[1])
        return of_emissions, of_transitions, None, None


def _forward_masses(weights: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Return how a text's first tokens spread over where the last of them is, adding up to 1, and the totals before.

    Both are time-first: `[target_length, batch, canvas]`, as `weights` are, and `[target_length, batch]`.
    """
    masses = torch.empty_like(weights)
    scales = weights.new_empty(weights.shape[:2])
    for token, weight in enumerate(weights):
        mass = weight if token == 0 else torch.bmm(masses[token - 1].unsqueeze(1), probabilities).squeeze(1) * weight
        _normalize(mass, masses[token], scales[token])
    return masses, scales


def _backward_masses(weights: Tensor, probabilities: Tensor, target_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return how likely the rest of the text is behind each vertex, up to a factor, and what arrives at each vertex.

    Both are time-first, `[target_length, batch, canvas]`. What arrives of token t is its weights times the masses
    behind, in the scale of the masses behind token t - 1.
    """
    masses = torch.empty_like(weights)
    arriving = torch.zeros_like(weights)
    steps = torch.arange(len(weights), device=weights.device)[:, None]
    ends = (steps == target_lengths - 1).to(weights.dtype)[..., None]
    scale = weights.new_empty(weights.shape[1])
    behind = ends[-1].expand_as(weights[0])
    for token in range(len(weights) - 1, -1, -1):
        _normalize(behind, masses[token], scale)
        if token + 1 < len(weights):
            arriving[token + 1] /= scale[:, None]
        if token:
            torch.mul(weights[token], masses[token], out=arriving[token])
            behind = torch.bmm(probabilities, arriving[token].unsqueeze(2)).squeeze(2) + ends[token - 1]
    return masses, arriving


def _normalize(mass: Tensor, out: Tensor, scale: Tensor) -> None:
    """Write to `out` the masses `[batch, canvas]` divided by their sums, and the sums to `scale`, `[batch]`."""
    torch.sum(mass, -1, out=scale)
    scale.clamp_(min=torch.finfo(mass.dtype).tiny)
    torch.div(mass, scale[:, None], out=out)
    torch.nn.functional.threshold_(out, NEGLIGIBLE, 0)


def _in_log_space(
    emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-likelihoods, posteriors and the expected count of every transition, whatever the numbers' range.

    Impossible emissions and transitions are -inf already.
    """
    emissions, transitions = emissions.transpose(0, 1).double(), transitions.double()
    forward = [emissions[0]]
    for emission in emissions[1:]:
        forward.append((forward[-1][:, :, None] + transitions).logsumexp(1) + emission)
    rows = torch.arange(len(target_lengths), device=emissions.device)
    ends = forward_at_end = torch.stack(forward)[target_lengths - 1, rows, canvas_lengths - 1]
    possible = ends != IMPOSSIBLE
    # Any finite number does for texts without a path: nothing of theirs is above -inf.
    total = forward_at_end.masked_fill(~possible, 0)[:, None]
    posterior = torch.zeros_like(emissions)
    counts = torch.zeros_like(transitions)
    behind = torch.full_like(emissions[0], IMPOSSIBLE)
    at_end = torch.zeros_like(behind)
    for token in range(len(emissions) - 1, -1, -1):
        behind = torch.where((target_lengths == token + 1)[:, None], at_end, behind)
        posterior[token] = (forward[token] + behind - total).exp()
        if token:
            onward = transitions + (emissions[token] + behind)[:, None]
            counts += (forward[token - 1][:, :, None] + onward - total[..., None]).exp()
            behind = onward.logsumexp(2)
    return ends, posterior.transpose(0, 1), counts


def _best_scores(emissions: Tensor, transitions: Tensor) -> Tensor:
    """Return the log-probability of the best path to each vertex for each number of tokens, as `emissions` are shaped.

    `emissions` are time-first, `[target_length, batch, canvas]`; a path may start at any vertex that they allow.
    """
    scores = torch.full_like(emissions, IMPOSSIBLE)
    scores[0] = emissions[0]
    for token in range(1, min(emissions.shape[0], emissions.shape[2])):
        # Token t is at vertex t or to the right of it.
        edges = scores[token - 1, :, token - 1 :, None] + transitions[:, token - 1 :, token:]
        scores[token, :, token:] = edges.amax(1) + emissions[token, :, token:]
    return scores


def _trace_back(scores: Tensor, transitions: Tensor, lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the vertices of the best path with `lengths` vertices that ends at the last vertex, `[batch, steps]`.

    They are -1 behind the end. `scores` are what `_best_scores` returns.
    """
    rows = torch.arange(scores.shape[1], device=scores.device)
    path = torch.full(scores.shape[:2], NO_VERTEX, device=scores.device)
    vertex = canvas_lengths - 1
    for step in range(len(scores) - 1, -1, -1):
        before = (scores[step] + transitions[rows, :, vertex]).argmax(-1)
        vertex = torch.where(step < lengths - 1, before, vertex)
        path[step] = torch.where(step < lengths, vertex, NO_VERTEX)
    return path.T


def _best_mean_walk(token_log_probs: Tensor, transitions: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the walk with the largest mean; impossible transitions are -inf already."""
    canvas = token_log_probs.shape[1]
    vertices = torch.arange(canvas, device=transitions.device)
    emissions = token_log_probs.expand(canvas, -1, -1).clone()
    emissions[0, :, 1:] = IMPOSSIBLE
    scores = _best_scores(emissions, transitions)
    at_end = scores.gather(2, (canvas_lengths - 1).expand(canvas, -1)[..., None])[..., 0]
    means = at_end / (vertices + 1)[:, None]
    best, steps = means.max(0)
    # Without a possible walk, two vertices: the trace leads back to vertex 0.
    lengths = torch.where(best == IMPOSSIBLE, canvas_lengths.clamp(max=2), steps + 1)
    return _trace_back(scores, transitions, lengths, canvas_lengths)


def _follow(scores: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the walk that takes the edge with the largest score, `[batch, canvas]`; impossible edges are -inf."""
    canvas, last = scores.shape[1], canvas_lengths[:, None] - 1
    best, following = scores.max(-1)
    following = torch.where(best == IMPOSSIBLE, last, following)
    path = torch.zeros_like(last)
    # `following` leads as many steps ahead as `path` has vertices: each turn doubles both.
    while path.shape[1] < canvas:
        path = torch.cat([path, following.gather(1, path)], 1)
        following = following.gather(1, following)
    path = path[:, :canvas]
    ended = torch.nn.functional.pad(path[:, :-1] == last, (1, 0))
    return path.masked_fill(ended, NO_VERTEX)


def _in_computing_type(*tensors: Tensor) -> list[Tensor]:
    """Return the tensors in one floating-point type of 32 bits or more."""
    types = {tensor.dtype for tensor in tensors}
    computing_type = torch.float64 if torch.float64 in types else torch.float32
    return [tensor.to(computing_type) for tensor in tensors]


def _token_mask(emissions: Tensor, target_lengths: Tensor) -> Tensor:
    """Say which tokens are none of the padding, `[batch, target_length]`."""
    return torch.arange(emissions.shape[1], device=emissions.device) < target_lengths[:, None]


def _possible_vertices(emissions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Say at which vertices each token may be, by their numbers alone, `[batch, target_length, canvas]`.

    The first token is at vertex 0, the last one at the last vertex, and the others leave room for what lies to their
    left and right.
    """
    token = torch.arange(emissions.shape[1], device=emissions.device)[:, None]
    vertex = torch.arange(emissions.shape[2], device=emissions.device)
    to_come = target_lengths[:, None, None] - 1 - token
    room = canvas_lengths[:, None, None] - 1 - vertex
    return (
        (to_come >= 0)
        & (vertex >= token)
        & (to_come <= room)
        & ((token == 0) <= (vertex == 0))
        & ((to_come == 0) <= (room == 0))
    )


def _edges(transitions: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Say which transitions are none of the padding and lead to the right, `[batch, canvas, canvas]`."""
    vertex = torch.arange(transitions.shape[1], device=transitions.device)
    return (vertex > vertex[:, None]) & (vertex < canvas_lengths[:, None, None])
