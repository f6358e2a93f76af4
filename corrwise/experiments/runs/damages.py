"""What happened to images, as an option states it: the image of a mask, or a damage with options."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool

from corrwise._files import local_path
from corrwise.experiments.cli.restore import AUTO
from corrwise.mpc.sampling import generator
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image
from corrwise.predictors.restoration import Masking, NoiseCarrier, Operator, RestorationModel, make_carrier, make_damage
from corrwise.predictors.restoration.damage import DAMAGES, Damage, Downscale

__all__ = ["StatedDamage", "carrier_for", "stated_damage"]

_MASKS = 1  # a stream beside that of plans


@dataclass(frozen=True)
class StatedDamage:
    """A mask for all frames, or a damage that is drawn for each frame.

    Attributes:
        mask: whether a pixel is missing; None where the damage is drawn.
        drawn: None where there is a mask.
    """

    mask: Bool[np.ndarray, "h w"] | None
    drawn: Damage | None

    @property
    def stamp(self) -> str:
        """What identifies it in settings: its text, or a hash of the mask."""
        return str(self.drawn) if self.mask is None else sha256(self.mask.tobytes()).hexdigest()[:12]

    @property
    def factor(self) -> int:
        """How many pixels to a side become one."""
        return self.drawn.factor if isinstance(self.drawn, Downscale) else 1

    def check_size(self, what: str, size: tuple[int, int]) -> None:
        """Refuse a mask of another size.

        Args:
            what: has the size, such as "video".
            size: height and width in pixels.

        Raises:
            ValueError: the mask has another size.
        """
        if self.mask is not None and self.mask.shape != size:
            wanted, got = (f"{h} x {w}" for h, w in (size, self.mask.shape))
            raise ValueError(f"expected a mask of the {what}'s size, {wanted}, got one of {got}")

    def operator(
        self, number: int, size: tuple[int, int], padded: tuple[int, int], seed: int, device: str | torch.device = "cpu"
    ) -> Operator:
        """Return what happened to a frame.

        Args:
            number: of the frame; each frame has a mask of its own where masks are drawn.
            size: of the frame, height and width in pixels. A mask does not depend on the padding.
            padded: its size with padding at the bottom and at the right, where the last row and column of a mask go on.
            seed: of masks that are drawn.
            device: of the frame.
        """
        if self.drawn is None:
            assert self.mask is not None
            mask = torch.from_numpy(1 - self.mask.astype(np.float32))[None, None]
        else:
            operator = self.drawn.draw(1, *size, generator(seed, number, _MASKS))
            if not isinstance(operator, Masking):
                return operator
            mask = operator.mask
        more = 0, padded[1] - size[1], 0, padded[0] - size[0]
        return Masking(F.pad(mask, more, mode="replicate").to(device))


def stated_damage(text: str) -> StatedDamage:
    """Return the damage of a text such as ``random:share=0.4``, or of the file of a mask.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown damage, a folder, a file that is no image, or a mask of one colour.
    """
    path = local_path(text)
    if path.is_file():
        mask = read_image(path, BitDepth()).mean(axis=2) > 127
        if not mask.any():  # such as one of 0 and 1 in place of 0 and 255
            raise ValueError(f"expected a mask that is white where pixels are missing, got no white pixel in {path}")
        if mask.all():  # such as one that is drawn in its transparency
            raise ValueError(f"expected a mask that is black where pixels are known, got white pixels alone in {path}")
        return StatedDamage(mask, None)
    if path.is_dir() and text not in DAMAGES:
        raise ValueError(f"expected a damage or the file of a mask, got a folder, {path}")
    if path.suffix and ":" not in text:
        raise FileNotFoundError(f"there is no mask at {path}")
    return StatedDamage(None, make_damage(text))


def carrier_for(name: str, model: RestorationModel) -> NoiseCarrier:
    """Return the noise carrier of a name, with noise of the model's law where the carrier takes any.

    Raises:
        ValueError: there is no such carrier, or it carries noise of another law than the model's.
    """
    kernel = model.config.kernel
    if name == AUTO:
        name = "discrete" if kernel is None else "gp"
    takes_kernel = kernel is not None and name in ("gp", "fixed", "resample")
    carrier = make_carrier(name, config=kernel) if takes_kernel else make_carrier(name)
    model.check_carrier(carrier)
    return carrier
