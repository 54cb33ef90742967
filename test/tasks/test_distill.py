from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import tts_toy
from tts_toy import state, stop_after

import speechkit
from speechkit.config import ConfigError, validate
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Speech
from speechkit.objectives.regression import mse
from speechkit.tasks import VOICES
from speechkit.tasks.base import Task, load_config
from speechkit.tasks.distill import DistillTask, distill
from speechkit.tasks.evaluate import average
from speechkit.tasks.training import train
from speechkit.tasks.tts import TtsTask
from speechkit.text.vocabulary import Vocabulary
from speechkit.train import checkpoint
from speechkit.utils.model_dir import load_weights, write_checksums

ROOT = Path(__file__).resolve().parents[2]
TACOTRON = """{name: tacotron2, embedding_dim: 12, encoder_dim: 10, encoder_layers: 1, prenet_dims: [9, 8], dim: 13,
  attention_dim: 7, num_filters: 4, kernel_size: 5, postnet_dim: 9, postnet_layers: 2, reduction_factor: 8}"""
VOICE = f"""{tts_toy.TTS}
""".replace("model: toy_voice", f"model: {TACOTRON}").replace(
    "objectives: {mel: l1}", "objectives: {mel: mse, mel_before: mse, stop: bce, guided_attention: guided_attention}"
)
FAST = ["train.max_epochs=1", "train.validate_every=1", "train.average=1", "data.sampler.batch_duration=6"]
STATES = {"encoder_states", "decoder_states"}
T, F = 24, 3


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Path:
    """A finished teacher: ``exp/teacher`` in a folder with ``conf.yaml``."""
    folder = tmp_path_factory.mktemp("voice")
    conf = tts_toy.write_corpus(folder, VOICE)
    assert train(load_config(conf, FAST), folder / "teacher")
    average(folder / "teacher")
    return folder


def config(voice: Path, *overrides: str, teachers: str = "teacher"):
    names = ", ".join(str(voice / name) for name in teachers.split())
    layer = str(ROOT / "egs/conf/tts/distill.yaml")
    return load_config(voice / "conf.yaml", [layer, f"teachers=[{names}]", *FAST, *overrides])


def rows(exp_dir, event):
    return [row for row in map(json.loads, (exp_dir / "train.jsonl").read_text().splitlines()) if row["event"] == event]


def build(**options) -> AcousticModel:
    """A voice of three features."""
    raw = {"embedding_dim": 12, "encoder_dim": 10, "encoder_layers": 1, "prenet_dims": [9, 8], "dim": 13, "attention_dim": 7}
    raw |= {"num_filters": 4, "kernel_size": 5, "postnet_dim": 9, "postnet_layers": 2}
    raw |= {"encoder_dropout": 0.0, "postnet_dropout": 0.0, "zoneout": 0.0}
    facts = AcousticFacts(Vocabulary(11), feat_dim=F, frame_shift=0.1, num_speakers=2)
    return validate(AcousticModel.registry["tacotron2"].Config, {**raw, **options}).build(facts=facts)


def speech() -> Speech:
    """Two utterances whose frames rise or fall within each token, so that a decoder has to know where it is."""
    g = torch.Generator().manual_seed(5)
    sound, tokens = torch.randn(11, F, generator=g), torch.tensor([[4, 7, 2, 9, 3], [8, 5, 6, 1, 0]])
    durations = torch.tensor([[5, 4, 6, 4, 5], [6, 5, 4, 0, 0]])
    feats = torch.zeros(2, T, F)
    for b in range(2):
        rows = [sound[t] * torch.linspace(0.5, 1.5, n).unsqueeze(1) for t, n in zip(tokens[b], durations[b].tolist()) if n]
        feats[b, : len(torch.cat(rows))] = torch.cat(rows)
    return Speech(tokens, torch.tensor([5, 3]), feats, durations.sum(1), torch.tensor([0, 1]))


def test_a_student_is_trained_beside_its_teacher_and_saved_alone(voice, tmp_path):
    assert train(config(voice), tmp_path / "student")
    steps, (valid,) = rows(tmp_path / "student", "step"), rows(tmp_path / "student", "valid")
    assert STATES <= steps[0]["losses"].keys() and STATES | {"mel", "stop", "loss"} <= valid.keys()
    assert steps[0]["losses"]["encoder_states"] < 0.1 < steps[0]["losses"]["mel"]
    kept = state(tmp_path / "student")
    assert kept["networks"].keys() == {"model"}
    average(tmp_path / "student")
    mine, theirs = (load_weights(path / "averaged.safetensors") for path in (tmp_path / "student", voice / "teacher"))
    assert mine.keys() == theirs.keys() and any(not torch.equal(mine[key], theirs[key]) for key in mine)
    saved = load_config(tmp_path / "student/config.yaml", task="tts")
    assert saved.model == load_config(voice / "teacher/config.yaml").model
    spoken = speechkit.load(tmp_path / "student").synthesize("low high")
    assert spoken.tokens == ("low", "high") and len(spoken.samples) > 0


