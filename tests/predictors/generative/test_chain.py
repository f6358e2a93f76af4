import torch

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.generative.chain import chain


def test_each_prediction_is_the_newest_frame_of_the_next_context():
    frames = torch.arange(5.0).reshape(1, 5, 1, 1, 1)
    actions = 10 * torch.arange(4.0).reshape(1, 4, 1)
    seen = []

    def predict(k, before, actions):
        seen.append((k, before.flatten().tolist(), actions.flatten().tolist()))
        return torch.full((1, 1, 1, 1), 100.0 + k)

    chain(Batch(frames, actions), 2, predict)
    assert seen == [(0, [0, 1], [0, 10]), (1, [1, 100], [10, 20]), (2, [100, 101], [20, 30])]
    seen.clear()
    chain(Batch(frames, actions), 2, predict, frames=1)
    assert [k for k, *_ in seen] == [0]
