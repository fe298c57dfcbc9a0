from dataclasses import replace

import numpy as np
import pytest
import torch

from models.architectures import mmpose_ae, published_ae, published_single
from models.errors import BadImage, CheckpointMismatch
from models.hourglass import PoseMaps, StackedHourglass, StackMaps
from models.published.look import PublishedPredictor, decoder_of, frame
from models.published.people import like_mmpose, like_princeton
from models.published.single import MPII16, Square, find_one
from models.skeleton import COCO17

torch.set_num_threads(1)


class Sees(torch.nn.Module):
    """A network that finds joint j where the picture has the colour red = 10 + 10 j."""

    def __init__(self, config, joints=17):
        super().__init__()
        self.config, self.joints, self.sizes = config, joints, []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        cells = torch.nn.functional.avg_pool2d(x[:, :1], 4)  # (1, 1, h, w)
        colours = 10.0 * torch.arange(1, self.joints + 1)[:, None, None]
        heat = (1 - (cells - colours).abs() / 4).clamp(min=0)
        tags = torch.ones_like(heat) if self.config.tags else heat[:, :0]
        return PoseMaps([StackMaps(heat, tags, None)], None)


def picture(width, height, places, side=6):
    """Black, with a square of side px for each joint; blue, green, red."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for joint, (x, y) in places.items():
        image[y : y + side, x : x + side, 2] = 10 + 10 * joint
    return image


@pytest.fixture(params=["princeton", "mmpose"])
def predictor(request):
    if request.param == "princeton":
        return PublishedPredictor(Sees(published_ae()), replace(like_princeton(), side=128))
    return PublishedPredictor(Sees(mmpose_ae()), replace(like_mmpose(), side=128))


@pytest.mark.parametrize("scales", [(1.0,), (2.0, 1.0, 0.5)])
@pytest.mark.parametrize("size", [(128, 128), (200, 120), (90, 250)])
def test_a_joint_is_found_where_it_is(predictor, scales, size):
    predictor.settings = replace(predictor.settings, scales=scales, mirror=False)
    side = max(size) // 10
    image = picture(*size, {0: (30, 40)}, side)
    (found,) = predictor.predict([image])
    # Any cell of the square is as hot, to a cell (4 input pixels, at half the scale 8) and a
    # quarter.
    middle = np.array([30, 40]) + side / 2
    cell = 4 * max(size) / 128 / min(scales)
    assert np.abs(found[0].joints_px[0] - middle).max() < side / 2 + 1.25 * cell


def test_the_mirror_image_brings_left_to_right_and_a_second_tag(predictor):
    left = COCO17.joints.index("left_wrist")
    image = picture(128, 128, {left: (32, 40)}, 8)
    heat, tags, _ = predictor.maps(image)
    assert tags.shape[3] == 2
    # The mirror image shows the colour of the left wrist too, so back come half a left wrist here
    # and, its channels exchanged, half a right one.
    x, y = 36 * heat.shape[2] // 128, 44 * heat.shape[1] // 128
    right = COCO17.flip_order[left]
    assert heat[left, y, x] == pytest.approx(0.5, abs=0.05)
    assert heat[right, y, x] == pytest.approx(0.5, abs=0.05)
    assert (
        PublishedPredictor(Sees(published_ae()), replace(like_princeton(), mirror=False))
        .maps(picture(64, 64, {}))[1]
        .shape[3]
        == 1
    )


def test_scales_look_at_the_published_sizes():
    network = Sees(published_ae())
    look = PublishedPredictor(network, like_princeton(multi_scale=True))
    look.maps(picture(60, 40, {}))
    assert network.sizes[::2] == [(1024, 1024), (512, 512), (256, 256)]
    network = Sees(mmpose_ae())
    PublishedPredictor(network, like_mmpose(multi_scale=True)).maps(picture(60, 40, {}))
    # 256 x 384 is the smallest whole number of blocks for 3 : 2, the others are multiples of it.
    assert network.sizes[::2] == [(1024, 1536), (512, 768), (256, 384)]


def test_a_frame_by_hand():
    framed = frame(200, 100, like_princeton(), 1.0)
    assert framed.size_px == (512, 512)
    middle = framed.input_from_image @ np.array([100, 50, 1])
    corner = framed.input_from_image @ np.array([0, 0, 1])
    np.testing.assert_allclose(middle, [256, 256])
    np.testing.assert_allclose(corner, [0, 128])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (300, 200)])
def test_nobody_in_black(predictor, size):
    assert predictor.predict([np.zeros((*size, 3), dtype=np.uint8)]) == [[]]


def test_twenty_thousand_pixels():
    strip = np.zeros((20_000, 30, 3), dtype=np.uint8)
    assert PublishedPredictor(Sees(published_ae()), like_princeton()).predict([strip]) == [[]]
    # With its shorter side at 512 px it would be 341,000 px long.
    with pytest.raises(BadImage, match=r"30 x 20000 px, 512 px on its shorter.*cut it"):
        PublishedPredictor(Sees(mmpose_ae()), like_mmpose()).predict([strip])


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_picture_is_refused(predictor, shape):
    with pytest.raises(BadImage, match="send height x width x 3"):
        predictor.predict([np.zeros(shape, dtype=np.uint8)])


def test_each_network_has_its_decoder_and_its_way_in():
    for config, decoder in ((published_ae(), like_princeton()), (mmpose_ae(), like_mmpose())):
        network = StackedHourglass(replace(config, stacks=1, width=8, growth=0, depth=1))
        assert decoder_of(network) == decoder
        assert PublishedPredictor(network, decoder).name == config.name
    with pytest.raises(CheckpointMismatch, match=r"models\.published\.single"):
        PublishedPredictor(Sees(published_single(), 16), like_princeton())
    with pytest.raises(CheckpointMismatch, match=r"models\.published\.look"):
        find_one(Sees(published_ae()), picture(64, 64, {}))


def test_one_person_in_a_square():
    network = Sees(published_single(), 16)
    image = picture(300, 260, {9: (140, 60), 0: (120, 200)}, 8)
    one = find_one(network, image, Square((150, 130), 256), mirror=False)
    assert len(one.joints_px) == len(MPII16)
    assert np.abs(one.joints_px[9] - [144, 64]).max() < 5
    assert np.abs(one.joints_px[0] - [124, 204]).max() < 5
    assert np.isnan(one.joints_px[5]).all()
    assert one.scores[5] == 0
    # The mirror image shows a right ankle as a left one, so each has half the heat.
    both = find_one(network, image, Square((150, 130), 256))
    assert both.scores[5] == pytest.approx(one.scores[0] / 2, abs=0.1)
    large = picture(300, 260, {9: (140, 60)}, 24)
    whole = find_one(network, large, mirror=False)
    assert np.abs(whole.joints_px[9] - [152, 72]).max() < 12 + 1.25 * 4 * 300 / 256
    with pytest.raises(BadImage, match="needs a size"):
        find_one(network, image, Square((0, 0), 0))
    with pytest.raises(BadImage):
        find_one(network, image[:, :, 0])
