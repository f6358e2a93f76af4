"""Planning with a trained predictor: the same rows and report as with the oracle."""

import cv2
import gymnasium
import numpy as np
import pytest
import torch

import corrwise.envs
from corrwise.envs import MujocoSimulator
from corrwise.experiments import cli, load_agent
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.parts import context_of, load_trained, make_predictor
from corrwise.experiments.runs.rows import read_rows
from corrwise.mpc import CEM
from corrwise.predictors import ResNet3D
from corrwise.predictors.models.pretrained import weights_hash
from corrwise.predictors.models.registry import make_model

PLAN = ("--episodes", "1", "--steps", "2", "--horizon", "2", "--candidates", "4", "--iterations", "1", "--costs", "l1",
        "--size", "16")  # fmt: skip


def _trained(folder, seed=0, size=16, task="cartpole", action_dim=1, supersample=1, stride=1):
    torch.manual_seed(seed)
    model = make_model("resnet3d", context=2, action_dim=action_dim, width=2, downs=2, blocks3d=1, blocks2d=1)
    stated = {"task": task, "size": [size, size], "supersample": supersample}
    model.save_pretrained(folder / "model", {"clips": stated if task else {}, "stride": stride})
    return folder


def test_rows_and_report_are_as_with_the_oracle(tmp_path, capsys):
    run = _trained(tmp_path / "small")
    words = ["mpc", "--task", "cartpole", "--predictor", str(run), "--out", str(tmp_path / "mpc"), *PLAN]
    assert cli.main(words) == 0
    assert cli.main([*words[:-4], "--costs", "l1", "--size", "16"]) == 0, "the same command goes on"
    (row,) = read_rows(tmp_path / "mpc" / "rows.jsonl")
    assert (row["predictor"], len(row["predictor_weights"])) == ("small", 12)
    assert row["seconds_predict"] > 0
    assert row["panels"] == ["goal", "seen", "predicted", "true", "flow"]
    strip = cv2.imread(str(tmp_path / "mpc" / row["strip"])).reshape(5, 16, 3, 16, 3)
    assert not np.array_equal(strip[2], strip[3]), "what a plan leads to is not what was predicted"
    assert "where the plan leads" in (tmp_path / "mpc" / "report.html").read_text()
    assert "small" in (tmp_path / "mpc" / "report.html").read_text()
    _trained(run, seed=1)
    assert cli.main([*words, "--episodes", "2"]) == 2
    assert "holds rows of predictor small with weights" in capsys.readouterr().err


def test_a_folder_that_was_trained_anew_in_the_same_process_is_another_predictor(tmp_path):
    run = _trained(tmp_path / "small")
    config = MPCConfig(predictor=str(run), size=16)
    first = load_trained(config)
    _trained(run, seed=1)
    second = load_trained(config)
    assert first.weights != second.weights == weights_hash(run / "model")
    simulator = MujocoSimulator(corrwise.envs.TASKS["cartpole"], size=16)
    made, again = make_predictor(config, simulator), second.model
    assert all(map(torch.equal, made.state_dict().values(), again.state_dict().values()))
    assert not all(map(torch.equal, made.state_dict().values(), first.model.state_dict().values()))


def test_the_context_is_the_models_own(tmp_path):
    run = _trained(tmp_path)
    config = MPCConfig(predictor=str(run), size=16)
    assert context_of(config) == 2
    assert context_of(MPCConfig(predictor=str(run / "model"), size=16, context_frames=3)) == 3
    assert context_of(MPCConfig()) == 1
    assert isinstance(make_predictor(config, MujocoSimulator(corrwise.envs.TASKS["cartpole"], size=16)), ResNet3D)


