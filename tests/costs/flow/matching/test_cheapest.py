"""The vectorised search of least entries finds what ``torch.min`` finds."""

from __future__ import annotations

import pytest
import torch

from corrwise.costs.flow.matching.match_costs import cheapest_columns, cheapest_rows


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 50, 64])
@pytest.mark.parametrize("columns", [1, 33])
def test_least_entries_are_the_first_of_those_that_torch_finds(rows, columns):
    cost = torch.randint(0, 9, (3, rows, columns), generator=torch.Generator().manual_seed(rows)).float()  # many ties
    values, indices = cheapest_columns(cost)
    assert torch.equal(values, cost.min(dim=1).values)
    assert torch.equal(indices, _first(cost, 1))
    assert torch.equal(cheapest_rows(cost), _first(cost, 2))


def test_nan_is_found_and_stays_in_its_pair():
    cost = torch.rand(2, 40, 40, generator=torch.Generator().manual_seed(0))
    cost[1, 33, 7] = float("nan")
    values, indices = cheapest_columns(cost)
    assert values[1, 7].isnan()
    assert indices[1, 7] == 33
    assert cheapest_rows(cost)[1, 33] == 7
    assert torch.equal(values[0], cost[0].amin(0))


def _first(cost: torch.Tensor, axis: int) -> torch.Tensor:
    least = cost == cost.amin(axis, keepdim=True)
    return least.int().argmax(axis)
