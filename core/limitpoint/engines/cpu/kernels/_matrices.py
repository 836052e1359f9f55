"""Matrices: the polar factor, exact and as Muon iterates it."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import kernel


@kernel
def _copy(target, source):
    for r in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[r, j] = source[r, j]


@kernel
def newton_schulz(x, d, turned, room, iterations):
    """X <- a X + (b X X^T + c (X X^T)^2) X from X / |X|_F (Jordan et al. 2024).

    `turned` is room for another X, `room` for two matrices of rows x rows.
    """
    rows, half = x.shape[0], room.shape[0] // 2
    gram = room[:half].reshape(-1)[: rows * rows].reshape((rows, rows))
    mixed = room[half:].reshape(-1)[: rows * rows].reshape((rows, rows))
    length = 0.0
    for r in range(rows):
        length += _inner(x, r, r)
    length = math.sqrt(length)
    for r in range(rows):
        for j in range(d):
            x[r, j] /= length
    for _ in range(int(iterations)):
        for p in range(rows):
            for q in range(rows):
                gram[p, q] = 0.0
                for j in range(d):
                    gram[p, q] += x[p, j] * x[q, j]
        for p in range(rows):
            for q in range(rows):
                mixed[p, q] = -4.7750 * gram[p, q]
                for s in range(rows):
                    mixed[p, q] += 2.0315 * gram[p, s] * gram[s, q]
        for p in range(rows):
            for j in range(d):
                turned[p, j] = 3.4445 * x[p, j]
                for q in range(rows):
                    turned[p, j] += mixed[p, q] * x[q, j]
        _copy(x, turned)


@kernel
def polar_of(x, d, turned, room, tolerance):
    """X = U S V^T becomes U V^T, without the singular values below tolerance * the largest.

    One-sided Jacobi (Hestenes 1958): rotation @ x = `turned` has orthogonal rows, of lengths S.
    """
    rows = x.shape[0]
    rotation = room.reshape(-1)[: rows * rows].reshape((rows, rows))
    _copy(turned, x)
    _orthogonalise(turned, rotation)
    largest = 0.0
    for r in range(x.shape[0]):
        largest = max(largest, _inner(turned, r, r))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = 0.0
    for r in range(x.shape[0]):
        length = math.sqrt(_inner(turned, r, r))
        if length > tolerance * math.sqrt(largest):
            for i in range(x.shape[0]):
                for j in range(x.shape[1]):
                    x[i, j] += rotation[r, i] / length * turned[r, j]


@kernel
def _inner(x, p, q):
    total = 0.0
    for j in range(x.shape[1]):
        total += x[p, j] * x[q, j]
    return total


@kernel
def _orthogonalise(x, rotation):
    """Rotate pairs of rows until all are orthogonal to rounding; at most 60 sweeps."""
    rows = x.shape[0]
    for r in range(rows):
        for s in range(rows):
            rotation[r, s] = 1.0 if r == s else 0.0
    for _ in range(60):
        turned = False
        for p in range(rows):
            for q in range(p + 1, rows):
                a, b, c = _inner(x, p, p), _inner(x, q, q), _inner(x, p, q)
                if abs(c) > 1e-16 * math.sqrt(a * b):
                    turned = True
                    zeta = (b - a) / (2 * c)
                    tangent = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1 + zeta * zeta))
                    _rotate(x, p, q, tangent)
                    _rotate(rotation, p, q, tangent)
        if not turned:
            return


@kernel
def _rotate(x, p, q, tangent):
    cosine = 1 / math.sqrt(1 + tangent * tangent)
    sine = cosine * tangent
    for j in range(x.shape[1]):
        a, b = x[p, j], x[q, j]
        x[p, j] = cosine * a - sine * b
        x[q, j] = sine * a + cosine * b