def test_all_tasks_that_are_voices_are_loaded_as_such():
    assert set(VOICES) == {name for name, task in Task.registry.items() if issubclass(task, TtsTask)}


def test_the_student_begins_as_the_teacher_who_stays_as_it_is(voice, tmp_path):
    task = make(config(voice), tmp_path)
    teacher = task.teachers[0]
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    assert all(torch.equal(value, before[key]) for key, value in task.model.state_dict().items())
    task.model.train()
    for _, losses in task.losses(next(task.batches().epoch(0, 0))):
        sum(values.sum() for values in losses.values()).backward()
    assert not teacher.training and all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    unreached = [name for name, p in task.model.named_parameters() if p.grad is None or not p.grad.ne(0).any()]
    assert unreached == []


def make(config: DistillTask.Config, folder: Path) -> DistillTask:
    DistillTask.check(config)
    DistillTask.prepare(config, folder, resuming=False)
    task = DistillTask.restore(config, folder, torch.device("cpu"))
    task.begin()
    return task


def test_a_resumed_run_equals_the_straight_one_bit_for_bit(voice, tmp_path, monkeypatch):
    chosen = config(voice)
    assert train(chosen, tmp_path / "straight")
    stop_after(monkeypatch, 2)
    assert not train(chosen, tmp_path / "stopped")
    monkeypatch.undo()
    assert train(chosen, tmp_path / "stopped")
    straight, stopped = (state(tmp_path / name) for name in ("straight", "stopped"))
    assert straight["step"] == stopped["step"] > 2
    for name, tensor in straight["networks"]["model"].items():
        assert torch.equal(tensor, stopped["networks"]["model"][name]), name


def test_a_run_is_not_resumed_with_another_teacher(voice, tmp_path, monkeypatch):
    folder = copy_of(voice, tmp_path / "other")
    chosen = config(voice, f"teachers=[{folder}]")
    stop_after(monkeypatch, 1)
    assert not train(chosen, tmp_path / "student")
    weights = load_weights(folder / "averaged.safetensors")
    checkpoint.save_weights({key: value * 2 for key, value in weights.items()}, folder / "averaged.safetensors", {})
    write_checksums(folder)
    with pytest.raises(ValueError, match="its checkpoints were made with other utterances of train, "):
        train(chosen, tmp_path / "student")


def copy_of(voice: Path, to: Path) -> Path:
    """The teacher, somewhere else."""
    shutil.copytree(voice / "teacher", to)
    return to


def test_several_teachers_are_compared_with_one_by_one(voice, tmp_path):
    second = copy_of(voice, tmp_path / "second")
    weights = load_weights(second / "averaged.safetensors")
    checkpoint.save_weights({key: value * 1.1 for key, value in weights.items()}, second / "averaged.safetensors", {})
    write_checksums(second)
    both = f"teachers=[{voice / 'teacher'}, {second}]"
    task = make(config(voice, both, "objectives.encoder_states_2=mse", "objectives.decoder_states_2=l1"), tmp_path)
    task.model.eval()  # without dropout the student encodes as the first teacher does
    ((_, losses),) = task.losses(next(task.batches().epoch(0, 0)))
    assert losses["encoder_states"].max() < 1e-12 < losses["encoder_states_2"].min()
    assert losses["decoder_states_2"].min() > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=fastspeech", "objectives={mel: l1}"], "model: expected one that hears what it has said, tacotron, tac"),
        (["objectives.decoder_states_2=mse"], "objectives.decoder_states_2: expected one of alignment, decoder_states, en"),
        (["teachers=[]"], "teachers: "),
    ],
)
def test_what_cannot_be_distilled_is_refused(voice, overrides, message):
    with pytest.raises(ConfigError, match=message):
        config(voice, *overrides)


