"""Colours of ray hits from MuJoCo's materials, lights and plane textures, without shadows or reflections."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Float

from corrwise.envs.renderers.shapes import Shapes


def albedo(model: mujoco.MjModel, shapes: Shapes) -> Float[np.ndarray, "n 3"]:
    """Return each shape's colour: the colour that MuJoCo draws times the mean colour of its texture."""
    colours = shapes.rgba[:, :3].astype(np.float64)
    means: dict[int, np.ndarray] = {}
    for shape in np.flatnonzero(shapes.material >= 0):
        texture = texture_of(model, int(shapes.material[shape]))
        if texture >= 0 and texture not in means:
            means[texture] = texels(model, texture).mean(axis=(0, 1))
        if texture >= 0:
            colours[shape] = colours[shape] * means[texture]
    return colours


def plane_texture(
    model: mujoco.MjModel, shapes: Shapes, shape: int, points: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"] | None:
    """Return texture colour over mean colour at points (shape's frame, metres) of a textured plane, else None."""
    material = int(shapes.material[shape])
    texture = texture_of(model, material) if material >= 0 else -1
    if texture < 0 or int(shapes.kind[shape]) != int(mujoco.mjtGeom.mjGEOM_PLANE):
        return None
    image = texels(model, texture)
    repeat, size = model.mat_texrepeat[material], shapes.size[shape, :2]
    if model.mat_texuniform[material] or not size.all():
        uv = points[:, :2] * repeat
    else:
        uv = (points[:, :2] / (2 * size) + 0.5) * repeat
    wide = [image.shape[1], image.shape[0]]
    texel = (np.mod(uv, 1.0) * wide).astype(int) % wide  # the remainder of a tiny negative number rounds to 1
    return image[-1 - texel[:, 1], texel[:, 0]] / np.maximum(image.mean(axis=(0, 1)), 1e-6)


def sky(model: mujoco.MjModel, directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Return the sky box's colour by elevation: the rows of its front face, from horizon to zenith and below."""
    boxes = np.flatnonzero(model.tex_type == int(mujoco.mjtTexture.mjTEXTURE_SKYBOX))
    if not len(boxes):
        return np.zeros_like(directions)
    image = texels(model, int(boxes[0]))
    side = image.shape[1]
    face = image[4 * side : 5 * side] if len(image) == 6 * side else image
    rows = face.mean(axis=1)
    tangent = directions[:, 2] / np.maximum(np.linalg.norm(directions[:, :2], axis=1), 1e-6)
    return rows[np.clip((0.5 - 0.5 * tangent) * len(rows), 0, len(rows) - 1).astype(int)]


def lambert(
    model: mujoco.MjModel, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, "n 3"]:  # fmt: skip
    """Return the light that a matte surface reflects, per colour channel: headlight plus the model's lights."""
    head = model.vis.headlight
    facing = np.maximum(-(normals * directions).sum(1, keepdims=True), 0.0)
    light = head.active * (head.ambient + head.diffuse * facing)
    for i in np.flatnonzero(model.light_active):
        if int(model.light_type[i]) == int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL):
            towards = np.broadcast_to(-model.light_dir[i] / np.linalg.norm(model.light_dir[i]), points.shape)
            lit = np.ones((len(points), 1))
        else:
            towards = model.light_pos[i] - points
            towards = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
            cosine = -(towards @ model.light_dir[i])[:, None] / np.linalg.norm(model.light_dir[i])
            lit = cosine >= np.cos(np.radians(model.light_cutoff[i]))
        cosine = np.maximum((normals * towards).sum(1, keepdims=True), 0.0)
        light = light + model.light_ambient[i] + lit * model.light_diffuse[i] * cosine
    return light


def texture_of(model: mujoco.MjModel, material: int) -> int:
    """Return the material's colour texture, or -1."""
    roles = model.mat_texid[material]
    rgb = int(roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)])
    return rgb if rgb >= 0 else int(roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGBA)])


def texels(model: mujoco.MjModel, texture: int) -> Float[np.ndarray, "h w 3"]:
    """Return a texture in [0, 1], grey ones as RGB, without alpha."""
    h, w, c = (int(field[texture]) for field in (model.tex_height, model.tex_width, model.tex_nchannel))
    start = int(model.tex_adr[texture])
    image = np.asarray(model.tex_data[start : start + h * w * c]).reshape(h, w, c)
    return np.broadcast_to(image[..., :3] if c >= 3 else image[..., :1], (h, w, 3)) / 255.0
