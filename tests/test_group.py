"""Several processes that are one process group."""

import os
import time

import numpy as np
import pytest
import torch
from torch import distributed

from limitpoint.errors import SubjectFailed
from limitpoint.subjects import form_a_group_of_one, together


def summed(rank):
    found = torch.tensor([rank + 1.0], dtype=torch.float64)
    distributed.all_reduce(found)
    return {"sum": found.numpy(), "processes": np.array(distributed.get_world_size())}


def failing(rank):
    if rank == 1:
        raise SubjectFailed("raised KeyError at step 0")
    return summed(rank)  # waits for the other


def leaving(rank):
    if rank == 1:
        os._exit(3)
    return summed(rank)


def test_they_reduce():
    for found in together(summed, 3):
        assert (found["sum"], found["processes"]) == (6.0, 3)


def test_a_group_of_the_parents_is_not_theirs():
    form_a_group_of_one()
    try:
        assert [found["processes"] for found in together(summed, 2)] == [2, 2]
        assert distributed.get_world_size() == 1
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("work", "said"),
    [(failing, "raised KeyError at step 0"), (leaving, "ended one process of the group")],
    ids=["failing", "leaving"],
)
def test_one_that_fails_keeps_nobody_waiting(work, said):
    began = time.monotonic()
    with pytest.raises(SubjectFailed, match=said):
        together(work, 2)
    assert time.monotonic() - began < 30  # of the 60 s that one waits for another


def test_its_last_words_are_lost(capfd):
    def work(rank):
        os.write(2, b"terminate called after throwing")
        return {"rank": np.array([rank])}

    assert [int(found["rank"][0]) for found in together(work, 2)] == [0, 1]
    assert capfd.readouterr().err == ""
