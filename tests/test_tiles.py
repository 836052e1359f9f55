"""Register tiles: which are taken, and what is left over at the edges."""

import numpy as np
import pytest

from limitpoint.engines.cpu.kernels._tiles import Processor, combine_of, dots_of
from limitpoint.engines.cpu.pack import padded, room

#: Whole tiles, each remainder of rows, vectors that are left over.
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13)


@pytest.mark.parametrize(
    ("lanes", "registers", "tile"), [(8, 32, (5, 5)), (4, 16, (4, 3)), (2, 32, (5, 5))]
)
def test_a_tile_fills_the_registers(lanes, registers, tile):
    rows, columns = Processor(lanes, registers).tile
    assert (rows, columns) == tile
    assert rows * columns + columns + 1 <= registers


@pytest.mark.parametrize("tile", [(5, 5), (4, 3)])
@pytest.mark.parametrize("make", [dots_of, combine_of])
def test_every_remainder_is_there(make, tile):
    kernel, random = make(*tile), np.random.default_rng(0)
    for count in COUNTS:
        for other in COUNTS:
            A, B = room(count, padded(other * 8)), room(7, padded(other * 8))
            A[:], B[:] = random.standard_normal(A.shape), random.standard_normal(B.shape)
            if make is dots_of:
                out, expected = room(count, padded(7)), 1 + A @ B.T
                out[:] = 1
                kernel(A, count, B, 7, A.shape[1], out)
                assert np.abs(out[:, :7] - expected).max() < 1e-12
                assert (out[:, 7:] == 1).all()
            else:
                W, out = random.standard_normal((count, 7)), np.ones((count, B.shape[1]))
                kernel(W, count, 1, 6, B, out)
                assert np.abs(out - 1 - W[:, 1:6] @ B[1:6]).max() < 1e-12
