"""Agents that learn from goal images: rows are made once, agents are evaluated alike, and the table follows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from corrwise.envs import TASKS, MujocoSimulator, VisualTask
from corrwise.envs.tasks.goals import state_at
from corrwise.experiments import cli
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.runs.rows import read_rows, six_digits
from corrwise.experiments.studies.agents.agents import AgentRun, FixedGoal, final_distance, hanging, train_agent
from corrwise.experiments.studies.agents.table import KEY, agent_table, run_agent_table

TINY = AgentTableConfig(
    rewards=("l1", "state"), seeds=1, hindsight_seeds=1, steps=20, hindsight_steps=92, episodes=1, evaluations=1,
    copies=2, size=32, supersample=1, hindsight_size=36, processes=1,
)  # fmt: skip


def _cartpole():
    return VisualTask("cartpole", size=16)


def test_the_goal_is_the_same_in_every_episode_and_never_close_at_first():
    env = FixedGoal(_cartpole(), hanging(TASKS["cartpole"].compile(), 0.5))
    for seed in range(8):
        observation, info = env.reset(seed=seed)
        assert abs(observation[0] - 0.5) >= 1.5, "metres apart, as the task wants it"
        to_hanging = np.pi - abs(np.arctan2(observation[1], observation[2]))
        assert info["state_distance"] == pytest.approx(np.hypot(observation[0] - 0.5, to_hanging), abs=1e-5)
    first = info["state_distance"]
    _, reward, terminated, truncated, info = env.step(np.ones(1, np.float32))
    assert (reward, terminated, truncated) == (pytest.approx(-info["state_distance"] / first), False, False)


@pytest.mark.parametrize("x", [-1.66, 0.05, 1.0, 1.48, 1.77])
def test_a_goal_image_shows_the_pole(x):
    default = AgentTableConfig()
    simulator = MujocoSimulator(TASKS["cartpole"], size=default.size, supersample=default.supersample)
    down, up = hanging(simulator.model, x), state_at(simulator.model, np.array([x, 0.0]), np.zeros(2))
    shown = simulator.render(np.stack([down, up]))
    assert (shown[0] - shown[1]).abs().amax(dim=(0, 2)).gt(0.1).sum() >= 10, "rows of pixels that differ"


def test_one_can_stay_at_the_goal():
    model = TASKS["cartpole"].compile()
    env = _cartpole()
    env.reset(seed=0)
    env.restore(hanging(model, -1.0))
    for _ in range(5):
        env.step(np.zeros(1, np.float32))
    assert env.state_distance(env.snapshot(), hanging(model, -1.0)) < 1e-6


def test_the_end_is_the_last_ten_steps():
    distances = np.vstack([np.full((30, 2), 9.0), np.full((10, 2), [1.0, 2.0])])
    assert final_distance(distances) == 1.5


def test_rows_are_made_once_and_have_what_was_learned(tmp_path):
    config = replace(TINY, out=tmp_path)
    table = run_agent_table(config)
    rows = {tuple(row[name] for name in KEY): row for row in read_rows(tmp_path / "rows.jsonl", KEY)}
    assert rows.keys() == {
        ("reward", "l1", 0), ("reward", "state", 0), ("hindsight", "random", 0), ("hindsight", "hindsight", 0),
    }  # fmt: skip
    assert all(row["final"] == row["curve"][-1] > 0 for row in rows.values())
    assert rows["reward", "l1", 0]["steps"] == [0, 20]
    one, other = (rows["reward", reward, 0]["curve"] for reward in ("l1", "state"))
    assert one[0] == other[0], "agents begin alike"
    assert one[1] != other[1], "and learn each from its own reward"
    again = train_agent(AgentRun("reward", "state", 0, config), threads=1)
    assert six_digits(again["curve"]) == other, "the same each time"
    before = table.read_text(), (tmp_path / "rows.jsonl").read_text()
    assert (run_agent_table(config).read_text(), (tmp_path / "rows.jsonl").read_text()) == before
    assert (tmp_path / "curves.png").stat().st_size > 1000


def _rows(lesson, arm, finals):
    return [
        {"lesson": lesson, "arm": arm, "seed": seed, "final": final, "seconds": 60.0}
        for seed, final in enumerate(finals)
    ]


def test_the_table_pairs_agents_by_seed():
    rows = [*_rows("reward", "l1", [2.0, 3.0, 4.0]), *_rows("reward", "recommended", [1.0, 2.0, 3.0])]
    first, second = agent_table(rows).splitlines()[2:]
    assert first == "| reward | `l1` | 3 | 3.00 ± 0.58 |  |  | 1.0 |"
    assert "| 2.00 ± 0.58 | 1.00 (1.00 to 1.00) | 1.50 (" in second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "school"], "unknown method 'school'; there are reward, hindsight"),
        (["--rewards", "l3"], "unknown cost 'l3'; there are l1, mse"),
        (["--steps", "10"], "steps must be at least evaluations x copies, 80, got 10"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--hindsight-size", "16"], "hindsight_size must be at least 36 pixels, got 16"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, capsys, arguments, message):
    assert cli.main(["table", "agents", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_rows_of_other_settings_are_not_mixed(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"steps": 8}))
    (tmp_path / "rows.jsonl").write_text(
        json.dumps(
            {"lesson": "reward", "arm": "l1", "seed": 0, "final": 1.0, "seconds": 1.0, "steps": [0], "curve": [1.0]}
        )
        + "\n"
    )
    assert cli.main(["table", "agents", "--out", str(tmp_path), "--steps", "800"]) == 2
    assert "choose another output folder" in capsys.readouterr().err
