import json
from dataclasses import replace

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from models.errors import BadTrainingData, CheckpointMismatch
from models.hourglass import HourglassConfig, quadglass_m, quadglass_s
from models.predictor import OnnxPredictor
from models.training.checkpoint import load_checkpoint, load_network
from models.training.evaluation import EvaluateSettings, evaluate
from models.training.export import ExportSettings, export
from models.training.loop import TrainSettings, train
from models.training.mix import Mix, MixSettings, TrainSet
from models.training.photos import is_held_out, read_photos

torch.set_num_threads(1)  # two threads on two busy cores wait for each other

# On the smaller of the two trunks, which trains in half the time.
LIGHT_S = replace(quadglass_s(), front="movenet-lightning")
LIGHT_M = replace(quadglass_m(), front="movenet-lightning")
TINY = HourglassConfig("tiny", "light", 1, 16, 0, 2, "bottleneck", 1, attention=True)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Ten pictures of one or two stick figures, in COCO format, with masks."""
    folder = tmp_path_factory.mktemp("figures")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(10):
        picture = np.full((96, 128, 3), 40, dtype=np.uint8)
        mask = np.zeros((96, 128), dtype=np.uint8)
        for person in range(1 + index % 2):
            x, y = 25 + 55 * person + rng.integers(0, 10), rng.integers(10, 20)
            offsets = np.stack([rng.integers(-9, 9, 17), 4 * np.arange(17)], axis=1)
            joints = offsets + np.asarray([x, y])
            color = tuple(int(c) for c in rng.integers(120, 255, 3))
            cv2.polylines(picture, [joints.astype(np.int32)], False, color, 3)
            cv2.polylines(mask, [joints.astype(np.int32)], False, person + 1, 5)
            box = [*joints.min(0).tolist(), *np.ptp(joints, axis=0).tolist()]
            keypoints = np.column_stack([joints, np.full(17, 2)]).ravel().tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": index, "category_id": 1,
                    "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 17, "bbox": box,
                    "area": box[2] * box[3], "mask_value": person + 1, "source": "drawn",
                }
            )  # fmt: skip
        cv2.imwrite(str(folder / f"images/{index}.png"), picture)
        cv2.imwrite(str(folder / f"{index}.png"), mask)
        images.append(
            {
                "id": index, "file_name": f"images/{index}.png", "width": 128, "height": 96,
                "mask_file": f"{index}.png",
            }
        )  # fmt: skip
    stored = {"images": images, "annotations": annotations}
    (folder / "person_keypoints.json").write_text(json.dumps(stored))
    return folder


def settings(figures, output, **changes):
    mix = MixSettings(
        (TrainSet(figures, 1.0),), sizes=((64, 4),), paste_share=0.3, mosaic_share=0.2
    )
    made = TrainSettings(
        output=output, mix=mix, steps=24, config=TINY, learning_rate=3e-3, warmup_steps=2,
        log_every=6, save_every=12, validate_every=24, workers=0,
    )  # fmt: skip
    return replace(made, **changes)


def test_a_batch_is_what_the_losses_need(figures):
    mix = MixSettings((TrainSet(figures, 1.0),), sizes=((64, 3),), paste_share=1.0, seed=5)
    batch = next(iter(Mix(mix)))
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.heat.shape == batch.weight.shape == (3, 17, 16, 16)
    known = ~batch.cells[..., 0].isnan()
    assert known.any()
    for b, p, j in known.nonzero().tolist():
        x, y = batch.cells[b, p, j].int().tolist()
        # The blob's middle is at most half a cell from the whole cell, sigma is at least one.
        assert batch.heat[b, j, y, x] >= np.exp(-0.25) - 1e-6
        assert batch.weight[b, j, y, x] == 1


def test_streams_with_the_same_seed_agree(figures):
    mix = MixSettings((TrainSet(figures, 1.0),), sizes=((64, 2),), seed=7)
    one, other = next(iter(Mix(mix))), next(iter(Mix(mix)))
    torch.testing.assert_close(one.images, other.images)


def test_the_loss_falls_and_a_stopped_run_goes_on(figures, tmp_path):
    half = train(settings(figures, tmp_path / "run", steps=24, most_minutes=0.0))
    assert half.step == 1  # stopped after the first step, saved
    told = []
    whole = train(settings(figures, tmp_path / "run"), lambda *now: told.append(now))  # goes on
    assert [done for done, _, _ in told] == list(range(1, 24))
    assert told[0][1:] == (24, "training")
    assert told[-1][2].startswith("loss ")
    assert whole.step == 24
    lines = [json.loads(t) for t in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    stored = load_checkpoint(whole.checkpoint)
    assert stored.config == TINY
    assert stored.step == 24
    assert stored.optimizer["state"]


def test_validation_writes_figures_and_curves(figures, tmp_path):
    folder = tmp_path / "coco128"
    folder.symlink_to(figures)  # of this name every fourth photo is held out
    report = train(
        settings(folder, tmp_path / "run", validation=(folder,), validation_side=64, steps=6,
                 validate_every=6)
    )  # fmt: skip
    assert report.ap is not None
    assert cv2.imread(str(tmp_path / "run/curves.png")) is not None


def test_a_frozen_trunk_stays_as_it_was(figures, tmp_path):
    run = settings(figures, tmp_path, config=LIGHT_S, steps=2, log_every=1)
    report = train(run)
    stored = load_checkpoint(report.checkpoint)
    before, after = load_network_at_start(run), stored.network
    trunk = [key for key in after if key.startswith("trunk.")]
    assert trunk
    assert all(torch.equal(before[key], after[key]) for key in trunk)
    assert not torch.equal(before["stacks.0.heat.weight"], after["stacks.0.heat.weight"])


def test_two_networks_are_trained_on_one_trunk(figures, tmp_path):
    run = settings(figures, tmp_path, config=LIGHT_M, companion=LIGHT_S,
                   trunk_rate=0.5, steps=2, log_every=1, warmup_steps=1)  # fmt: skip
    before = load_network_at_start(run)
    train(replace(run, most_minutes=0.0))  # one step
    train(run)  # and from there on, from both files
    ours = load_checkpoint(tmp_path / "last.ckpt")
    theirs = load_checkpoint(tmp_path / "companion.ckpt")
    assert (ours.config, theirs.config) == (LIGHT_M, LIGHT_S)
    assert ours.step == theirs.step == 2
    shared_keys = [key for key in ours.network if key.startswith("trunk.")]
    for kind in ("network", "average"):
        one, other = getattr(ours, kind), getattr(theirs, kind)
        assert all(torch.equal(one[key], other[key]) for key in shared_keys)
    assert torch.equal(ours.network["trunk.blocks.3.project.weight"],
                       before["trunk.blocks.3.project.weight"])  # fmt: skip
    key = "trunk.smooth.2.pointwise.weight"
    moved = (ours.network[key] - before[key]).abs().max()
    # Adam moves a weight by at most the rate in each of its first steps: 3e-3 x 0.5 of its size.
    assert 0 < moved <= 2 * 1.01 * 3e-3 * 0.5 * before[key].abs().median() + 1e-6
    assert not torch.equal(theirs.network["stacks.0.heat.weight"],
                           torch.zeros_like(theirs.network["stacks.0.heat.weight"]))  # fmt: skip


def test_a_label_that_the_teacher_contradicts_leaves_its_box(figures, tmp_path):
    stored = json.loads((figures / "person_keypoints.json").read_text())
    stored["annotations"][1]["teacher_agreement"] = 0.1
    (tmp_path / "person_keypoints.json").write_text(json.dumps(stored))
    photos = {photo.key: photo for photo in read_photos(tmp_path)}
    photo = photos[stored["annotations"][1]["image_id"]]
    left, top, width, height = stored["annotations"][1]["bbox"]
    assert photo.others_px.tolist() == [[left, top, left + width, top + height]]
    assert len(photo.people) == 1


def load_network_at_start(run):
    """What ``train`` begins with: the same seed, before any step."""
    from models.hourglass import StackedHourglass

    torch.manual_seed(run.seed)
    return StackedHourglass(run.config).state_dict()


def test_a_network_without_trunk_is_exported_too(figures, tmp_path):
    report = train(settings(figures, tmp_path, steps=1))
    exported = export(ExportSettings(report.checkpoint, tmp_path / "tiny.onnx", input_side=64))
    (found,) = OnnxPredictor(exported.path).candidates([np.zeros((40, 60, 3), np.uint8)])
    assert found.seed_joints_px.shape == (0, 17, 2)
    assert np.isnan(found.centers_px).all()


@pytest.fixture(scope="module")
def exported(figures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    report = train(settings(figures, folder, config=quadglass_s(), steps=1))
    return export(ExportSettings(report.checkpoint, folder / "mine.onnx", input_side=96))


def test_the_exported_file_says_what_the_network_says(exported):
    assert exported.score_error < 2e-3
    predictor = OnnxPredictor(exported.path)
    assert predictor.name == "quadglass-s"
    assert predictor.input_side == 96
    assert predictor.sha256 == exported.sha256
    assert isinstance(predictor.predict([np.zeros((70, 90, 3), np.uint8)]), list)
    session = onnxruntime.InferenceSession(str(exported.path))
    for size in ((2, 64, 32), (1, 32, 160)):
        outputs = session.run(None, {"images": np.zeros((*size, 3), np.uint8)})
        assert all(len(output) == size[0] for output in outputs)


def test_evaluate_on_a_folder_of_ones_own(figures, exported):
    report = evaluate(
        EvaluateSettings(exported.path, (figures,), input_sides=(96,), every_photo=True)
    )
    assert (report.crowd_photos, report.crowd_people, report.sole_photos) == (10, 15, 0)
    (row,) = report.rows
    assert row.input_side == 96
    assert 0 <= row.ap <= 1
    with pytest.raises(BadTrainingData, match=r"no photo of .* is kept out"):
        evaluate(EvaluateSettings(exported.path, (figures,)))


def test_what_is_held_out_is_never_mixed_in(figures, tmp_path):
    folder = tmp_path / "coco128"
    folder.symlink_to(figures)
    held = [photo.key for photo in read_photos(folder) if is_held_out(folder, photo)]
    assert held == [0, 4, 8]
    mix = Mix(MixSettings((TrainSet(folder, 1.0),), sizes=((64, 1),)))
    learned = {photo.key for photos in mix.photos for photo in photos}
    assert learned == set(range(10)) - set(held)


def test_a_set_that_is_all_held_out_is_refused(tmp_path, figures):
    folder = tmp_path / "coco128"
    folder.mkdir()
    stored = json.loads((figures / "person_keypoints.json").read_text())
    for annotation in stored["annotations"]:
        annotation["source"] = "human"
    (folder / "person_keypoints.json").write_text(json.dumps(stored))
    with pytest.raises(BadTrainingData, match="nothing to learn from"):
        Mix(MixSettings((TrainSet(folder, 1.0),)))


def test_data_that_cannot_be_used(tmp_path):
    with pytest.raises(BadTrainingData, match=r"no person_keypoints\.json"):
        read_photos(tmp_path)
    path = tmp_path / "person_keypoints.json"
    path.write_text('{"images": [{"id": 1}], "annotations": []}')
    with pytest.raises(BadTrainingData, match="not COCO keypoints"):
        read_photos(tmp_path)
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(BadTrainingData, match="no image with people"):
        read_photos(tmp_path)


def test_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / "some.ckpt"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(CheckpointMismatch, match="give a checkpoint"):
        load_network(path)


def test_a_checkpoint_of_another_shape_names_the_keys(figures, tmp_path):
    report = train(settings(figures, tmp_path, steps=1))
    stored = torch.load(report.checkpoint, weights_only=True)
    stored["average"]["extra"] = stored["average"].pop("stem.0.conv.weight")
    torch.save(stored, report.checkpoint)
    with pytest.raises(CheckpointMismatch, match=r"stem.0.conv.weight.*extra"):
        load_network(report.checkpoint)
