"""Software OpenGL and triton work in one process in any order; each order is tested in a separate process."""

from __future__ import annotations

import importlib.util

import pytest

from corrwise._triton_guard import mapped_llvm
from tests.envs.renderers.test_gl import needs_egl
from tests.snippets import run_fresh

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed here")

STEPS = {
    "reacher": "import gymnasium\n"
    'env = gymnasium.make("Reacher-v5", render_mode="rgb_array"); env.reset(); env.render()',
    "shimmy": "import shimmy",  # dm_control draws while it is imported
    "envs": "import corrwise.envs",
    "rewards": "from corrwise.envs import ImageGoalReward",
    "optimizer": "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)]); import torchvision",
}
ORDERS = [
    ("reacher", "envs", "optimizer"),
    ("envs", "reacher", "optimizer"),
    ("reacher", "rewards", "optimizer"),
    ("shimmy", "rewards", "optimizer"),
    ("rewards", "reacher", "optimizer"),
]


@needs_egl
@needs_triton
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_no_order_of_drawing_and_learning_crashes(order, tmp_path):
    code = (
        "\n".join(STEPS[step] for step in order)
        + '\nimport sys; print("triton" in sys.modules and bool(sys.modules["triton"]))'
    )
    done = run_fresh(code, tmp_path, MUJOCO_GL="egl")
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    draws = min(order.index(step) for step in ("reacher", "shimmy") if step in order)
    loads = min(order.index(step) for step in ("rewards", "optimizer") if step in order)
    assert done.stdout.strip() == str(loads < draws), "triton is loaded where it is safe, and only there"
    assert done.stderr.count("torch.compile makes no GPU kernels") == (0 if loads < draws else 1), done.stderr


def test_only_files_of_mesa_and_its_llvm_count(tmp_path):
    maps = tmp_path / "maps"
    for file, counts in {
        "/usr/lib/libLLVM-15.so.1": True, "/usr/lib/dri/swrast_dri.so": True, "/lib/libgallium-25.0.so": True,
        "/usr/lib/libEGL.so.1": False, "/usr/lib/libEGL_nvidia.so.0": False,
        "/venv/llvmlite/binding/libllvmlite.so": False,
    }.items():  # fmt: skip
        maps.write_text(f"7f00-7f01 r-xp 0 08:01 1   {file}\n7f02-7f03 rw-p 0 00:00 0 [heap]\n")
        assert (mapped_llvm(maps) is not None) == counts, file
    assert mapped_llvm(tmp_path / "absent") is None