def test_an_agent_is_ready_to_act(tmp_path):
    run = _trained(tmp_path)
    env = gymnasium.make("corrwise/Cartpole-v0", size=16)
    agent = load_agent(run)
    observation, _ = env.reset(seed=0)
    state = None
    for _ in range(2):
        action, state = agent.predict(observation, state)
        observation = env.step(action)[0]
    assert state.frames.shape[1] == 2
    assert np.abs(action).max() <= 1
    assert agent.predictor.training is False
    with pytest.raises(FileNotFoundError, match="there is no model in"):
        load_agent(tmp_path / "none")
    with pytest.raises(ValueError, match="learned from clips without actions"):
        load_agent(_trained(tmp_path / "idle", action_dim=0))


def test_evaluations_of_a_denoiser_are_an_option(tmp_path, capsys):
    model = make_model("denoiser", context=2, action_dim=1, width=2, blocks=1)
    for loss in ("flow-matching", "mse"):
        model.save_pretrained(tmp_path / loss / "model", {"loss": loss})
    sampled, regressed, other = tmp_path / "flow-matching", tmp_path / "mse", _trained(tmp_path / "other")
    assert load_agent(sampled, nfe=4).predictor.config.evaluations == 4
    assert load_trained(MPCConfig(predictor=str(sampled), nfe=3, size=16)).model.config.evaluations == 3
    assert load_trained(MPCConfig(predictor=str(sampled), size=16)).model.config.evaluations == 2
    for folder in (regressed, other):
        with pytest.raises(ValueError, match="expected a denoiser trained by flow matching for 2 evaluations a frame"):
            load_agent(folder, nfe=2)
    with pytest.raises(ValueError, match="evaluations must be at least 1, got 0"):
        load_agent(sampled, nfe=0)
    assert load_agent(sampled, sampling=["temperature=1.5"]).predictor.config.temperature == 1.5
    with pytest.raises(ValueError, match="expected of a sample solver, time_grid, temperature, correlation, got width"):
        load_agent(sampled, sampling=["width=3"])
    with pytest.raises(ValueError, match="expected a denoiser trained by flow matching for solver=heun, got"):
        load_agent(regressed, sampling=["solver=heun"])
    with pytest.raises(ValueError, match="each option of a sample once, got temperature=1 temperature=2"):
        load_agent(sampled, sampling=["temperature=1", "temperature=2"])
    student = make_model("denoiser", context=2, action_dim=1, width=2, blocks=1, sample_at=(0.5, 1.0))
    student.save_pretrained(tmp_path / "student" / "model", {"loss": "distill"})
    with pytest.raises(
        ValueError, match="expected no time_grid=shifted for a few-step student, which has times of its own"
    ):
        load_agent(tmp_path / "student", sampling=["time_grid=shifted"])
    words = ["--predictor", str(sampled), "--size", "16", "--steps", "1", "--episodes", "1", "--candidates", "2"]
    words += ["--iterations", "1", "--horizon", "2", "--plan-every", "1", "--no-videos", "--costs", "l1"]
    for more, sentence in (
        (["--sampling", "temperature=hot"], "temperature must be a number, got hot"),
        (
            ["--sampling", "width=3"],
            "sampling must be pairs such as temperature=1.2, of solver, time_grid, temperature, "
            "correlation, got width=3",
        ),
        (["--sampling", "temperature=2", "--predictor", "oracle"], "sampling must be left out with predictor oracle"),
    ):
        assert cli.main(["mpc", *words, *more, "--out", str(tmp_path / "mpc")]) == 2
        assert sentence in capsys.readouterr().err
    assert cli.main(["mpc", "--nfe", "2", "--out", str(tmp_path / "mpc")]) == 2
    assert "nfe must be left out with predictor oracle, got 2" in capsys.readouterr().err
    assert cli.main(["mpc", "--nfe", "0", "--predictor", str(sampled), "--out", str(tmp_path / "mpc")]) == 2
    assert "nfe must be at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("made", "arguments", "message"),
    [
        ({"task": "ant"}, (), "was trained on ant, and the task here is cartpole"),
        ({"size": 24}, (), "was trained on images of 24 x 24 pixels, got size 16"),
        ({"supersample": 2}, (), "was trained with supersample 2, got 1"),
        ({"task": "", "action_dim": 3}, (), "knows 3 actions a step, and cartpole has 1"),
        ({"task": "", "action_dim": 0}, (), "knows 0 actions a step, and cartpole has 1"),
        ({"task": "", "action_dim": 4, "stride": 2}, (), "knows 2 actions a step, and cartpole has 1"),
        ({"action_dim": 3, "stride": 2}, (), "expected actions of a stride of 2 control steps in"),
        ({"action_dim": 3, "stride": 3}, (), "expected a horizon of at least one stride of 3 control steps, got 2"),
        (None, (), "there is no model in"),
    ],
)
def test_a_predictor_that_does_not_fit_is_one_sentence(tmp_path, capsys, made, arguments, message):
    run = tmp_path / "run"
    run.mkdir()
    if made is not None:
        _trained(run, **made)
    words = ["mpc", "--task", "cartpole", "--predictor", str(run), "--out", str(tmp_path / "mpc"), *PLAN, *arguments]
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mpc").exists()


