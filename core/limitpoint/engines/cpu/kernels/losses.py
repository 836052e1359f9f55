"""Losses: predictions in, slopes out, in place, with their log-scale beside them.

A loss of a residual or of a margin is one small function of a number; the loops around it are
shared. Slopes are `z * exp(top)`, one `top` for each group of `size` consecutive examples and each
class, so that the slopes of a loss near e^-400 keep their digits (`limitpoint.problems.losses`).
"""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import inline, kernel
from limitpoint.engines.cpu.kernels._maths import (
    exp,
    log_normal_cdf,
    log_sigmoid,
    log_softplus,
    softplus,
)
from limitpoint.engines.cpu.kernels._tiles import largest

# --------------------------------------------------------------------------- losses of a residual


def residual_slopes(slope):
    """The unit of a slope (u, shape), u = prediction - target."""

    @kernel
    def slopes(z, y, lo, hi, size, shape, top):
        for i in range(lo, hi):
            z[0, i] = slope(z[0, i] - y[i], shape)
        for group in range(top.shape[0]):
            top[group, 0] = 0.0

    return slopes


def residual_values(value):
    """The unit of a value (u, shape)."""

    @kernel
    def values(z, y, n, shape, out):
        for i in range(n):
            out[i] = math.log(value(z[0, i] - y[i], shape))

    return values


@inline
def _squared_slope(u, shape):
    return u


@inline
def _squared_value(u, shape):
    return u * u / 2


squared_slopes = residual_slopes(_squared_slope)
squared_values = residual_values(_squared_value)


@inline
def _pseudo_huber_slope(u, delta):
    return u / math.sqrt(1 + (u / delta) ** 2)


@inline
def _pseudo_huber_value(u, delta):
    u2 = (u / delta) ** 2
    return delta**2 * u2 / (math.sqrt(1 + u2) + 1)


pseudo_huber_slopes = residual_slopes(_pseudo_huber_slope)
pseudo_huber_values = residual_values(_pseudo_huber_value)


@inline
def _log_cosh_slope(u, shape):
    return math.tanh(u)


@inline
def _log_cosh_value(u, shape):
    size = abs(u)
    return size + math.log1p(math.expm1(-2 * size) / 2)


log_cosh_slopes = residual_slopes(_log_cosh_slope)
log_cosh_values = residual_values(_log_cosh_value)


# ----------------------------------------------------------------------------- losses of a margin