def test_teachers_of_another_kind_are_refused(voice, tmp_path):
    with pytest.raises(ValueError, match=r"featurizer: expected \{name: hifigan, .* as the teacher in .* has it, got"):
        train(config(voice, "featurizer.num_mel_bins=12"), tmp_path / "student")
    with pytest.raises(ValueError, match=r"teachers: expected networks like the student's, tacotron2, got tacotron2 in .*"):
        train(config(voice, "model.dim=14"), tmp_path / "student")
    with pytest.raises(ValueError, match="nobody: expected a model directory, found nothing"):
        train(config(voice, "teachers=[nobody]"), tmp_path / "student")
    other = copy_of(voice, tmp_path / "other")
    (other / "speakers.json").write_text('["t"]\n')
    write_checksums(other)
    with pytest.raises(ValueError, match="teachers: expected tokens and speakers to be those of .*, got others in"):
        train(config(voice, f"teachers=[{voice / 'teacher'}, {other}]"), tmp_path / "student")


def test_a_student_that_is_the_teacher_and_hears_the_recording_differs_in_nothing():
    """The recording is what the model itself says, so that both hear the same."""
    torch.manual_seed(2)
    model, given = build(prenet_dropout=0.0, reduction_factor=2).eval(), speech()
    with torch.no_grad():
        said = model.follow(given, model.encode(given.tokens, given.token_lens, given), own=1.0)
    learned = distill(model, [model], replace(given, feats=said.feats))
    for name in (*STATES, "mel_before"):
        pair = learned.compared[name]
        assert mse(pair.predicted, pair.target, pair.lens).max() < 1e-10, name
    pair = distill(model, [model], given).compared["decoder_states"]
    assert mse(pair.predicted, pair.target, pair.lens).min() > 1e-6  # who hears something else has other states


def test_teacher_and_student_drop_the_same():
    """What is said does not depend on what is heard here, nor does the recording: states differ by the dropout only."""
    torch.manual_seed(2)
    model, given = build(prenet_dropout=0.5).eval(), speech()
    torch.nn.init.zeros_(model.decoder.out.weight)
    feats = model.decoder.out.bias.detach().expand(2, T, F)
    pair = distill(model, [model], replace(given, feats=feats)).compared["decoder_states"]
    assert mse(pair.predicted, pair.target, pair.lens).max() < 1e-10
    assert not torch.allclose(*(model(replace(given, feats=feats)).compared["stop"].predicted for _ in range(2)))


def drifting(number: int, seed: int, drift: float = 1.0, steps: int = 12, stay: float = 0.9) -> Speech:
    """Recordings of one token each, around whose sound frames drift at random: the last frame helps to say the next one, and
    leads away who has said it oneself."""
    sound = torch.randn(11, F, generator=torch.Generator().manual_seed(1))
    g = torch.Generator().manual_seed(seed)
    tokens, ones = torch.randint(1, 11, (number, 1), generator=g), torch.ones(number, dtype=torch.int64)
    path = [torch.randn(number, F, generator=g)]
    for _ in range(steps - 1):
        path.append(stay * path[-1] + (1 - stay**2) ** 0.5 * torch.randn(number, F, generator=g))
    return Speech(tokens, ones, sound[tokens] + drift * torch.stack(path, 1), steps * ones, 0 * ones)


def test_distillation_makes_who_speaks_alone_better_than_more_lessons_of_the_truth_do():
    torch.manual_seed(4)
    teacher = build(prenet_dropout=0.0, reduction_factor=2)
    fit(teacher, lambda given: teacher(given), 150, 1e-2)
    frozen = deepcopy(teacher).eval().requires_grad_(False)
    told, student = deepcopy(teacher), deepcopy(teacher)
    fit(told, lambda given: told(given), 40, 2e-3)
    fit(student, lambda given: distill(student, [frozen], given), 40, 2e-3)
    assert error(student) < 0.6 * error(teacher)
    assert error(student) < 0.85 * error(told) < 0.85 * error(teacher)


def total(learned):
    """The loss of a voice with attention, and of a student where there are states."""
    names = {"mel", "mel_before"} | (STATES & learned.compared.keys())
    losses = [mse(learned.compared[n].predicted, learned.compared[n].target, learned.compared[n].lens) for n in names]
    return sum(each.sum() for each in losses)


def fit(model, learn, steps, rate):
    """Recordings are new in each step."""
    optimizer = torch.optim.Adam(model.train().parameters(), rate)
    for step in range(steps):
        optimizer.zero_grad()
        total(learn(drifting(8, step))).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def error(model) -> float:
    """Mean squared error of what is said without ever hearing a recording, from the sound of the tokens."""
    given = drifting(24, 10**6, drift=0.0)
    said = model.eval().follow(given, model.encode(given.tokens, given.token_lens, given), own=1.0)
    return mse(said.feats, given.feats, given.feat_lens).mean().item()
