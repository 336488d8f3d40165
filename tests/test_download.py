"""Where published weights are looked for, and how they are fetched: from a server in this process, which is local."""

import hashlib
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from pytest_fmtransfer.availability import data_folder, dataset_ready, ready, weights_file
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DataRoot, DatasetSpec, Download, PublishedWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import CheckpointMismatch, Unavailable
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import Bar, show_on
from tests.hub import cached, go_offline, use_hub_cache, use_hub_server

CONTENT = bytes(range(256)) * 20_000  # more than one chunk
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every path, as the Hugging Face hub does too; `sent` bounds the bytes of an answer, `status`
    refuses.
    """

    tag, sent, status = '"one"', len(CONTENT), 200
    code = ""  # by which the hub says why it refuses
    asked: list[tuple[str, str | None, str | None]]


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers["Range"]
        if self.path.startswith("/api/"):  # the hub's library asks what it may tell of its user
            self.send_error(404)
            return
        self.server.asked.append((self.path, span, self.headers["Authorization"]))
        if self._refuses():
            return
        same = self.headers["If-Range"] in (None, self.server.tag)
        start = int(span[6:-1]) if span and same else 0
        if start and start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.server.sent])

    def do_HEAD(self) -> None:
        if self._refuses():
            return
        self.send_response(200)
        self.send_header("ETag", self.server.tag)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def _refuses(self) -> bool:
        if self.server.status == 200:
            return False
        self.send_response(self.server.status)
        if self.server.code:
            self.send_header("X-Error-Code", self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name in the library)
        pass


@pytest.fixture
def server() -> Generator[Server]:
    with Server(("127.0.0.1", 0), Answer) as running:
        running.asked = []
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def backbone(**weights: object) -> BackboneSpec:
    published = PublishedWeights(file="vit.pth", url="https://example.org/page")
    return replace(
        Registry().backbone("efficientnet_lite0"),
        name="vit",
        weights=replace(published, **weights),  # pyright: ignore[reportArgumentType]
    )


@pytest.fixture
def own(tmp_path: Path) -> Places:
    return Places(store=tmp_path / "store", weights=tmp_path / "weights", download=True)


def test_a_file_is_told_about_fetched_and_found(
    server: Server, own: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = backbone(url=f"{address(server)}/a/vit.pth", sha256=SHA256, non_commercial=True)
    found = weights_file(spec, own)
    assert found is not None
    assert found.read_bytes() == CONTENT
    told = capsys.readouterr().err
    assert "licence Apache-2.0" in told
    assert "non-commercial use only" in told
    assert [path.name for path in found.parent.iterdir() if not path.name.endswith(".lock")] == ["vit.pth"]
    assert weights_file(spec, replace(own, download=False)) == found
    assert len(server.asked) == 1


def test_nothing_is_fetched_unasked(server: Server, own: Places) -> None:
    with pytest.raises(Unavailable, match="--fm-download"):
        weights_file(backbone(url=f"{address(server)}/vit.pth"), replace(own, download=False))
    assert not server.asked


def test_asking_whether_a_cell_is_ready_fetches_nothing(server: Server, own: Places) -> None:
    registry = Registry()
    registry.register(backbone(url=f"{address(server)}/vit.pth"))
    assert not isinstance(ready(Cell("vit", "br35h", "knn"), registry, own), Missing)
    assert not server.asked


def test_a_download_goes_on_where_it_stopped(server: Server, own: Places) -> None:
    spec, server.sent = backbone(url=f"{address(server)}/vit.pth", sha256=SHA256[:8]), 3_000_000
    with pytest.raises(Unavailable, match="run again, what has arrived is kept"):
        weights_file(spec, own)
    server.sent = len(CONTENT)
    found = weights_file(spec, own)
    assert found is not None
    assert found.read_bytes() == CONTENT
    assert [span for _, span, _ in server.asked] == [None, "bytes=3000000-"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(server: Server, own: Places) -> None:
    spec, server.sent = backbone(url=f"{address(server)}/vit.pth"), 3_000_000
    with pytest.raises(Unavailable):
        weights_file(spec, own)
    server.sent, server.tag = len(CONTENT), '"two"'
    found = weights_file(spec, own)
    assert found is not None
    assert found.read_bytes() == CONTENT


def test_all_that_arrived_before_a_kill_is_no_obstacle(server: Server, own: Places) -> None:
    assert own.weights is not None
    own.weights.mkdir()
    (own.weights / ".vit.pth.part").write_bytes(CONTENT)
    (own.weights / ".vit.pth.part-of").write_text(server.tag)
    found = weights_file(backbone(url=f"{address(server)}/vit.pth", sha256=SHA256), own)
    assert found is not None
    assert found.read_bytes() == CONTENT


def test_another_checksum_is_refused_and_nothing_kept(server: Server, own: Places) -> None:
    spec = backbone(url=f"{address(server)}/vit.pth", sha256="0" * 64)
    with pytest.raises(Unavailable, match=f"has SHA-256 {SHA256}, its row says 000"):
        weights_file(spec, own)
    assert own.weights is not None
    assert not [path for path in own.weights.iterdir() if path.suffix in (".pth", ".part")]


@pytest.fixture
def hub(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this test, whose hub is the server."""
    use_hub_server(monkeypatch, address(server))
    return use_hub_cache(monkeypatch, tmp_path / "hub")