@pytest.mark.parametrize("options", [("--aggregate", "mean", "--stride-interpolator", "half-flow"), ("--horizon", "3")])
def test_plans_with_a_predictor_of_strides(tmp_path, options):
    run = _trained(tmp_path / "strides", action_dim=2, stride=2)
    words = ["mpc", "--task", "cartpole", "--predictor", str(run), "--out", str(tmp_path / "mpc"), *PLAN, *options]
    assert cli.main([*words, "--steps", "4"]) == 0
    (row,) = read_rows(tmp_path / "mpc" / "rows.jsonl")
    assert (row["predictor"], row["steps"], row["rejected"]) == ("strides", 4, 0)
    assert cv2.imread(str(tmp_path / "mpc" / row["strip"])).shape[0] == 5 * 16, "where a plan leads is shown at its end"


def test_a_predictor_of_strides_sees_frames_a_stride_apart_from_the_first_step_on(tmp_path):
    run = _trained(tmp_path, action_dim=2, stride=2)
    assert context_of(MPCConfig(predictor=str(run), size=16)) == 3
    env = gymnasium.make("corrwise/Cartpole-v0", size=16)
    agent, seen = load_agent(run, planner=CEM(1, horizon=4, candidates=4, iterations=1)), []
    start = agent.predictor.predictor.start
    agent.predictor.predictor.start = lambda frames, actions, noise: (
        seen.append((frames, actions)),
        start(frames, actions, noise),
    )[1]
    observation, state, observed, acted = env.reset(seed=0)[0], None, [], [np.zeros(1)]
    for _ in range(4):
        observed.append(torch.from_numpy(observation["observation"]).permute(2, 0, 1) / 255)
        action, state = agent.predict(observation, state)
        acted.append(action)
        observation = env.step(action)[0]
    for step, (frames, actions) in enumerate(seen):
        assert torch.equal(frames[0], torch.stack([observed[max(0, step - 2)], observed[step]])), step
        both = np.concatenate([acted[max(0, step - 1)], acted[step]])
        np.testing.assert_array_equal(actions[0, 0].numpy(), both.astype(np.float32))
    with pytest.raises(ValueError, match="at least one stride of 2 control steps, got 1"):
        load_agent(run, planner=CEM(1, horizon=1, candidates=4)).predict(observation)
    with pytest.raises(ValueError, match="unknown interpolator 'none'"):
        load_agent(run, interpolator="none")


@pytest.mark.parametrize("options", [{"depth": True}, {"cameras": ("main", "top")}])
def test_views_that_a_model_does_not_predict_are_refused(tmp_path, options):
    config = MPCConfig(predictor=str(_trained(tmp_path)), size=16, **options)
    simulator = MujocoSimulator(corrwise.envs.TASKS["cartpole"], size=16, **options)
    with pytest.raises(ValueError, match=r"predicts images of 3 channels, got . views"):
        make_predictor(config, simulator)
