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

16-bit inputs are computed with in float32, and so are log-likelihoods and posteriors of them.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

DECODINGS = ("greedy", "lookahead", "viterbi")
# Those that look no further than from a vertex to the next.
STEPWISE = ("greedy", "lookahead")
NO_VERTEX = -1
IMPOSSIBLE = -torch.inf
# Probabilities are not told apart below NEGLIGIBLE, and masses add up to TOTAL: so their products are no denormal
# numbers, which take the CPU up to a hundred times as long, and two masses multiplied do not overflow.
NEGLIGIBLE = 1e-28
TOTAL = 1e18
# A token is not at a vertex where it is less often than this: nothing of it reaches the transitions' gradient.
RARE = 1e-12
# Before a token, negligible masses count as none, and behind it as just negligible. So one recursion gives a lower
# bound of the likelihood and the other an upper bound. Where they differ by more than rounding does (in nats), or have
# next to nothing in common, the row is computed anew, with logarithms.
AGREEMENT = 3e-5
COMMON = 1e-28
# How many transitions the CPU works on at once: they stay in its cache from token to token.
CACHED = 2**19


def path_log_likelihood_and_posterior(
    emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what a text's paths add up to, and where on them its tokens are emitted.

    Returns:
        the log-likelihood of each text, summed over its paths, in nats, `[batch]`, which is differentiable with respect
        to `emissions` and `transitions`; -inf and without a gradient for a text without a possible path.
        The probability that a text's token t is emitted at vertex v, `[batch, target_length, canvas]`, through which no
        gradient flows: given the text, each token's add up to 1. They are 0 in the padding and for a text without a
        possible path.
    """
    # Mixed precision would multiply masses in 16 bits.
    with torch.autocast(emissions.device.type, enabled=False):
        return _PathLikelihood.apply(emissions, transitions, target_lengths, canvas_lengths)


def best_path(emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the vertices of each text's likeliest path, `[batch, target_length]`.

    They are -1 behind the path's end, and everywhere for a text without a possible path.
    """
    emissions, transitions = _in_computing_type(emissions.detach(), transitions.detach())
    emissions = _confined(emissions, target_lengths, canvas_lengths)
    transitions = transitions.masked_fill(~_edges(transitions, canvas_lengths), IMPOSSIBLE)
    room = int((canvas_lengths - target_lengths).clamp(min=0).max())
    scores = _best_scores(emissions.transpose(0, 1), transitions, room)
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
    padding = torch.arange(token_log_probs.shape[1], device=transitions.device) >= canvas_lengths[:, None]
    token_log_probs = token_log_probs.masked_fill(padding, IMPOSSIBLE)
    if decoding == "lookahead":
        transitions = transitions + token_log_probs[:, None]
    transitions = transitions.masked_fill(~_edges(transitions, canvas_lengths), IMPOSSIBLE)
    if decoding == "viterbi":
        return _best_mean_walk(token_log_probs, transitions, canvas_lengths)
    return _follow(transitions, canvas_lengths)


class _PathLikelihood(torch.autograd.Function):
    """The forward and backward recursions, in probabilities that are rescaled at every token.

    In logarithms each token would cost an exponential per edge; so it costs one matrix-vector product. The gradient of
    a log-likelihood is how often each emission and each transition is expected on the text's path.
    """

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.types = emissions.dtype, transitions.dtype
        emissions, transitions = _in_computing_type(emissions, transitions)
        emissions = _confined(emissions, target_lengths, canvas_lengths)
        fits = (target_lengths >= 1) & (target_lengths <= canvas_lengths)
        fits &= (target_lengths > 1) | (canvas_lengths == 1)
        edges = _edges(transitions, canvas_lengths).logical_and_(fits[:, None, None])
        tokens = _token_mask(emissions, target_lengths)

        highest = emissions.amax(-1)
        highest = highest.masked_fill(highest == IMPOSSIBLE, 0)
        weights = _exp_(emissions - highest[..., None]).transpose(0, 1).contiguous()
        pull, probabilities = _pulled_probabilities(transitions, edges, target_lengths, canvas_lengths)
        forward, backward = _all_masses(weights, probabilities, target_lengths, canvas_lengths, fits)

        lower, upper = (
            ((part.scales[..., 0].T.double() / TOTAL).log() + highest).masked_fill_(~tokens, 0).sum(-1)
            for part in (forward, backward)
        )
        behind = backward.arrived
        common = (forward.masses * behind).sum(-1)
        enough = (common > COMMON * TOTAL**2) & common.isfinite()
        trusted = (enough | ~tokens.T).all(0) & ((upper - lower).abs() < AGREEMENT) & fits
        counted = (tokens.T & trusted)[..., None]
        posterior = torch.where(counted, forward.masses * behind / common[..., None], 0)
        often = posterior > RARE
        leaving = torch.where(often[:-1], forward.masses[:-1], 0)
        arriving = torch.where(often[1:], backward.masses[1:] / common[:-1, :, None], 0)
        posterior = posterior.transpose(0, 1)
        log_likelihood = lower + pull.double() * (canvas_lengths - 1)
        log_likelihood = log_likelihood.masked_fill_(~trusted, IMPOSSIBLE).to(emissions.dtype)

        rest, counts = (fits & ~trusted).nonzero()[:, 0], None
        if len(rest):
            log_likelihood[rest], posterior[rest], counts = _in_log_space(
                emissions[rest], transitions[rest].masked_fill(~edges[rest], IMPOSSIBLE), canvas_lengths[rest]
            )
            posterior.masked_fill_(~tokens[..., None], 0)
        ctx.save_for_backward(posterior, probabilities, leaving, arriving, rest, counts)
        ctx.mark_non_differentiable(posterior)
        return log_likelihood, posterior

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        posterior, probabilities, leaving, arriving, rest, counts = ctx.saved_tensors
        of_emissions = of_transitions = None
        # A text without a path has no gradient even where its infinite loss makes the incoming one NaN.
        gradient = gradient.masked_fill(~posterior.any(-1).any(-1), 0)[:, None, None]
        if ctx.needs_input_grad[0]:
            of_emissions = (gradient * posterior).to(ctx.types[0])
        if ctx.needs_input_grad[1]:
            arriving = arriving.transpose(0, 1) * gradient
            with torch.autocast(arriving.device.type, enabled=False):
                of_transitions = torch.bmm(leaving.permute(1, 2, 0), arriving).mul_(probabilities)
            if counts is not None:
                of_transitions[rest] = counts * gradient[rest]
            of_transitions = of_transitions.to(ctx.types[1])
        return of_emissions, of_transitions, None, None


class _Masses(NamedTuple):
    """What a recursion computes of each token, token first."""

    masses: Tensor  # [target_length, batch, canvas], adding up to TOTAL over the canvas
    scales: Tensor  # [target_length, batch, 1], what they added up to
    arrived: Tensor  # [target_length, batch, canvas], before the token's own weights and the rescaling


def _pulled_probabilities(
    transitions: Tensor, edges: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a pull per row, `[batch]`, and the transitions' probabilities, smaller by the pull times their length.

    All paths together get as much smaller by it: it is the way from vertex 0 to the last one, whatever lies between.
    But the masses of the first tokens stay with it where the rest of the text still fits. An untrained model likes long
    edges, with which few tokens would have gone most of the way, and there the masses behind are next to nothing.

    The last vertex gets an edge to itself: on it, texts with fewer tokens than others wait for those.
    """
    vertex = torch.arange(transitions.shape[1], device=transitions.device)
    pull = (target_lengths - 1).to(transitions.dtype) / (canvas_lengths - 1).clamp(min=1)
    edge_lengths = (vertex - vertex[:, None]).to(transitions.dtype)
    probabilities = _exp_(torch.addcmul(transitions, pull[:, None, None], edge_lengths, value=-1))
    probabilities.masked_fill_(~edges, 0)
    rows = torch.arange(len(pull), device=pull.device)
    probabilities[rows, canvas_lengths - 1, canvas_lengths - 1] = 1
    return pull, probabilities


def _exp_(logarithms: Tensor) -> Tensor:
    """Return the exponentials, in place of their logarithms; those that are negligible are 0."""
    return torch.threshold_(logarithms.clamp_(min=math.log(NEGLIGIBLE) - 1).exp_(), NEGLIGIBLE, 0)


def _all_masses(
    weights: Tensor, probabilities: Tensor, target_lengths: Tensor, canvas_lengths: Tensor, fits: Tensor
) -> tuple[_Masses, _Masses]:
    """Return the masses of the texts' beginnings and those of their ends."""
    target_length, batch, canvas = weights.shape
    # No token's vertices lie outside of its window, so the products need not look there.
    room = torch.where(fits, canvas_lengths - target_lengths, 0).max()
    shortest = torch.where(fits, canvas_lengths, canvas).min()
    room, shortest = torch.stack([room, shortest]).tolist()
    windows = [(min(token, shortest - 1), min(token + room + 1, canvas)) for token in range(target_length)]
    forward, backward = _new_masses(weights), _new_masses(weights)
    upper_weights = weights.clamp(min=NEGLIGIBLE)
    chunk = batch if weights.is_cuda else max(1, CACHED // canvas**2)
    for start in range(0, batch, chunk):
        rows = slice(start, start + chunk)
        _fill(forward, rows, weights, probabilities[rows], range(target_length), windows, floor=0)
        # The transposed copy costs less than products with the matrix on the other side do.
        turned = probabilities[rows].transpose(1, 2).contiguous().clamp_(min=NEGLIGIBLE)
        _fill(backward, rows, upper_weights, turned, range(target_length - 1, -1, -1), windows, floor=NEGLIGIBLE)
    return forward, backward


def _new_masses(weights: Tensor) -> _Masses:
    return _Masses(torch.zeros_like(weights), weights.new_empty(*weights.shape[:2], 1), torch.zeros_like(weights))


def _fill(
    filled: _Masses,
    rows: slice,
    weights: Tensor,
    probabilities: Tensor,
    tokens: range,
    windows: list[tuple[int, int]],
    floor: float,
) -> None:
    """Compute the masses of some rows' paths through `tokens`, in this order, by the vertex that they have come to.

    Those that are negligible become `floor`.
    """
    masses, scales, arrived = (part[:, rows].unsqueeze(2).unbind() for part in filled)
    by_token = weights[:, rows].unsqueeze(2).unbind()
    source, source_start, source_end = None, 0, 0
    for token in tokens:
        start, end = windows[token]
        mass, arriving = masses[token][..., start:end], arrived[token][..., start:end]
        if source is None:
            arriving.fill_(TOTAL)
        else:
            # Not straight into `arriving`: torch multiplies one row after the other where the output has gaps.
            arriving.copy_(torch.bmm(source, probabilities[:, source_start:source_end, start:end]))
        torch.mul(arriving, by_token[token][..., start:end], out=mass)
        torch.sum(mass, -1, keepdim=True, out=scales[token])
        torch.threshold_(mass.mul_(TOTAL / scales[token]), NEGLIGIBLE * TOTAL, floor * TOTAL)
        source, source_start, source_end = mass, start, end


def _in_log_space(emissions: Tensor, transitions: Tensor, canvas_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-likelihoods, posteriors and the expected count of each transition, whatever the range of numbers is.

    `emissions` are confined, and impossible transitions are -inf already.
    """
    types = emissions.dtype
    emissions, edges = emissions.transpose(0, 1).double(), transitions.double()
    rows, last = torch.arange(len(edges), device=edges.device), canvas_lengths - 1
    edges[rows, last, last] = 0
    forward = [emissions[0]]
    for emission in emissions[1:]:
        forward.append((forward[-1][:, :, None] + edges).logsumexp(1) + emission)
    log_likelihood = forward[-1][rows, last]
    # Any finite number does for a text without a path, whose sums are all -inf.
    total = log_likelihood.masked_fill(log_likelihood == IMPOSSIBLE, 0)[:, None]
    posterior, counts = torch.zeros_like(emissions), torch.zeros_like(edges)
    behind = torch.zeros_like(emissions[0])
    for token in range(len(emissions) - 1, -1, -1):
        posterior[token] = (forward[token] + behind - total).exp()
        if token:
            onward = edges + (emissions[token] + behind)[:, None]
            counts += (forward[token - 1][:, :, None] + onward - total[..., None]).exp()
            behind = onward.logsumexp(2)
    counts[rows, last, last] = 0
    return log_likelihood.to(types), posterior.transpose(0, 1).to(types), counts.to(types)


def _best_scores(emissions: Tensor, transitions: Tensor, room: int) -> Tensor:
    """Return the log-probability of the best path to each vertex for each number of tokens, as `emissions` are shaped.

    `emissions` are time-first, `[target_length, batch, canvas]`; a path may start at any vertex that they allow. Token
    t is at vertex t or up to `room` vertices to the right of it.
    """
    scores = torch.full_like(emissions, IMPOSSIBLE)
    scores[0] = emissions[0]
    for token in range(1, min(emissions.shape[0], emissions.shape[2])):
        before, here = slice(token - 1, token + room), slice(token, token + room + 1)
        paths = scores[token - 1, :, before, None] + transitions[:, before, here]
        scores[token, :, here] = paths.amax(1) + emissions[token, :, here]
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
    scores = _best_scores(emissions, transitions, canvas)
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


def _confined(emissions: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return the emissions with -inf wherever a token cannot be by its number alone.

    The first token is at vertex 0, the last one at the last vertex, and the others leave room for what lies to their
    left and right. Padding waits at the last vertex, with 0.
    """
    token = torch.arange(emissions.shape[1], device=emissions.device)[:, None]
    vertex = torch.arange(emissions.shape[2], device=emissions.device)
    to_come = target_lengths[:, None, None] - 1 - token
    room = canvas_lengths[:, None, None] - 1 - vertex
    possible = torch.where(to_come > 0, (vertex >= token) & (to_come <= room), room == 0)
    possible &= (token > 0) | (vertex == 0)
    return emissions.masked_fill(to_come < 0, 0).masked_fill_(~possible, IMPOSSIBLE)


def _edges(transitions: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Say which transitions are none of the padding and lead to the right, `[batch, canvas, canvas]`."""
    vertex = torch.arange(transitions.shape[1], device=transitions.device)
    return (vertex > vertex[:, None]) & (vertex < canvas_lengths[:, None, None])