def test_the_hub_is_asked_for_the_file_with_the_users_token(
    server: Server, own: Places, hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "made-up")
    found = weights_file(backbone(hub="org/vit", sha256=SHA256), own)
    assert own.weights is not None
    assert found == own.weights / "org" / "vit" / "vit.pth"
    assert found.read_bytes() == CONTENT
    assert server.asked == [("/org/vit/resolve/main/vit.pth", None, "Bearer made-up")]
    assert "licence Apache-2.0" in capsys.readouterr().err
    assert not hub.exists()
    assert weights_file(backbone(hub="org/vit", sha256=SHA256), replace(own, download=False)) == found


@pytest.mark.parametrize("revision", ["", "v1.0"])
def test_without_a_folder_it_goes_into_the_hubs_own_cache(
    server: Server, own: Places, hub: Path, revision: str
) -> None:
    spec, places = backbone(hub="org/vit", revision=revision), replace(own, weights=None)
    found = weights_file(spec, places)
    assert found == hub / "models--org--vit" / "snapshots" / COMMIT / "vit.pth"
    assert found.read_bytes() == CONTENT
    assert weights_file(spec, replace(places, download=False)) == found
    assert [path for path, _, _ in server.asked] == [f"/org/vit/resolve/{revision or 'main'}/vit.pth"]


def test_a_bar_of_the_hubs_library_is_one_of_ours(tmp_path: Path) -> None:
    """Older versions of it name and silence the bars that they are given."""
    with (tmp_path / "log").open("w+") as log:
        show_on(log)
        try:
            with Bar(total=2, unit="B", unit_scale=True, name="http_get", disable=None) as bar:
                bar.update(2)
        finally:
            show_on(None)
        log.seek(0)
        assert log.read() == ""  # it is no terminal


