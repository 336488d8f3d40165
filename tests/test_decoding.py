"""Every usual kind of image file is seen as a viewer shows it, and a broken one is named, whatever is wrong with it.

Legend: H, W pixels.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer.data.decoding import in_parallel, open_image, read_grey, read_pixels
from pytest_fmtransfer.data.modes import shown, stretched
from pytest_fmtransfer.errors import UnreadableImage
from pytest_fmtransfer.limits import cores
from tests.helpers import LAWS
from tests.pictures import head, save

RAMP_HW = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (20, 1))
COLOURS_HW3 = np.stack([RAMP_HW, RAMP_HW[:, ::-1], np.full_like(RAMP_HW, 77)], axis=-1)


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "webp", "jp2", "pgm", "jpg", "gif"])
def test_every_usual_format_is_read(suffix: str, tmp_path: Path) -> None:
    lossless = {"webp": {"lossless": True}, "jpg": {"quality": 100}}.get(suffix, {})
    Image.fromarray(RAMP_HW).save(tmp_path / f"ramp.{suffix}", **lossless)
    np.testing.assert_allclose(read_grey(tmp_path / f"ramp.{suffix}"), RAMP_HW, atol=2)
    assert read_pixels(tmp_path / f"ramp.{suffix}", channels=3).shape == (*RAMP_HW.shape, 3)


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "webp", "ppm"])
def test_colours_are_those_of_the_file(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(COLOURS_HW3).save(tmp_path / f"c.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_pixels(tmp_path / f"c.{suffix}", channels=3), COLOURS_HW3)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_colours_of_print_and_video_become_red_green_and_blue(mode: str, tmp_path: Path) -> None:
    Image.fromarray(COLOURS_HW3).convert(mode).save(tmp_path / "c.tiff")
    np.testing.assert_allclose(read_pixels(tmp_path / "c.tiff", channels=3), COLOURS_HW3, atol=3)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(RAMP_HW > 100).save(tmp_path / "bits.png")
    assert open_image(tmp_path / "bits.png").mode == "1"
    np.testing.assert_array_equal(read_grey(tmp_path / "bits.png"), np.where(RAMP_HW > 100, 255, 0))


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [(np.uint16, "png"), (np.uint16, "tiff"), (">u2", "tiff"), (np.int32, "tiff"), (np.float32, "tiff")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_greys_of_more_bits_are_stretched_from_their_lowest_to_their_highest(
    dtype: str, suffix: str, channels: int, tmp_path: Path
) -> None:
    Image.fromarray((RAMP_HW.astype(np.float64) * 16 + 300).astype(dtype)).save(tmp_path / f"deep.{suffix}")
    seen = read_pixels(tmp_path / f"deep.{suffix}", channels=channels)
    expected_HW = np.rint(RAMP_HW / 248 * 255)
    np.testing.assert_array_equal(seen if channels == 1 else seen[..., 2], expected_HW)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30))
@LAWS
def test_stretching_keeps_the_order_of_greys_and_uses_the_whole_range(values: list[int]) -> None:
    values_HW = np.array([values])
    seen_HW = stretched(values_HW)
    order = np.argsort(values_HW[0])
    assert (np.diff(seen_HW[0, order].astype(int)) >= 0).all()
    assert (seen_HW.min(), seen_HW.max()) == ((0, 255) if len(set(values)) > 1 else (0, 0))


def test_what_is_no_number_is_black() -> None:
    values_HW = np.array([[np.nan, 1.0, 2.0, np.inf, -np.inf]])
    assert stretched(values_HW).tolist() == [[0, 0, 255, 255, 0]]
    assert stretched(np.full((1, 2), np.nan)).tolist() == [[0, 0]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_black(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.full((4, 4), 200, dtype=np.uint8)).convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.array([[0, 128], [255, 255]], dtype=np.uint8), 2, axis=1).repeat(2, 0)))
    kind = "tiff" if mode == "PA" else "png"
    (image.convert("LA") if mode == "LA" else image).save(tmp_path / f"clear.{kind}")
    grey_HW = read_grey(tmp_path / f"clear.{kind}")
    assert grey_HW[::2, ::2].tolist() == [[0, 100], [200, 200]]


def test_a_palette_with_a_transparent_colour_is_seen_on_black(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([90, 90, 90, 200, 10, 10])
    image.save(tmp_path / "p.png", transparency=0)
    assert read_pixels(tmp_path / "p.png", channels=3).tolist() == [[[0, 0, 0], [200, 10, 10]]]


def test_what_is_opaque_is_read_as_pillow_reads_it() -> None:
    image = Image.fromarray(COLOURS_HW3).convert("RGBA")
    assert shown(image) is image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_an_image_is_upright_whichever_way_the_camera_was_held(orientation: int, suffix: str, tmp_path: Path) -> None:
    stored = {1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
    stored |= {6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}  # what undoes the turn
    upright_HW = np.kron(np.array([[0, 120, 250], [60, 190, 220]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    turn, image, exif = stored[orientation], Image.fromarray(upright_HW), Image.Exif()
    exif[0x0112] = orientation
    image = image.transpose(Image.Transpose[turn]) if turn else image
    image.save(tmp_path / f"held.{suffix}", exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_allclose(read_grey(tmp_path / f"held.{suffix}"), upright_HW, atol=2)


def test_broken_exif_says_nothing(tmp_path: Path) -> None:
    Image.fromarray(RAMP_HW).save(tmp_path / "e.jpg", quality=100, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0")
    np.testing.assert_allclose(read_grey(tmp_path / "e.jpg"), RAMP_HW, atol=2)


@pytest.mark.parametrize(("suffix", "what"), [("tiff", "2 pages"), ("gif", "2 frames"), ("webp", "2 frames")])
def test_which_of_several_pages_is_the_image_is_for_its_owner_to_say(suffix: str, what: str, tmp_path: Path) -> None:
    pages = [Image.fromarray(RAMP_HW), Image.fromarray(255 - RAMP_HW)]
    pages[0].save(tmp_path / f"pages.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableImage, match=rf"pages\.{suffix} \({what} in one .*in a file of its own\)$") as raised:
        read_grey(tmp_path / f"pages.{suffix}")
    assert not raised.value.damaged


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"no image", "no image of a known kind"),
    ],
    ids=["empty", "text"],
)
def test_what_is_no_image_says_so(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match=rf"/x\.png \({reason}\); restore the file") as raised:
        read_grey(tmp_path / "x.png")
    assert (raised.value.reason, raised.value.damaged) == (reason, True)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\0\0\0\x1cftypheic", "HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\x01", "JPEG XL"),
        (b"\x5c\x01\0\0" + bytes(344), "NIfTI"),
    ],
)
def test_a_file_of_another_format_is_not_called_damaged(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(data)
    told = rf"/x\.png \(a file of the format {name}; save it as PNG, JPEG, TIFF or DICOM\)$"
    with pytest.raises(UnreadableImage, match=told) as raised:
        read_grey(tmp_path / "x.png")
    assert not raised.value.damaged


def test_a_file_that_the_system_does_not_give_may_be_sound(tmp_path: Path) -> None:
    for name in ("absent.png", "folder.png"):
        (tmp_path / "folder.png").mkdir(exist_ok=True)
        with pytest.raises(UnreadableImage, match=name) as raised:
            read_grey(tmp_path / name)
        assert not raised.value.damaged


@pytest.mark.parametrize(("limit", "fits"), [(400, True), (200, False)])
def test_a_large_image_is_read_without_a_warning_and_a_vast_one_is_refused(
    limit: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(RAMP_HW, tmp_path / "large.png")  # 640 pixels; Pillow warns above the limit, and refuses above twice that
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    if fits:
        assert read_grey(tmp_path / "large.png").shape == RAMP_HW.shape
    else:
        with pytest.raises(UnreadableImage, match="exceeds limit"):
            read_grey(tmp_path / "large.png")


def test_filters_of_warnings_are_as_before_when_many_threads_have_read(tmp_path: Path) -> None:
    path, before = save(head(0), tmp_path / "a.png"), list(warnings.filters)
    assert len(list(in_parallel(lambda _: read_grey(path), range(200)))) == 200
    assert list(warnings.filters) == before


def test_work_in_parallel_is_not_begun_far_ahead() -> None:
    begun: list[int] = []
    done = in_parallel(begun.append, range(100_000))
    next(done)
    done.close()
    assert len(begun) < 5000


def encoded(suffix: str) -> bytes:
    stream = io.BytesIO()
    form = {"jpg": "JPEG", "tiff": "TIFF", "png": "PNG", "webp": "WEBP", "bmp": "BMP"}[suffix]
    more = {"compression": "tiff_lzw"} if suffix == "tiff" else {}
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS_HW3).save(stream, form, **more, **({"exif": exif} if suffix != "bmp" else {}))
    return stream.getvalue()


DAMAGE = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.one_of(st.none(), st.floats(0, 1, exclude_max=True)),
)


def damaged(data: bytes, damage: tuple[list[tuple[float, int]], float | None], early: int) -> bytes:
    """Bytes replaced, half of them among the first `early`, where headers are; and the end cut off."""
    changes, cut = damage
    broken = bytearray(data)
    for number, (where, byte) in enumerate(changes):
        broken[int(where * (min(early, len(broken)) if number % 2 else len(broken)))] = byte
    return bytes(broken if cut is None else broken[: int(cut * len(broken))])


FUZZ = settings(LAWS, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
@given(damage=DAMAGE)
@FUZZ
def test_a_damaged_file_is_read_or_named_and_nothing_else(
    suffix: str, damage: tuple[list[tuple[float, int]], float | None], tmp_path: Path
) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(damaged(encoded(suffix), damage, 120))
    try:
        assert read_pixels(path, channels=3).dtype == np.uint8
    except UnreadableImage as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("work", [open_image, read_grey])
@given(data=st.binary(max_size=300))
@FUZZ
def test_arbitrary_bytes_are_no_image(work: Callable[[Path], object], data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(data)
    with pytest.raises(UnreadableImage, match="/bytes"):
        work(tmp_path / "bytes")


@pytest.mark.parametrize(
    ("workers", "asked", "threads"),
    [
        (None, None, 8),
        ("2", None, 4),
        ("16", None, 1),
        (None, "3", 3),
        (None, "3,1", 3),
        (None, " 3 ", 3),
        (None, "64", 8),
        ("4", "1", 1),
        ("4", "8", 2),
        (None, "0", 8),
        (None, "-2", 8),
        (None, "all", 8),
        (None, "", 8),
    ],
)
def test_threads_are_a_workers_share_of_the_cores_or_fewer_where_fewer_are_asked_for(
    workers: str | None, asked: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, value in (("PYTEST_XDIST_WORKER_COUNT", workers), ("OMP_NUM_THREADS", asked)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert cores() == threads