def margin_slopes(log_slope, slope):
    """The unit of log(-l')(z), and of -l'(z) e^-scale; -l' decreases, so the least z is on top."""

    @kernel
    def slopes(z, y, lo, hi, size, shape, top):
        for start in range(lo, hi, size):
            stop = min(start + size, hi)
            least = y[start] * z[0, start]
            for i in range(start, stop):
                z[0, i] = y[i] * z[0, i]
                least = min(least, z[0, i])
            scale = log_slope(least)
            top[(start - lo) // size, 0] = scale
            for i in range(start, stop):
                z[0, i] = -y[i] * slope(z[0, i], scale)

    return slopes


def margin_values(log_value):
    """The unit of log l(z)."""

    @kernel
    def values(z, y, n, shape, out):
        for i in range(n):
            out[i] = log_value(y[i] * z[0, i])

    return values


@inline
def _logistic_log_slope(z):
    return log_sigmoid(-z)


@inline
def _logistic_slope(z, scale):
    """sigma(-z) e^-scale with one exponential: e^-z is 1 ulp from its scaled form times e^scale."""
    tail = exp(-abs(z) - (scale if z >= 0 else 0.0))
    if z >= 0:
        return tail / (1 + exp(-z))
    return exp(-scale) / (1 + tail)


@inline
def _logistic_log_value(z):
    return log_softplus(-z)


logistic_slopes = margin_slopes(_logistic_log_slope, _logistic_slope)
logistic_values = margin_values(_logistic_log_value)


@inline
def _exponential_log(z):
    return -z


@inline
def _exponential_slope(z, scale):
    return exp(-z - scale)


exponential_slopes = margin_slopes(_exponential_log, _exponential_slope)
exponential_values = margin_values(_exponential_log)


@inline
def _probit_log_slope(z):
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - log_normal_cdf(z)


@inline
def _probit_slope(z, scale):
    return math.exp(_probit_log_slope(z) - scale)


@inline
def _probit_log_value(z):
    tail = log_normal_cdf(-z)
    return tail + math.exp(tail) / 2 if z > 5.0 else math.log(-log_normal_cdf(z))


probit_slopes = margin_slopes(_probit_log_slope, _probit_slope)
probit_values = margin_values(_probit_log_value)


# ----------------------------------------------------------------------------- multiclass losses


@inline
def _classes(z):
    """Rows of z: the classes, three of room, and room for the classes again."""
    return (z.shape[0] - 3) // 2


@kernel
def _to_gaps(z, y, i):
    """Column i of the logits becomes a_c = logit_c - logit_y, -inf at the true class."""
    label = int(y[i])
    own = z[label, i]
    for c in range(_classes(z)):
        z[c, i] -= own
    z[label, i] = -math.inf
    return label


@kernel
def _log_sum_exp(z, i):
    """log sum_c exp z_c of column i; -inf where all of it is."""
    peak = z[0, i]
    for c in range(1, _classes(z)):
        peak = max(peak, z[c, i])
    if peak == -math.inf:
        return peak
    total = 0.0
    for c in range(_classes(z)):
        total += math.exp(z[c, i] - peak)
    return peak + math.log(total)


def multiclass_slopes(log_residual, lift, shift_of, mantissa, divisor):
    """The unit of a loss's residuals.

    The true class's is minus the sum of the others, and each class has its scale. As a rule one
    scale will do for all classes, and then an entry costs one exponential; classes that are 1e-100
    of the largest, and batches with scales of their own, are done with logarithms instead.

    Args:
        log_residual: log |dl/dlogit_c| of a wrong class, given a_c and log sum_c e^{a_c}.
        lift: what is taken from an example's gaps before the exponential, given the largest.
        shift_of: the log-scale, given the largest lifted gap of all.
        mantissa: the residual but for its divisor, given lifted gap, scale and e^scale.
        divisor: given the example's lift, its sum of mantissas and e^scale.
    """

    @kernel
    def by_logarithms(z, y, lo, hi, size, top):
        for start in range(lo, hi, size):
            stop, group = min(start + size, hi), (start - lo) // size
            for c in range(top.shape[1]):
                top[group, c] = -math.inf
            for i in range(start, stop):
                label = _to_gaps(z, y, i)
                whole = _log_sum_exp(z, i)
                for c in range(top.shape[1]):
                    if c != label:
                        z[c, i] = log_residual(z[c, i], whole)
                z[label, i] = _log_sum_exp(z, i)
                for c in range(top.shape[1]):
                    top[group, c] = max(top[group, c], z[c, i])
            for c in range(top.shape[1]):
                for i in range(start, stop):
                    z[c, i] = exp(z[c, i] - top[group, c])
            for i in range(start, stop):
                label = int(y[i])
                z[label, i] = -z[label, i]

    @kernel
    def in_lanes(z, y, n, classes, top):
        """All examples at one scale; False, and z as it was, where one scale does not do."""
        total, lifted, width = z[classes + 1], z[classes + 2], z.shape[1]
        shift = shift_of(_gaps_in_lanes(z, y, n, classes))
        growth = exp(shift)
        for i in range(width):
            total[i] = 0.0
            lifted[i] = lift(lifted[i])
        for c in range(classes):
            row = z[classes + 3 + c]
            for i in range(width):
                row[i] = mantissa(row[i] - lifted[i], shift, growth)
                total[i] += row[i]
        for i in range(width):
            lifted[i] = 1 / divisor(lifted[i], total[i], growth)
            total[i] *= lifted[i]
        if not _all_near(z, y, n, classes):
            for i in range(n):
                z[int(y[i]), i] = z[classes, i]
            return False
        for c in range(classes):
            row, mantissas = z[c], z[classes + 3 + c]
            for i in range(width):
                row[i] = mantissas[i] * lifted[i]
            top[0, c] = shift
        for i in range(n):
            z[int(y[i]), i] = -total[i]
        return True

    @kernel
    def slopes(z, y, lo, hi, size, shape, top):
        n = y.shape[0]
        whole = lo == 0 and hi == n and size >= n
        if not (whole and in_lanes(z, y, n, top.shape[1], top)):
            by_logarithms(z, y, lo, hi, size, top)

    return slopes


@kernel
def _gaps_in_lanes(z, y, n, classes):
    """Gaps into the upper rows, their largest into row classes + 2; returns the largest of all.

    Row `classes` keeps the logits of the true classes, whose places in z become -inf. In the lanes
    beyond the examples every gap is -inf, of which each loss makes a slope of zero.
    """
    own, peak, width = z[classes], z[classes + 2], z.shape[1]
    for i in range(n):
        label = int(y[i])
        own[i] = z[label, i]
        z[label, i] = -math.inf
    for i in range(n, width):
        own[i] = math.inf
    for i in range(width):
        peak[i] = -math.inf
    for c in range(classes):
        row, gaps = z[c], z[classes + 3 + c]
        for i in range(width):
            gaps[i] = row[i] - own[i]
            peak[i] = max(peak[i], gaps[i])
    return largest(z, classes + 2)


@kernel
def _all_near(z, y, n, classes):
    """Whether each class has a slope that is 1e-100 of the scale; one of the first, as a rule."""
    for c in range(classes):
        near = False
        for i in range(n):
            slope = z[classes + 1, i]
            if int(y[i]) != c:
                slope = z[classes + 3 + c, i] * z[classes + 2, i]
            if slope >= 1e-100:
                near = True
                break
        if not near:
            return False
    return True


def multiclass_values(log_term, log_value):
    """The unit of log l = log_value(log sum_c e^{log_term(a_c)})."""

    @kernel
    def values(z, y, n, shape, out):
        for i in range(n):
            _to_gaps(z, y, i)
            for c in range(_classes(z)):
                z[c, i] = log_term(z[c, i])
            out[i] = log_value(_log_sum_exp(z, i))

    return values


@inline
def _same(a):
    return a


@inline
def _zero(a):
    return 0.0


@inline
def _positive(a):
    return max(a, 0.0)


@inline
def _negative(a):
    return min(a, 0.0)


@inline
def _scaled_exp(a, scale, growth):
    return exp(a - scale)


@inline
def _one(lift, total, growth):
    return 1.0


@inline
def _cross_entropy_log_residual(a, whole):
    return a - softplus(whole)


@inline
def _cross_entropy_divisor(lift, total, growth):
    """e^-lift + sum_c e^{a_c - lift}: the softmax's denominator."""
    return exp(-lift) + growth * total


cross_entropy_slopes = multiclass_slopes(
    _cross_entropy_log_residual, _positive, _negative, _scaled_exp, _cross_entropy_divisor
)
cross_entropy_values = multiclass_values(_same, log_softplus)


@inline
def _multiclass_exponential_log_residual(a, whole):
    return a


multiclass_exponential_slopes = multiclass_slopes(
    _multiclass_exponential_log_residual, _zero, _same, _scaled_exp, _one
)


multiclass_exponential_values = multiclass_values(_same, _same)


@inline
def _pair_log_residual(a, whole):
    return log_sigmoid(a)


@inline
def _pair_mantissa(a, scale, growth):
    """sigma(a) e^-scale; a scale below zero means that every a is."""
    tail = exp(-abs(a) - scale)
    return tail / (1 + tail * growth) if a < 0 else 1 / (1 + tail)


pair_log_slopes = multiclass_slopes(_pair_log_residual, _zero, _negative, _pair_mantissa, _one)


pair_log_values = multiclass_values(log_softplus, _same)
