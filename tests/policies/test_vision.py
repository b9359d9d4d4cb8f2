import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.augment import AugmentConfig, augment, crop_size, cutout, jitter, random_crop
from policies.vision import RESNET18, ImageEncoder, ResNet, SpatialSoftmax, VisionConfig

TINY = VisionConfig(widths=(8, 16), strides=(1, 2), keypoints=4, features=6)
STILL = AugmentConfig(crop=1.0, brightness=0, contrast=0, saturation=0, cutout=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(rows: int = 3, steps: int = 2, side: int = 24) -> torch.Tensor:
    shape = (rows, steps, side, side, 3)
    return torch.randint(0, 256, shape, generator=generator(1), dtype=torch.uint8)


@given(seed=st.integers(0, 1000), side=st.integers(4, 20), crop=st.floats(0.3, 1.0))
@settings(max_examples=30, deadline=None)
def test_a_random_crop_is_a_window_of_its_image_and_the_same_at_all_time_steps(
    seed: int, side: int, crop: float
) -> None:
    places = torch.arange(side * side).reshape(1, 1, side, side, 1).expand(2, 3, -1, -1, 3)
    out = random_crop(places, crop, generator(seed))
    kept = crop_size(side, crop)
    assert out.shape == (2, 3, kept, kept, 3)
    window = torch.arange(kept)[:, None] * side + torch.arange(kept)
    corner = out[:, :1, :1, :1, :1]
    assert torch.equal(out, (corner + window[..., None]).expand_as(out))


def test_crops_differ_from_row_to_row_and_reach_every_place() -> None:
    places = torch.arange(36).reshape(1, 1, 6, 6, 1).expand(200, 1, -1, -1, 3)
    corners = random_crop(places, 4 / 6, generator())[:, 0, 0, 0, 0]
    assert set(corners.tolist()) == {r * 6 + c for r in range(3) for c in range(3)}


def test_the_same_generator_gives_the_same_augmentation() -> None:
    first, second = (augment(images(), AugmentConfig(), generator(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(images(), AugmentConfig(), generator(6)))


def test_augmented_images_are_floats_in_range_with_the_cropped_size() -> None:
    out = augment(images(), AugmentConfig(brightness=0.9, contrast=0.9), generator())
    assert out.dtype == torch.float32
    assert out.shape == (3, 2, 22, 22, 3)
    assert out.min() >= 0
    assert out.max() <= 1


def test_augmentation_of_strength_zero_changes_nothing() -> None:
    assert torch.allclose(augment(images(), STILL, generator()), images() / 255, atol=1e-6)


def test_jitter_without_saturation_keeps_grey_grey() -> None:
    grey = images().float()[..., :1].expand(-1, -1, -1, -1, 3) / 255
    out = jitter(grey, AugmentConfig(), generator())
    assert torch.allclose(out, out[..., :1].expand_as(out), atol=1e-6)


def test_jitter_is_the_chain_of_saturation_contrast_and_brightness() -> None:
    config = AugmentConfig(brightness=0.1, contrast=0.1, saturation=0.1)
    x = images().float() / 255 * 0.5 + 0.2
    draws = torch.rand((3, 3), generator=generator(3)) * 2 - 1
    light, contrast, colour = (1 + 0.1 * draws)[..., None, None, None, None]
    grey = x.mean(-1, keepdim=True)
    y = grey + colour * (x - grey)
    mean = grey.mean((2, 3), keepdim=True)
    y = light * (mean + contrast * (y - mean))
    assert torch.allclose(jitter(x, config, generator(3)), y.clamp(0, 1), atol=1e-6)


def test_cutout_paints_one_grey_rectangle_on_the_chosen_share() -> None:
    config = AugmentConfig(cutout=0.5, cutout_rate=0.5)
    blank = torch.full((400, 1, 8, 8, 3), -1.0)
    out = cutout(blank, config, generator())
    touched = (out != -1).flatten(1).any(1)
    assert 0.35 < touched.float().mean() < 0.65
    for image in out[touched][:20, 0]:
        painted = (image != -1).all(-1)
        rows, columns = painted.any(1).sum(), painted.any(0).sum()
        assert painted.sum() == rows * columns
        assert len(image[painted].unique()) == 1
    assert torch.equal(cutout(blank, AugmentConfig(cutout_rate=0), generator()), blank)


def test_spatial_softmax_finds_where_the_map_is_bright() -> None:
    points = SpatialSoftmax(1, 1)
    torch.nn.init.ones_(points.score.weight)
    maps = torch.zeros(2, 1, 5, 9)
    maps[0, 0, 0, 8] = maps[1, 0, 4, 2] = 50.0
    expected = torch.tensor([[1.0, -1.0], [-0.5, 1.0]])
    assert torch.allclose(points(maps), expected, atol=1e-4)


def test_whole_images_are_cropped_at_the_centre() -> None:
    encoder = ImageEncoder({"images/wrist": (24, 24, 3), "qpos": (7,)}, TINY).eval()
    whole = images()
    cut = whole[:, :, 1:23, 1:23]
    out = encoder({"images/wrist": whole})
    assert out.shape == (3, 2, 1, 6)
    assert torch.equal(out, encoder({"images/wrist": cut}))


def test_bytes_and_floats_are_encoded_alike() -> None:
    encoder = ImageEncoder({"images/wrist": (24, 24, 3)}, TINY).eval()
    out = encoder({"images/wrist": images()})
    assert torch.allclose(out, encoder({"images/wrist": images() / 255}), atol=1e-5)


def test_images_of_another_size_are_refused() -> None:
    encoder = ImageEncoder({"images/wrist": (24, 24, 3)}, TINY)
    with pytest.raises(ValueError, match=r"24x24 or, cropped, 22x22, got \(30, 30\)"):
        encoder({"images/wrist": images(side=30)})


def test_an_encoder_without_cameras_has_no_features() -> None:
    encoder = ImageEncoder({"qpos": (7,)}, TINY)
    assert encoder.size == 0
    assert not list(encoder.parameters())


def test_each_camera_has_its_own_network_and_gradient() -> None:
    shapes = {"images/overhead": (24, 24, 3), "images/wrist": (24, 24, 3)}
    encoder = ImageEncoder(shapes, TINY)
    out = encoder(dict.fromkeys(shapes, images()))
    assert out.shape == (3, 2, 2, 6)
    out[:, :, 0].sum().backward()
    first, second = (net.stem.weight.grad for net in encoder.nets)
    assert first.abs().sum() > 0
    assert second is None or second.abs().sum() == 0


def test_the_large_network_is_a_resnet_18() -> None:
    with torch.device("meta"):
        net = ResNet(RESNET18)
        out = net(torch.zeros(1, 3, 224, 224))
    assert out.shape == (1, 512, 7, 7)
    # torchvision's resnet18 without its classifier: 11 689 512 - 513 000
    assert sum(p.numel() for p in net.parameters()) == 11_176_512


@pytest.mark.parametrize("crop", [0.0, 1.1])
def test_a_crop_that_cannot_be_is_refused(crop: float) -> None:
    with pytest.raises(ValueError, match="crop must be in"):
        VisionConfig(crop=crop)


def marks(rows: int, seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return pictures with a red and a blue mark, which is asked for, and where that one is."""
    draw = generator(seed)
    places = torch.randint(2, 20, (rows, 2, 2), generator=draw)
    asked = torch.randint(0, 2, (rows,), generator=draw)
    seen = torch.zeros(rows, 1, 24, 24, 3)
    for row in range(rows):
        for colour in range(2):
            y, x = places[row, colour].tolist()
            seen[row, 0, y - 2 : y + 3, x - 2 : x + 3, 2 * colour] = 1.0
    told = torch.eye(2)[asked][:, None]
    return {"images/top": seen, "instruction": told}, places[torch.arange(rows), asked] / 12 - 1


def test_what_is_asked_for_is_what_is_found():
    torch.manual_seed(0)
    seeing = VisionConfig(crop=1.0, widths=(8, 16), strides=(1, 1), keypoints=4, features=6)
    encoder = ImageEncoder({"images/top": (24, 24, 3), "instruction": (2,)}, seeing)
    out = torch.nn.Linear(6, 2)
    optimiser = torch.optim.Adam([*encoder.parameters(), *out.parameters()], lr=1e-2)
    for step in range(150):
        seen, where = marks(32, step)
        loss = (out(encoder(seen).flatten(1)) - where).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seen, where = marks(200, 1000)
    other = {**seen, "instruction": 1 - seen["instruction"]}
    with torch.no_grad():
        error = (out(encoder(seen).flatten(1)) - where).norm(dim=1)
        deceived = (out(encoder(other).flatten(1)) - where).norm(dim=1)
    assert error.median() < 0.15
    assert deceived.median() > 2 * error.median()


def test_an_instruction_changes_nothing_before_training():
    torch.manual_seed(0)
    plain = ImageEncoder({"images/top": (24, 24, 3)}, TINY).eval()
    told = ImageEncoder({"images/top": (24, 24, 3), "instruction": (2,)}, TINY).eval()
    told.load_state_dict(plain.state_dict(), strict=False)
    seen, _ = marks(3, 0)
    assert torch.equal(plain({"images/top": seen["images/top"]}), told(seen))
