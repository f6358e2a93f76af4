"""The learned flow: what its net promises whatever its weights, what the shipped weights can do, what it refuses."""

import json

import pytest
import torch
from safetensors.torch import save_file

from corrwise.costs import l1, recommended
from corrwise.costs.flow import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import FORMAT, SHIPPED_IN, load_net, save_net
from corrwise.costs.flow.learned.refiner import look_up
from corrwise.costs.flow.learned.tokens import attend, groups, token_index
from corrwise.costs.warp import warp
from corrwise.testing import check_flow

TINY = FlowNetConfig(fine=4, coarse=8, width=16, heads=2, hidden=4, updates=2, refinements=2)


def _tiny() -> FlowNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlowNet(TINY)


@pytest.fixture
def tiny_file(tmp_path):
    save_net(_tiny(), tmp_path / "net.safetensors", steps="3")
    return tmp_path / "net.safetensors"


def _body(*, shift: tuple[int, int], size: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A shaded body with a head and two legs on a plain floor, the same one moved, and the flow that says so."""
    x = torch.full((1, 3, size, size), 0.3)
    for part, colour in (((20, 24, 23, 27), (0.9, 0.8, 0.2)), ((24, 32, 20, 30), (0.8, 0.2, 0.2)),
                         ((32, 38, 20, 23), (0.2, 0.3, 0.9)), ((32, 38, 27, 30), (0.2, 0.8, 0.4))):  # fmt: skip
        x[:, :, part[0] : part[1], part[2] : part[3]] = torch.tensor(colour)[:, None, None]
    mask = (x != 0.3).any(dim=1, keepdim=True)
    shade = torch.linspace(0.2, -0.2, size)[:, None] * 2 + torch.linspace(-0.2, 0.2, size)
    x = torch.where(mask, (x + shade).clamp(0, 1), x)
    flow = mask * torch.tensor(shift, dtype=torch.float32)[:, None, None]
    return x, x.roll((shift[1], shift[0]), dims=(2, 3)), flow


def test_keeps_the_contract_with_any_weights(tiny_file):
    check_flow(LearnedFlow(tiny_file), exact=False)


def test_the_shipped_weights_are_small_and_have_a_card():
    net = load_net("small")
    assert sum(each.numel() for each in net.parameters()) < 1e6
    folder = SHIPPED_IN
    assert (folder / "small.safetensors").stat().st_size <= 4e6
    assert "corrwise train-flow" in (folder / "small.md").read_text()


@pytest.mark.parametrize("shift", [(3, 0), (-6, 5), (12, -9)])
def test_the_shipped_weights_find_a_body_that_no_one_trained_on(shift):
    x, y, truth = _body(shift=shift)
    flow = LearnedFlow()(x, y)
    body = truth.norm(dim=1) > 0
    distance = float(torch.tensor(shift).float().norm())
    error = (flow - truth).norm(dim=1)[body]
    assert error.median() < 1
    assert error.mean() < 0.5 * distance
    assert flow.norm(dim=1)[~body].mean() < 0.1
    left, before = ((image - x).abs().mean(dim=1)[body].mean() for image in (warp(y, flow), y))
    assert left < 0.6 * before


def test_the_default_cost_grows_with_a_bodys_distance():
    goal, costs = _body(shift=(-16, 0))[1], []
    for way in range(0, 33, 4):
        costs.append(float(recommended(l1)(_body(shift=(way - 16, 0))[1], goal)))
    assert costs[0] < 1e-6
    assert (torch.tensor(costs).diff() > 0).all(), costs


def test_what_does_not_differ_stays_where_it_is(tiny_file):
    x, y, _ = _body(shift=(5, 0))
    forward, backward = LearnedFlow(tiny_file).both(x, y)
    differs = (x != y).any(dim=1)
    reach = torch.nn.functional.max_pool2d(differs[:, None].float(), 3, stride=1, padding=1)[:, 0] > 0
    for flow in (forward, backward):
        assert (flow.norm(dim=1)[~reach] == 0).all()
        assert flow.norm(dim=1)[reach].max() > 0


def test_gradients_reach_both_images(tiny_file):
    x, y, _ = _body(shift=(5, 0))
    x.requires_grad_()
    y.requires_grad_()
    LearnedFlow(tiny_file)(x, y).square().sum().backward()
    for image in (x, y):
        assert image.grad is not None
        assert image.grad.abs().sum() > 0
        assert image.grad.isfinite().all()


@pytest.mark.parametrize("size", [(16, 16), (30, 45), (64, 96)])
def test_any_size_from_16_pixels_up(tiny_file, size):
    flow = LearnedFlow(tiny_file)(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert flow.shape == (2, 2, *size)
    assert flow.isfinite().all()


def test_chunks_and_more_refinements(tiny_file):
    x, y = torch.rand(5, 3, 32, 32), torch.rand(5, 3, 32, 32)
    whole = LearnedFlow(tiny_file)(x, y)
    assert torch.allclose(LearnedFlow(tiny_file, chunk=2)(x, y), whole, atol=1e-4)
    assert not torch.allclose(LearnedFlow(tiny_file, refinements=2)(x, y), whole, atol=1e-4)


def test_a_pixel_that_is_not_finite_spoils_its_own_pair_alone(tiny_file):
    x, y = torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32)
    clean = LearnedFlow(tiny_file)(x, y)
    x[1, 0, 4, 4] = float("nan")
    flow = LearnedFlow(tiny_file)(x, y)
    assert flow[1].isnan().all(), "a flow was made up from an image that is none"
    assert torch.allclose(flow[[0, 2]], clean[[0, 2]], atol=1e-4)


def test_bad_input_is_one_sentence(tiny_file, tmp_path, unhooked):
    flow = LearnedFlow(tiny_file)
    with pytest.raises(ValueError, match=r"RGB images of at least 16 px to a side, got \(1, 3, 12, 64\)"):
        flow(torch.rand(1, 3, 12, 64), torch.rand(1, 3, 12, 64))
    with pytest.raises(ValueError, match="RGB images"):
        flow(torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32))
    with pytest.raises(
        ValueError, match=r"expected source of shape \(1, 3, 32, 32\) like target, got \(1, 3, 32, 36\)"
    ):
        flow(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 36))
    with pytest.raises(ValueError, match=r"threshold in \[0, 1\), got -1"):
        LearnedFlow(tiny_file, threshold=-1)
    with pytest.raises(ValueError, match="refinements of at least 1, got 0"):
        LearnedFlow(tiny_file, refinements=0)
    with pytest.raises(FileNotFoundError, match=r"one of small or a file .* got 'large' which is no file"):
        LearnedFlow("large")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match="cannot be read as a flow net's weights"):
        LearnedFlow(tmp_path / "text.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds another network's"):
        LearnedFlow(tmp_path / "other.safetensors")
    wide, no_update, no_number = ({"width": 32, "heads": 2}, {"updates": 0}, {"updates": "x"})
    for config in (json.dumps(wide), json.dumps(no_update), json.dumps(no_number), "{", "[]"):
        save_file(_tiny().state_dict(), tmp_path / "spoilt.safetensors", {"format": FORMAT, "config": config})
        with pytest.raises(ValueError, match=r"spoilt\.safetensors holds no weights that fit their configuration"):
            LearnedFlow(tmp_path / "spoilt.safetensors")


def test_attention_without_a_matrix_is_attention_with_one():
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    query, key, value = (draw(2, 3, 7, 4) for _ in range(3))
    at, to, carry = (draw(2, 7, 2) for _ in range(3))
    spring, absent = draw(3), torch.zeros(2, 7)
    absent[1, 5:] = -1e4
    read, carried = attend(query, key, value, at=at, to=to, absent=absent, spring=spring, carry=carry)
    square = (at[:, :, None] - to[:, None]).square().sum(-1)[:, None]
    logits = query @ key.transpose(-1, -2) / 2 - torch.nn.functional.softplus(spring)[:, None, None] * square
    weights = (logits + absent[:, None, None]).softmax(dim=-1)
    assert torch.allclose(read, weights @ value, atol=1e-4)
    assert torch.allclose(carried, weights @ carry[:, None], atol=1e-4)
    assert weights[1, :, :, 5:].max() < 1e-6


def test_pairs_are_grouped_by_their_tokens_and_none_is_lost():
    counts = [0, 250, 3, 40, 90, 33, 256, 64, 0, 1]
    grouped = groups(counts)
    assert sorted(pair for group in grouped for pair in group) == [1, 2, 3, 4, 5, 6, 7, 9]
    for group in grouped:
        assert max(counts[pair] for pair in group) <= 2 * max(32, min(counts[pair] for pair in group))
    cells = torch.tensor([[[True, False], [True, True]], [[False, False], [False, True]]])
    index, valid = token_index(cells)
    assert index[0].tolist() == [0, 2, 3]
    assert (index[1, 0], valid.tolist()) == (3, [[True, True, True], [True, False, False]])


def test_a_look_up_reads_where_the_flow_points():
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1
    assert torch.allclose(look_up(features, flow)[..., :-1], features[..., 1:])
    flow[:, 0], flow[:, 1] = 0.5, 1
    assert torch.allclose(look_up(features, flow)[0, 0, 0, :3], torch.tensor([4.5, 5.5, 6.5]))


@pytest.mark.parametrize("times", [1, 2])
def test_a_window_computes_what_the_whole_image_would(times):
    refiner, draw = _tiny().refiner, torch.Generator().manual_seed(1)
    tokens, coarse = torch.rand(2, 16, 16, 16, generator=draw), torch.randn(2, 2, 16, 16, generator=draw)
    target, source = torch.rand(2, 2, 4, 32, 32, generator=draw)
    differs = torch.zeros(2, 64, 64, dtype=torch.bool)
    differs[0, 20:31, 24:29] = differs[1, 50:, :9] = True
    corners = differs.clone()
    corners[:, ::63, ::63] = True  # so that every window is a whole image
    few, many = (refiner(tokens, coarse, target, source, asked, times=times)[-1] for asked in (differs, corners))
    assert torch.allclose(few, many * differs[:, None], atol=1e-5)
    assert few.abs().max() > 0.01
