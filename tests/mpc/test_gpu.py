"""Plans of frames and costs that live on a GPU."""

import pytest
import torch

from corrwise.costs import GoalCost, l1, recommended
from corrwise.mpc import CEM, AgentConfig, VisualMPC
from corrwise.types import Goal
from tests.costs.images import bodies

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


class _Still(torch.nn.Module):
    """Predicts the last frame; has weights, so images follow it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, context, actions, *, steps=None, generators=None):
        shape = (*actions.shape[:2], len(steps or range(actions.shape[2])), *context.frames.shape[2:])
        return context.frames[:, None, -1:].expand(shape) + self.weight * actions.mean()


@pytest.mark.parametrize("weights", ["cpu", "cuda"])
@pytest.mark.parametrize("device", [None, "cuda"])
def test_plans_are_made_where_the_predictor_or_the_configuration_says(weights, device):
    x, y = bodies(1)
    predictor, config = _Still().to(weights), AgentConfig(device=device)
    image = (255 * x[0]).byte().permute(1, 2, 0).numpy()
    agent = VisualMPC(predictor, GoalCost(recommended(l1)), CEM(2, candidates=8), goal=Goal(y[None]), config=config)
    action, state = agent.predict(image)
    again, _ = agent.predict(image, state)
    assert action.shape == again.shape == (2,)
