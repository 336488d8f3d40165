"""Folders with links in them, files of other suffixes, and tables that name devices or lead out of their folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer.catalog.user_dataset import UserDataset, own_folder
from pytest_fmtransfer.data.dataset import open_dataset, read_table
from pytest_fmtransfer.data.decoding import DICOM_SUFFIXES, FORMATS
from pytest_fmtransfer.data.own import SUFFIXES
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS


def fill(folder: Path, *names: str, each: int = 10) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (folder / name / f"{number}.png").touch()
    return folder


def table_of(line: str) -> Table:
    return read_table(UserDataset.parse(line).row, Places(store=Path("unused")))[1]


def listed(file: Path, *names: str) -> Path:
    """A table of the images named and of 40 that nobody has."""
    every = [*names, *(f"{number}.png" for number in range(40))]
    lines = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(every)]
    file.write_text("\n".join(["image,y", *lines]) + "\n", encoding="utf-8")
    return file


def test_every_suffix_of_what_is_decoded_is_one_of_an_image() -> None:
    Image.init()
    ours = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert set(SUFFIXES) == ours | set(DICOM_SUFFIXES)


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".dicom", ".pgm", ".jp2", ".gif"])
def test_files_of_rarer_suffixes_are_images(suffix: str, tmp_path: Path) -> None:
    (fill(tmp_path, "a", "b") / "a" / f"x{suffix}").touch()
    table = table_of(f"mine=folder:{tmp_path}")
    assert (table.found, table.notices) == (21, ())


def test_a_folder_behind_a_link_is_read_where_it_lies_inside(tmp_path: Path) -> None:
    root = fill(tmp_path, "a", "b", ".store/more")
    (root / "a" / "more").symlink_to(root / ".store" / "more")
    table = table_of(f"mine=folder:{root}")
    assert table.found == 30
    assert "a/more/3.png" in table.ids_N
    (notice,) = table.notices
    assert notice.sentence == "passed over: 1 hidden"


@pytest.mark.parametrize(
    "link",
    [
        lambda root: (root / "a" / "more").symlink_to(root.parent / "elsewhere"),
        lambda root: (root / "c").symlink_to(root.parent / "elsewhere"),
        lambda root: (root / "a" / "x.png").symlink_to(root.parent / "elsewhere" / "0.png"),
    ],
    ids=["folder below a class", "class", "image"],
)
def test_a_link_out_of_the_folder_is_followed_where_that_is_said(link: Callable[[Path], None], tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere")
    root = fill(tmp_path / "data", "a", "b")
    link(root)
    with pytest.raises((DatasetError, InvalidInput), match=r"data: 1 link out of it: .*; .*, say links=follow"):
        table_of(f"mine=folder:{root}")
    assert table_of(f"mine=folder:{root},links=follow").found in (21, 30)
    line = f"mine=folder:{root},links=follow"
    assert str(UserDataset.parse(line)) == line


def test_a_root_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    fill(tmp_path / "archive", "a", "b")
    (tmp_path / "data").symlink_to(tmp_path / "archive")
    assert table_of(f"mine=folder:{tmp_path / 'data'}").found == 20
    (tmp_path / "archive" / "99.png").touch()
    listed(tmp_path / "archive" / "scans.csv", "99.png")
    assert table_of(f"mine=table:{tmp_path / 'data' / 'scans.csv'},label=y").found == 41


def test_links_in_a_circle_end_and_no_image_is_read_twice(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/deep", "b")
    (root / "a" / "deep" / "up").symlink_to(root / "a")
    (root / "a" / "top").symlink_to(root)
    (root / "a" / "again").symlink_to(root / "a" / "deep")
    (root / "a" / "self").symlink_to("self")
    table = table_of(f"mine=folder:{root}")
    assert table.found == 20
    (notice,) = table.notices
    assert notice.examples == ("a/again", "a/deep/up", "a/self", "a/top")


def test_what_is_passed_over_is_counted_by_suffix(tmp_path: Path) -> None:
    root = fill(tmp_path, "a", "b", ".git")
    for name in ("a/notes.txt", "a/x.TXT", "b/Thumbs.db", "b/IM0001", "readme.md", "a/._x.png"):
        (root / name).touch()
    (notice,) = table_of(f"mine=folder:{root}").notices
    assert (notice.kind, notice.count) == ("files_passed_over", 7)
    told = "passed over: 5 files that end as no image does (.db 1, .md 1, .txt 2, no suffix 1); 2 hidden"
    assert notice.sentence == told
    assert notice.examples == (".git", "a/._x.png", "a/notes.txt", "a/x.TXT", "b/IM0001", "b/Thumbs.db", "readme.md")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(fill(tmp_path, "a", "b") / "a" / "x.png")
    with pytest.raises(DatasetError, match=r"no file but a device, a pipe or the like: a/x.png"):
        table_of(f"mine=folder:{tmp_path}")
    file = listed(tmp_path / "scans.csv", "a/x.png")
    with pytest.raises(DatasetError, match=r"1 row of column 'image' with no file but .*'a/x.png' \(row 2\)"):
        table_of(f"mine=table:{file},label=y")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
@pytest.mark.parametrize("keys", ["", ",links=follow"])
def test_a_device_that_a_table_names_is_refused(keys: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to("/dev/zero")
    with pytest.raises(DatasetError, match=r"no file but a folder, a device or the like, such as 'x.png' \(row 2\)"):
        table_of(f"mine=table:{listed(tmp_path / 'scans.csv', 'x.png')},label=y{keys}")
    with pytest.raises(DatasetError, match=r"with no file but .*'zero'"):
        table_of(f"mine=table:{listed(tmp_path / 'scans.csv', 'zero')},label=y,root=/dev{keys}")


@pytest.mark.parametrize("name", ["x.png", "sub/0.png"])
def test_a_link_that_leads_out_of_the_folder_of_a_table_is_refused(name: str, tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere", "data")
    (tmp_path / "data" / "x.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    (tmp_path / "data" / "sub").symlink_to(tmp_path / "elsewhere")
    line = f"mine=table:{listed(tmp_path / 'data' / 'scans.csv', name)},label=y"
    with pytest.raises(DatasetError, match=rf"a link that leads out of .*'{name}' \(row 2\); say root=DIR"):
        table_of(line)
    assert table_of(f"{line},links=follow").found == 41
    (tmp_path / "data" / "in.png").symlink_to(tmp_path / "data" / "0.png")
    assert table_of(f"mine=table:{listed(tmp_path / 'data' / 'scans.csv', 'in.png')},label=y").found == 41


def test_a_folder_that_a_table_names_is_no_image(tmp_path: Path) -> None:
    fill(tmp_path, "x.png")
    row = UserDataset.parse(f"mine=table:{listed(tmp_path / 'scans.csv', 'x.png')},label=y").row
    with pytest.raises(DatasetError, match="no file but a folder"):
        open_dataset(row, Places(store=tmp_path / "store"))


names = st.sampled_from(["a", "b", "a/x", "b/x", "a/x/y", "c", ".h"])


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, st.sampled_from(["l", "m"]), names | st.just(".") | st.just("..")), max_size=5))
def test_wherever_links_lead_every_file_is_an_image_once_a_class_or_told(
    tmp_path: Path, links: list[tuple[str, str, str]]
) -> None:
    root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    fill(root, "a", "b", "a/x", "b/x", "a/x/y", "c", ".h", each=4)
    for folder, name, target in links:
        if not os.path.lexists(root / folder / name):
            (root / folder / name).symlink_to(root / target)
    try:
        row = own_folder("mine", root)
        table = read_table(row, Places(store=Path("unused")))[1]
    except FmTransferError as error:
        assert "links=follow" in str(error)  # noqa: PT017
        assert any(target == ".." for _, _, target in links)
        return
    for label, name in enumerate(row.classes):
        real = [os.path.realpath(root / each) for each in table.ids_N[table.labels_N == label].tolist()]
        assert len(real) == len(set(real))
        assert {str(path) for path in (root / name).rglob("*.png") if not path.is_symlink()} <= set(real)
    told = [example for notice in table.notices for example in notice.examples]
    every = [Path(top) / each for top, folders, _ in os.walk(root) for each in folders]
    for link in (path for path in every if path.is_symlink() and ".h" not in path.parts):
        inside = link.relative_to(root).as_posix()
        assert inside in told or any(name.startswith(f"{inside}/") for name in table.ids_N.tolist())
