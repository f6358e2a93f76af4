"""The covariance Q of Gaussian-process noise on a grid of pixels: products with it, and samples of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.restoration.gaussian_process import GaussianProcessConfig, kernel

__all__ = ["GridCovariance", "grid_covariance"]


@dataclass(frozen=True)
class GridCovariance:
    """Q of all pixels of an image: the Kronecker product of a factor for rows and one for columns.

    The kernel is a product of one factor for each axis, so that a product with Q is two small ones.

    Attributes:
        rows, columns: the covariance between the rows of a column, and between the columns of a row.
        rows_root, columns_root: their symmetric square roots.
    """

    rows: Float[Tensor, "h h"]
    columns: Float[Tensor, "w w"]
    rows_root: Float[Tensor, "h h"]
    columns_root: Float[Tensor, "w w"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return len(self.rows), len(self.columns)

    def multiply(self, images: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """Return ``Q images``, each channel as a vector of pixels.

        Raises:
            ValueError: images of another size.
        """
        self._check(images)
        return _product(self.rows, images, self.columns)

    def colour(self, white: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """Return ``Q^(1/2) white``: white noise becomes noise of covariance Q.

        Raises:
            ValueError: noise of another size.
        """
        self._check(white)
        return _product(self.rows_root, white, self.columns_root)

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "*n h w"]:
        """Return independent noise images of covariance Q, one for each index of a shape.

        Raises:
            ValueError: a generator on another device than Q.
        """
        if generator.device.type != self.rows.device.type:
            raise ValueError(f"expected a generator on {self.rows.device}, got one on {generator.device}")
        size = (*shape, *self.size)
        return self.colour(torch.randn(size, generator=generator, dtype=self.rows.dtype, device=self.rows.device))

    def _check(self, images: Tensor) -> None:
        if images.shape[-2:] != self.size:
            raise ValueError(f"expected images of {self.size[0]} x {self.size[1]} pixels, got {tuple(images.shape)}")


def grid_covariance(
    config: GaussianProcessConfig,
    height: int,
    width: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> GridCovariance:
    """Return Q of noise with a kernel on images of a size; its factors are computed in double precision."""
    parts = [_factor(config, side) for side in (height, width)]
    rows, columns, rows_root, columns_root = (
        each.to(dtype).to(device) for each in (parts[0][0], parts[1][0], parts[0][1], parts[1][1])
    )
    return GridCovariance(rows, columns, rows_root, columns_root)


def _product(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    """Return the product without autocast: rounding in bfloat16 adds frequencies that the kernel does not have."""
    with torch.autocast(images.device.type, enabled=False):
        return rows @ images @ columns


def _factor(config: GaussianProcessConfig, side: int) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n n"]]:
    """Return the covariance of a row of pixels, and its symmetric square root."""
    places = torch.arange(side, dtype=torch.float64, device="cpu")
    covariance = kernel(torch.stack((places, torch.zeros_like(places)), dim=1), config)
    matrix = covariance[(places[:, None] - places).abs().long()]
    values, vectors = torch.linalg.eigh(matrix)
    # A long length scale leaves frequencies without variance, whose eigenvalues round to either side of zero.
    return matrix, vectors * values.clamp(min=0).sqrt() @ vectors.T
