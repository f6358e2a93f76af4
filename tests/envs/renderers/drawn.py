"""Small models of what MuJoCo draws and what it hides, for both renderers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import mujoco
import numpy as np

# Attributes of a geom or site, and whether MuJoCo draws it.
VISIBILITY = {
    'rgba="1 0 0 1"': True,
    'rgba="1 0 0 1" group="2"': True,
    'rgba="1 0 0 1" group="3"': False,
    'rgba="1 0 0 1" group="5"': False,
    'rgba="1 0 0 0"': False,
    'rgba="1 0 0 .5"': True,
    'material="red"': True,
    'material="clear"': False,
    'material="clear" rgba="1 0 0 1"': True,
    'material="red" rgba="1 0 0 0"': False,
    'material="red" rgba=".5 .5 .5 0"': False,
    'material="red" group="4"': False,
}
SHAPES = {
    "sphere": 'type="sphere" size=".3"',
    "capsule": 'type="capsule" size=".15 .2"',
    "ellipsoid": 'type="ellipsoid" size=".35 .15 .25"',
    "cylinder": 'type="cylinder" size=".2 .25"',
    "box": 'type="box" size=".3 .25 .15"',
}
TEXTURED = {**SHAPES, "mesh": 'type="mesh" mesh="tetra"', "mesh with coordinates": 'type="mesh" mesh="uv"'}
FACES = np.array([[230, 30, 30], [30, 230, 230], [30, 230, 30], [230, 30, 230], [30, 30, 230], [230, 230, 30]])
TURNS = ("0 0 -90", "0 0 90", "0 0 180", "0 0 0", "90 0 0", "-90 0 0")  # what brings +x, -x, +y, ... before the camera

CLOTH = """
<mujoco><option timestep="0.002"/><visual><headlight ambient=".4 .4 .4"/></visual><worldbody>
  <flexcomp name="cloth" type="grid" count="5 5 1" spacing=".25 .25 .1" dim="2" radius=".02" mass="1" rgba="1 0 0 1"
    euler="90 0 0"><edge equality="true"/><contact selfcollide="none"/></flexcomp>
  </worldbody></mujoco>"""
SKIN = """
<mujoco><option timestep="0.02"/><visual><headlight ambient=".4 .4 .4"/></visual><worldbody>
  <body name="bone"><joint name="x" type="slide" axis="1 0 0" damping="1"/><geom size=".1" mass="1" {}/></body>
  </worldbody><asset><skin name="hide" rgba="1 0 0 1" vertex="-.5 0 -.5 .5 0 -.5 .5 0 .5 -.5 0 .5" face="0 1 2 0 2 3">
    <bone body="bone" bindpos="0 0 0" bindquat="1 0 0 0" vertid="0 1 2 3" vertweight="1 1 1 1"/></skin></asset>
  <actuator><motor joint="x" gear="20"/></actuator></mujoco>"""
_ASSETS = """
<asset><material name="red" rgba="1 0 0 1"/><material name="clear" rgba="1 0 0 0"/>
  <mesh name="tetra" vertex=".3 .3 .3 -.3 -.3 .3 -.3 .3 -.3 .3 -.3 -.3"/>
  <mesh name="uv" vertex="-.3 0 -.3 .3 0 -.3 .3 0 .3 -.3 0 .3 0 .3 0" texcoord="0 0 .8 0 .8 1 0 1 .5 .5"
    face="0 1 2 0 2 3 0 4 1 1 4 2 2 4 3 3 4 0"/></asset>"""
_VISUAL = '<visual><headlight ambient=".5 .5 .5" diffuse=".4 .4 .4" specular="0 0 0"/></visual>'


def grid(elements: Iterable[str], *, turns: Iterable[str] = (), joint: str = "<freejoint/>", more: str = "") -> str:
    """Return a model with geoms or sites in rows of four, each on a body that moves unless ``joint`` is empty."""
    elements = list(elements)
    turns = list(turns) or ["0 0 0"] * len(elements)
    inertia = '<inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>' if joint else ""
    bodies = "".join(
        f'<body pos="{x} 0 {z}" euler="{turn}">{joint}{inertia}{element}</body>'
        for (x, z), element, turn in zip(_cells(), elements, turns, strict=False)
    )
    return f"<mujoco>{_VISUAL}{_ASSETS}<worldbody>{more}{bodies}</worldbody></mujoco>"


def cell(image: np.ndarray, number: int) -> np.ndarray:
    """Return what an image (3, h, w), seen as ``worlds.task_of`` does, shows of one element of a grid."""
    size = image.shape[-1]
    x, z = list(_cells())[number]
    pixels = size / 2 / np.tan(np.radians(22.5)) / 4  # of a metre, 4 m away
    column, row, half = size / 2 + pixels * x, size / 2 - pixels * z, 0.38 * pixels
    return image[:, round(row - half) : round(row + half), round(column - half) : round(column + half)]


def cubes(turns: Iterable[str] = TURNS) -> mujoco.MjSpec:
    """Return free cubes of six colours, each face with a bright corner, turned by Euler angles in degrees."""
    side = 16
    image = np.repeat(np.repeat(FACES[:, None, None], side, 1), side, 2).astype(np.uint8)
    image[:, : side // 4, : side // 4] = 255
    turns = list(turns)
    return _coated([f'type="box" size="{"0.25 " * 3}"'] * len(turns), image, "cube", turns)


def patterned(*, kind: str, repeat: str = "2 3", uniform: str = "false", turn: str = "30 20 40") -> mujoco.MjSpec:
    """Return free shapes of all types with an uneven pattern on a "2d" or "cube" texture.

    Its first quarter of columns is blue, the upper half of its rows green.
    """
    side = 32
    image = np.zeros((1 if kind == "2d" else 6, side, side, 3), dtype=np.uint8)
    image[..., 0] = 60 + 30 * np.arange(len(image))[:, None, None]
    image[:, : side // 2, :, 1], image[:, :, : side // 4, 2] = 255, 255
    shapes = [shape for name, shape in TEXTURED.items() if (name, kind) != ("mesh with coordinates", "cube")]
    return _coated(shapes, image, kind, [turn] * len(shapes), repeat=repeat, uniform=uniform)


def _cells() -> Iterator[tuple[float, float]]:
    for z in (0.9, 0.0, -0.9):
        for x in (-1.2, -0.4, 0.4, 1.2):
            yield x, z


def _coated(
    shapes: list[str], image: np.ndarray, kind: str, turns: list[str], *, repeat: str = "1 1", uniform: str = "false"
) -> mujoco.MjSpec:
    more = ('<texture name="t" type="2d" builtin="flat" rgb1="1 1 1" width="8" height="8"/>'
            f'<material name="m" texture="t" texrepeat="{repeat}" texuniform="{uniform}" specular="0"/>')  # fmt: skip
    xml = grid([f'<geom {shape} material="m"/>' for shape in shapes], turns=turns)
    spec = mujoco.MjSpec.from_string(xml.replace("<asset>", f"<asset>{more}", 1))
    texture = spec.texture("t")
    texture.type = mujoco.mjtTexture.mjTEXTURE_2D if kind == "2d" else mujoco.mjtTexture.mjTEXTURE_CUBE
    texture.builtin = mujoco.mjtBuiltin.mjBUILTIN_NONE
    texture.width, texture.height, texture.nchannel = image.shape[2], len(image) * image.shape[1], 3
    texture.data = image.tobytes()
    return spec
