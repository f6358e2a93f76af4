import torch
import torch.nn.functional as F


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def texture(*leading, size=32, seed=0, dtype=torch.float32):
    """Smooth random images in [0, 1] with structure at every place."""
    count = int(torch.tensor(leading).prod()) if leading else 1
    coarse = torch.rand(count, 3, size // 4 + 2, size // 4 + 2, generator=generator(seed))
    fine = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True).clamp(0, 1)
    return fine.reshape(*leading, 3, size, size).to(dtype)


def body(dx, dy, *, size=32, side=8, at=(10, 10), seed=0):
    """One textured square on a plain floor, moved by (dx, dy)."""
    image = torch.full((1, 3, size, size), 0.2)
    left, top = at[0] + dx, at[1] + dy
    image[..., top : top + side, left : left + side] = 0.4 + 0.6 * texture(1, size=side, seed=seed)
    return image


def bodies(count, *, size=32, seed=0):
    """Pairs of images of one body at two places, each pair with another displacement."""
    moves = torch.randint(-8, 9, (count, 2), generator=generator(seed)).tolist()
    firsts = [body(0, 0, size=size, seed=i) for i in range(count)]
    return torch.cat(firsts), torch.cat([body(dx, dy, size=size, seed=i) for i, (dx, dy) in enumerate(moves)])


class ConstantFlow:
    """The true flow of an image that moved as a whole; ``both`` is left out on purpose."""

    def __init__(self, forward, backward):
        self.flows, self.calls = [forward, backward], 0

    def __call__(self, target, source):
        dx, dy = self.flows[self.calls % 2]
        self.calls += 1
        flow = target.new_zeros(target.shape[0], 2, *target.shape[2:])
        flow[:, 0], flow[:, 1] = dx, dy
        return flow