def test_offline_nothing_is_asked_for_and_that_is_told(
    server: Server, own: Places, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_offline(monkeypatch)
    with pytest.raises(Unavailable, match="or unset HF_HUB_OFFLINE and add --fm-download"):
        weights_file(backbone(hub="org/vit"), own)
    assert not server.asked
    assert not hub.exists()
    # It is the hub's library that is offline, not the machine.
    assert weights_file(backbone(url=f"{address(server)}/vit.pth"), own)


def test_a_connection_to_the_hub_that_breaks_is_taken_up_again(
    server: Server, own: Places, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000_000)  # it keeps whole ones
    server.sent = 3_000_000
    found = weights_file(backbone(hub="org/vit", sha256=SHA256), own)
    assert found is not None
    assert found.read_bytes() == CONTENT
    assert [span for _, span, _ in server.asked] == [None, "bytes=3000000-"]
    assert not hub.exists()


def test_a_file_of_the_hub_that_is_another_is_not_used(server: Server, own: Places, hub: Path) -> None:
    spec = backbone(hub="org/vit", sha256="0" * 64)
    for places in (own, replace(own, weights=None), own):
        with pytest.raises(CheckpointMismatch, match=f"its SHA-256 is {SHA256}, that of the published file is 0000"):
            weights_file(spec, places)
    assert hub.is_dir()
    assert server.asked


@pytest.mark.parametrize(("status", "code"), [(403, ""), (401, ""), (403, "GatedRepo"), (401, "RepoNotFound")])
def test_a_gated_file_says_what_to_do(server: Server, own: Places, hub: Path, status: int, code: str) -> None:
    server.status, server.code = status, code
    with pytest.raises(Unavailable, match=f"accept its terms at {address(server)}/org/vit, and set HF_TOKEN"):
        weights_file(backbone(hub="org/vit", gated=True), own)
    assert not hub.exists() or not list(hub.rglob("vit.pth"))


def test_a_server_that_does_not_answer_is_told(own: Places, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub_server(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9/org/vit/resolve/main/vit\.pth cannot be downloaded"):
        weights_file(backbone(hub="org/vit"), own)
    assert not hub.exists()


def test_a_page_is_not_taken_for_the_file(own: Places) -> None:
    with pytest.raises(Unavailable) as raised:
        weights_file(backbone(), own)
    assert "--fm-download" not in str(raised.value)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_places_are_searched_in_their_order(tmp_path: Path, own: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = use_hub_cache(monkeypatch, tmp_path / "hub")
    put(cached(cache, "org/vit", "vit.pth", revision="old", commit="a1"))
    spec, places = backbone(hub="org/vit"), replace(own, download=False)
    assert own.weights is not None
    for place in (
        cached(cache, "org/vit", "vit.pth", commit="b2"),
        own.store / "downloads" / "org" / "vit" / "vit.pth",
        own.weights / "org" / "vit" / "vit.pth",
        own.weights / "org" / "vit" / "vit.safetensors",
        own.weights / "vit" / "vit.pth",
    ):
        put(place)
        assert weights_file(spec, places) == place


def test_places_of_an_address_are_searched_in_their_order(
    tmp_path: Path, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    spec, places = backbone(url="https://example.org/a/vit.pth"), replace(own, download=False)
    assert own.weights is not None
    for place in (
        tmp_path / "torch" / "hub" / "checkpoints" / "vit.pth",
        own.store / "downloads" / "vit.pth",
        own.weights / "vit.pth",
        own.weights / "vit.safetensors",
        own.weights / "vit" / "vit.pth",
    ):
        put(place)
        assert weights_file(spec, places) == place


@pytest.mark.parametrize("file", ["vit.pth", "model.safetensors"])
def test_without_a_folder_an_address_goes_where_torch_hub_would_put_it_or_below_its_row(
    server: Server, own: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    spec = backbone(file=file, url=f"{address(server)}/a/{file}")
    found = weights_file(spec, replace(own, weights=None))
    torch_hub, below = tmp_path / "torch" / "hub" / "checkpoints", own.store / "downloads" / "vit"
    assert found == (torch_hub if file == "vit.pth" else below) / file


def test_a_name_that_many_files_of_the_hub_have_is_not_enough(own: Places) -> None:
    assert own.weights is not None
    flat, places = put(own.weights / "vit.pth"), replace(own, download=False)
    assert weights_file(backbone(), places) == flat
    with pytest.raises(Unavailable, match=r"put org/vit/vit\.pth into "):
        weights_file(backbone(hub="org/vit"), places)


@pytest.mark.parametrize(
    ("weights", "cache"),
    [
        ({"hub": "org/vit", "gated": True}, "Hugging Face's"),
        ({"url": "https://example.org/vit.pth", "gated": True}, "torch.hub's"),
    ],
    ids=["hub", "address"],
)
def test_the_remedy_names_every_way(own: Places, weights: dict[str, object], cache: str) -> None:
    registry = Registry()
    registry.register(backbone(**weights))
    found = ready(Cell("vit", "br35h", "knn"), registry, replace(own, download=False))
    assert isinstance(found, Missing)
    for way in (str(own.weights), cache, "--fm-download", "gated"):
        assert way in found.remedy


def test_the_plugin_downloads_only_when_asked_and_never_for_a_plan(
    server: Server, own: Places, small: Places, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        f"""
        from dataclasses import replace
        from pytest_fmtransfer.catalog.specs import PublishedWeights
        from tests.small import BACKBONE, register

        def pytest_fmtransfer_register(registry):
            weights = PublishedWeights(file="vit.pth", url="{address(server)}/vit.pth")
            register(registry, replace(BACKBONE, name="vit", weights=weights))
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.fm_cells(backbones=["vit"], datasets=["stripes"], regimes=["knn"])
        def test_it(candidate):
            pass
        """
    )
    assert own.weights is not None
    own.weights.mkdir()
    given = (f"--fm-weights={own.weights}", f"--fm-data-root={small.data_root}", f"--fm-store={small.store}")
    pytester.runpytest(*given, "-rs").stdout.fnmatch_lines(["*SKIP*no weights of vit*--fm-download*"])
    assert "no weights of vit" in pytester.runpytest(*given, "--fm-plan", "--fm-download").stdout.str()
    assert not server.asked
    # CONTENT is no checkpoint: that it is refused shows that it arrived.
    found = pytester.runpytest(*given, "--fm-download")
    assert "damaged weights" in found.stdout.str()
    assert len(server.asked) == 1


def dataset(server: Server, md5: str) -> DatasetSpec:
    url = f"{address(server)}/scans.npz?download=1"
    row = Registry().dataset("medmnist.breastmnist")
    downloads = (Download(file="scans.npz", url=url, md5=md5),)
    return replace(row, location=DataRoot(folder="scans", url=url, files=("scans.npz",), downloads=downloads))


def test_data_are_fetched_into_their_folder_where_the_user_asks(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = dataset(server, hashlib.md5(CONTENT).hexdigest())
    places = Places(store=tmp_path / "store", data_root=tmp_path / "data")
    with pytest.raises(Unavailable, match=r"or name that one and add --fm-download \(licence CC BY 4.0\)"):
        data_folder(spec, places)
    assert isinstance(dataset_ready(spec, places), Missing)
    asked = replace(places, download=True)
    assert not isinstance(dataset_ready(spec, asked), Missing)
    assert not server.asked
    folder = data_folder(spec, asked)
    assert (folder / "scans.npz").read_bytes() == CONTENT
    assert "licence CC BY 4.0" in capsys.readouterr().err
    assert data_folder(spec, places) == folder == tmp_path / "data" / "scans"
    assert len(server.asked) == 1


def test_data_of_another_checksum_are_not_kept(server: Server, tmp_path: Path) -> None:
    places = Places(store=tmp_path / "store", data_root=tmp_path / "data", download=True)
    with pytest.raises(Unavailable, match=r"no images of medmnist\.breastmnist: .* has MD5 .*, its row says 00"):
        data_folder(dataset(server, "00"), places)
    assert [path.name for path in (tmp_path / "data" / "scans").iterdir()] == [".scans.npz.lock"]


def test_without_a_data_root_nothing_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"--fm-data-root=DIR"):
        data_folder(dataset(server, ""), Places(store=tmp_path, download=True))
    assert not server.asked
