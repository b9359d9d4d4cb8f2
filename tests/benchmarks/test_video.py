from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.video import GREEN, RED, compose, write_mp4
from envs.arm import Array


def picture(shade: int, height: int = 60, width: int = 81) -> Array:
    return np.full((height, width, 3), shade, np.uint8)


def test_a_video_is_h264_yuv420p_with_its_index_first(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "deep" / "a.mp4", (picture(i) for i in range(30)), fps=25)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 25
        assert (stream.width, stream.height) == (82, 60)
        assert sum(1 for _ in container.decode(video=0)) == 30
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = list(rng.integers(0, 255, (20, 48, 64, 3), dtype=np.uint8))
    a, b = (write_mp4(tmp_path / f"{n}.mp4", frames, 12.5).read_bytes() for n in "ab")
    assert a == b


def test_a_video_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_mp4(tmp_path / "a.mp4", [], 25)
    with pytest.raises(ValueError, match="all frames must be"):
        write_mp4(tmp_path / "a.mp4", [picture(0), picture(0, 62)], 25)
    with pytest.raises(ValueError, match="uint8"):
        write_mp4(tmp_path / "a.mp4", [picture(0).astype(float)], 25)
    assert list(tmp_path.iterdir()) == []


def test_the_frame_of_a_composed_picture_tells_the_outcome() -> None:
    views = [picture(90, 60, 80), picture(90, 60, 80)]
    assert compose(views, ["a", "b"]).shape == (60 + 2 * 14 + 4, 160, 3)
    for border, colour in ((True, GREEN), (False, RED)):
        assert tuple(compose(views, ["a"], border)[30, 1]) == colour
    assert tuple(compose(views, ["a"])[30, 1]) == (90, 90, 90)
