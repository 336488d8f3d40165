"""The regime without training: scores are cosines with what classes are called, from features that are stored, and what
is missing is told before anything is computed.

Legend: T images of the test side, N images, C classes, D the width of the shared space, E of a text before it.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional

from benchmarks.parity.published import row as published_row
from benchmarks.parity.published import tensors_of, write
from pytest_fmtransfer import Cell, Places, Prompts, Registry, own_table, text_places, transfer
from pytest_fmtransfer._transfer import Asked, ask, open_under
from pytest_fmtransfer.adapt.zeroshot import class_vectors, described, scores
from pytest_fmtransfer.availability import ready, weights_file
from pytest_fmtransfer.backbones import open_clip as clip
from pytest_fmtransfer.backbones import text_towers
from pytest_fmtransfer.catalog.prompts import fill
from pytest_fmtransfer.catalog.regime_settings import ZeroShotSettings
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec, FileWeights
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.data.table import TEST, TRAIN
from pytest_fmtransfer.errors import CheckpointMismatch, Unavailable
from pytest_fmtransfer.features import load_features
from pytest_fmtransfer.missing import Missing, Ready
from pytest_fmtransfer.text_places import VOCABULARY, vocabulary_file
from tests.hub import cached, use_hub_cache
from tests.small import DATASET, EACH, write_images
from tests.text_sides import VISION, write_blip, write_vocabulary

CLIP, BLIP = published_row("openclip_vitb16", tiny=True), published_row("blip_vitb16", tiny=True)
WORDS = Prompts(templates=("a {}.", "the {}"), phrases={"no tumour": ("apple",), "tumour": ("pear", "old pear tree")})
HUB = "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"
SETTINGS = ZeroShotSettings(
    templates=("a medical image of {}.", "{}"), phrases=(("apple",), ("pear", "old pear tree"), ("plum",))
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Pictures of stripes, and the two publishers' files with random weights."""
    root = tmp_path_factory.mktemp("zeroshot")
    write_images(root / "data")
    write_blip(BLIP, root / "weights")
    write_vocabulary(root / "weights")
    (root / "weights" / HUB).mkdir(parents=True)
    write(CLIP, tensors_of(CLIP), root / "weights" / HUB)
    return Places(store=root / "store", weights=root / "weights", data_root=root / "data")


@pytest.fixture(autouse=True)
def _small_vocabulary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The vocabulary of these tests stands for the published one."""
    content = write_vocabulary(tmp_path_factory.mktemp("vocabulary")).read_bytes()
    small = replace(text_places.VOCABULARY, sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(text_places, "VOCABULARY", small)


def catalogue(places: Places, dataset: DatasetSpec = DATASET, path: Path | None = None) -> Registry:
    """The two backbones, small, and pictures of stripes."""
    registry = Registry()
    registry.register(replace(dataset, name="stripes", prompts=dataset.prompts and WORDS))
    registry.register(
        replace(CLIP, name="clip", image_size=64, weights=FileWeights(path=path) if path else CLIP.weights)
    )
    registry.register(replace(BLIP, name="blip", image_size=64))
    return registry


def asked(cell: Cell, registry: Registry, places: Places) -> Asked:
    dataset = open_under(registry.profile("ci"), registry.dataset(cell.dataset), places)
    return ask(cell, dataset, profile="ci", registry=registry, places=places)


def test_a_class_vector_is_that_of_open_clips_own_ensemble(places: Places) -> None:
    model, names = clip.build_model(CLIP, weights_file(CLIP, places)), ("apple", "old pear tree", "plum")
    with torch.no_grad():
        expected_DC = open_clip.build_zero_shot_classifier(
            model, open_clip.get_tokenizer("ViT-B-16"), names, [text.format for text in SETTINGS.templates], None, "cpu"
        )
    prompts = [fill(SETTINGS.templates, [name]) for name in names]
    found_CD = class_vectors(text_towers.text_tower(CLIP, places), prompts, of="it")
    torch.testing.assert_close(found_CD, expected_DC.T, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("spec", [CLIP, BLIP], ids=lambda spec: spec.name)
def test_scores_are_scaled_cosines_with_the_mean_of_the_prompts(spec: BackboneSpec, places: Places) -> None:
    tower = text_towers.text_tower(spec, places)
    pooled_TE = np.random.default_rng(0).normal(size=(5, 48 if spec is CLIP else VISION)).astype(np.float32)
    images_TD = functional.normalize(tower.project(torch.from_numpy(pooled_TE)), dim=1).numpy()

    def vector(prompts: list[str]) -> np.ndarray:
        mean_D = np.mean([tower.texts([prompt], of="it")[0].numpy() for prompt in prompts], axis=0)
        return mean_D / np.linalg.norm(mean_D)

    present = [
        ["a medical image of apple.", "apple"],
        ["a medical image of pear.", "a medical image of old pear tree.", "pear", "old pear tree"],
        ["a medical image of plum.", "plum"],
    ]
    expected_TC = tower.scale * images_TD @ np.stack([vector(prompts) for prompts in present]).T
    found_TC = scores(tower, SETTINGS, pooled_TE, of="it")
    assert found_TC.dtype == np.float32
    np.testing.assert_allclose(found_TC, expected_TC, rtol=1e-4, atol=1e-4)
    # With labels one by one, against an image that has not each of them.
    absent = replace(SETTINGS, absent=(("no apple",), ("no pear",), ("no plum",)))
    missing_DC = np.stack(
        [vector([f"a medical image of no {name}.", f"no {name}"]) for name in ("apple", "pear", "plum")]
    )
    expected_TC -= tower.scale * images_TD @ missing_DC.T
    np.testing.assert_allclose(scores(tower, absent, pooled_TE, of="it"), expected_TC, rtol=1e-4, atol=1e-4)


def test_an_ensemble_of_one_prompt_is_that_prompt(places: Places) -> None:
    tower = text_towers.text_tower(CLIP, places)
    one = ZeroShotSettings(templates=("a {}.",), phrases=(("apple",), ("pear",)))
    expected_CD = tower.texts(["a apple.", "a pear."], of="it")
    torch.testing.assert_close(class_vectors(tower, described(one), of="it"), expected_CD)
    twice = replace(one, templates=("a {}.", "a {}."))
    torch.testing.assert_close(class_vectors(tower, described(twice), of="it"), expected_CD)


@pytest.mark.parametrize("backbone", ["clip", "blip", "blip.random"])
def test_a_cell_goes_the_whole_way_and_passes_no_picture_twice(backbone: str, places: Places) -> None:
    registry = catalogue(places)
    before = transfer(Cell(backbone, "stripes", "knn"), registry=registry, places=places)
    result = transfer(Cell(backbone, "stripes", "zeroshot"), registry=registry, places=places)
    assert result.scores_SNC.shape == (1, 48, 2)
    assert np.isfinite(result.scores_SNC).all()
    assert (result.seeded, result.seeds) == (False, (0,))
    assert dict(result.chosen[0]) == {"phrases": "the dataset's", "prompts": 6}
    assert result.question.settings["phrases"] == [["apple"], ["pear", "old pear tree"]]
    entries = list((places.store / "features").glob("*/*/cost.json"))
    assert result.cost.forward_passes == before.cost.forward_passes
    again = transfer(Cell(backbone, "stripes", "zeroshot"), registry=registry, places=places)
    assert again.origin == "store"
    assert list((places.store / "features").glob("*/*/cost.json")) == entries


def test_the_names_of_classes_are_taken_where_there_are_no_prompts_and_the_result_says_so(places: Places) -> None:
    registry = catalogue(places, replace(DATASET, prompts=None))
    result = transfer(Cell("clip", "stripes", "zeroshot"), registry=registry, places=places)
    assert dict(result.chosen[0]) == {"phrases": "names of the classes", "prompts": 2}
    assert result.question.settings["phrases"] == [["no tumour"], ["tumour"]]


def test_a_prompt_that_is_changed_is_another_question(places: Places) -> None:
    cell = Cell("clip", "stripes", "zeroshot")
    with_words, without = (
        asked(cell, catalogue(places, dataset), places) for dataset in (DATASET, replace(DATASET, prompts=None))
    )
    assert with_words.question.fingerprint != without.question.fingerprint
    assert with_words.key != without.key


def test_blips_vocabulary_is_part_of_the_subject(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_places, "VOCABULARY", replace(VOCABULARY, sha256=""))  # two of them, for once
    cell, registry = Cell("blip", "stripes", "zeroshot"), catalogue(places)
    first = asked(cell, registry, places)
    other = replace(places, weights=tmp_path)
    write_blip(BLIP, tmp_path)
    write_vocabulary(tmp_path).write_text("[PAD]\n", encoding="utf-8")
    second = asked(cell, registry, other)
    assert first.subject["vocabulary"] != second.subject["vocabulary"]
    assert first.key != second.key
    assert "vocabulary" not in asked(Cell("clip", "stripes", "zeroshot"), registry, places).subject
    assert "vocabulary" not in asked(Cell("blip", "stripes", "knn"), registry, places).subject


def test_words_meet_images_as_the_publisher_trained_on_them(places: Places) -> None:
    """A stem of one channel and a dataset's own normalisation are for regimes that learn."""
    grey = replace(DATASET, channels=1, mean=(0.3,), std=(0.2,))
    registry = catalogue(places, grey)
    zeroshot, knn = (asked(Cell("clip", "stripes", regime), registry, places) for regime in ("zeroshot", "knn"))
    assert (zeroshot.spec.channels, zeroshot.spec.mean, zeroshot.spec.std) == (3, CLIP.mean, CLIP.std)
    assert (knn.spec.channels, knn.spec.mean) == (1, (0.3, 0.3, 0.3))
    cell, repeated = Cell("clip", "stripes", "zeroshot"), catalogue(places)
    first, second = (transfer(cell, registry=each, places=places) for each in (repeated, registry))
    np.testing.assert_array_equal(first.scores_SNC, second.scores_SNC)


def features_of(name: str, side: str, registry: Registry, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features and labels of a side of a dataset."""
    dataset = open_under(registry.profile("ci"), registry.dataset(name), places)
    pooled_NE = load_features(dataset, registry.backbone("clip"), "float32", places).pooled_ND
    rows = dataset.table.side(side)
    return pooled_NE[rows], dataset.table.labels_N[rows]


def planted(places: Places, folder: Path) -> Path:
    """OpenCLIP's file, its text projection such that each class's prompts lie where its training images do."""
    pooled_NE, labels_N = features_of("stripes", TRAIN, catalogue(places), places)
    images_ND = pooled_NE / np.linalg.norm(pooled_NE, axis=1, keepdims=True)
    means_CD = np.stack([images_ND[labels_N == label].mean(axis=0) for label in (0, 1)])
    model = clip.build_model(CLIP, weights_file(CLIP, places))
    texts = [fill(WORDS.templates, phrases) for phrases in WORDS.phrases.values()]
    flat = [text for prompts in texts for text in prompts]
    with torch.no_grad():
        projection, model.text_projection.data = model.text_projection.data, torch.eye(32)
        texts_ME = model.encode_text(open_clip.get_tokenizer("ViT-B-16")(flat)).numpy()
    away_CD = means_CD - means_CD.mean(axis=0)
    wanted_MD = np.concatenate([np.tile(away_CD[at], (len(prompts), 1)) for at, prompts in enumerate(texts)])
    model.text_projection.data = torch.from_numpy(np.linalg.pinv(texts_ME) @ wanted_MD).to(projection.dtype)
    torch.save(model.state_dict(), folder / "planted.bin")
    return folder / "planted.bin"


def test_a_tower_that_knows_the_classes_is_right_and_shuffled_words_are_at_chance(
    places: Places, tmp_path: Path
) -> None:
    registry = catalogue(places, path=planted(places, tmp_path))
    knowing = transfer(Cell("clip", "stripes", "zeroshot"), registry=registry, places=places)
    assert knowing.mean > 0.9
    shuffled = transfer(Cell("clip", "stripes.shuffled", "zeroshot"), registry=registry, places=places)
    assert len(shuffled.by_seed) == 20
    assert set(np.round(shuffled.by_seed, 6)) == {round(knowing.mean, 6), round(1 - knowing.mean, 6)}
    assert 0.2 < shuffled.mean < 0.8
    learnt = transfer(Cell("clip", "stripes", "linear_probe"), registry=registry, places=places)
    np.testing.assert_array_equal(knowing.ids_N, learnt.ids_N)


def test_neither_training_nor_validation_side_is_used(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = catalogue(places)
    first = transfer(Cell("clip", "stripes", "zeroshot"), registry=registry, places=places)
    import pytest_fmtransfer.adapt.pooled as pooled

    def only_tested(dataset, *more):
        found = load_features(dataset, *more)
        blank_ND = np.full_like(found.pooled_ND, np.nan)
        test = dataset.table.side(TEST)
        blank_ND[test] = found.pooled_ND[test]
        return replace(found, pooled_ND=blank_ND)

    monkeypatch.setattr(pooled, "load_features", only_tested)
    second = transfer(Cell("clip", "stripes", "zeroshot"), seeds=(3,), registry=registry, places=places)
    np.testing.assert_array_equal(first.scores_SNC, second.scores_SNC)


def test_labels_are_scored_one_by_one_against_their_absence(places: Places, tmp_path: Path) -> None:
    assert places.data_root is not None
    rows = [
        f"stripes/{name}/{number:02}.jpg,{int(name == 'yes')},{number % 2},{side}"
        for number in range(EACH)
        for name in ("no", "yes")
        for side in ["train" if number < 12 else "val" if number < 20 else "test"]
    ]
    (tmp_path / "table.csv").write_text("\n".join(["image,across,odd,side", *rows]), encoding="utf-8")
    registry = catalogue(places)
    table = own_table(
        "mine", tmp_path / "table.csv", root=places.data_root, labels=("across", "odd"), split="side", channels="repeat"
    )
    registry.register(table)
    result = transfer(Cell("clip", "mine", "zeroshot"), registry=registry, places=places)
    tower, pooled_TE = text_towers.text_tower(CLIP, places), features_of("mine", TEST, registry, places)[0]
    order_T = named_test_side(open_dataset(registry.dataset("mine"), places)).order_T
    images_TD = functional.normalize(torch.from_numpy(pooled_TE[order_T]), dim=1)

    def cosine(name: str) -> np.ndarray:
        return (images_TD @ tower.texts([f"a medical image of {name}."], of="it")[0]).numpy()

    for label, name in enumerate(("across", "odd")):
        expected_T = tower.scale * (cosine(name) - cosine(f"no {name}"))
        np.testing.assert_allclose(result.scores_SNC[0, :, label], expected_T, rtol=1e-4, atol=1e-4)
    assert dict(result.chosen[0]) == {"phrases": "names of the classes", "prompts": 4}


@pytest.mark.parametrize("backbone", ["dinov2_vitb14.random", "efficientnet_lite0"])
def test_a_backbone_without_a_text_tower_is_told_before_anything_is_computed(backbone: str, places: Places) -> None:
    found = ready(Cell(backbone, "stripes", "zeroshot"), catalogue(places), places)
    assert isinstance(found, Missing)
    assert found.reason == f"zeroshot needs a text tower, and {backbone} has none"
    assert found.remedy == "name an OpenCLIP or a BLIP backbone, such as openclip_vitb16 or blip_vitb16"


def test_the_shortcut_probe_reads_no_text_and_says_what_to_leave_out(places: Places) -> None:
    found = ready(Cell("shortcut.metadata", "stripes", "zeroshot"), catalogue(places), places)
    assert isinstance(found, Missing)
    assert found.remedy == "run zeroshot without --fm-controls, whose shortcut probe reads no text"


def test_a_folder_of_transformers_has_no_text_tower(places: Places, tmp_path: Path) -> None:
    registry = catalogue(places)
    registry.register(replace(BLIP, name="mine", architecture=f"hf:{tmp_path}", weights=FileWeights(path=tmp_path)))
    assert "mine has none" in str(ready(Cell("mine", "stripes", "zeroshot"), registry, places))


def test_a_text_tower_that_reads_by_a_hubs_vocabulary_is_told(places: Places) -> None:
    registry, clip_row = catalogue(places), catalogue(places).backbone("clip")
    registry.register(replace(clip_row, name="roberta", architecture="roberta-ViT-B-32"))
    told = str(ready(Cell("roberta", "stripes", "zeroshot"), registry, places))
    assert "the text tower of roberta reads by roberta-base, which open_clip would fetch" in told
    assert ready(Cell("roberta", "stripes", "knn"), registry, places) == Ready()


def test_a_vocabulary_that_is_not_here_is_told_with_every_way_to_it(places: Places, tmp_path: Path) -> None:
    registry, bare = catalogue(places), replace(places, weights=tmp_path, store=tmp_path / "store")
    write_blip(BLIP, tmp_path)
    cell = Cell("blip", "stripes", "zeroshot")
    told = str(ready(cell, registry, bare))
    assert told.startswith("no vocabulary of the text tower of blip: put google-bert/bert-base-uncased/vocab.txt into ")
    assert "from https://huggingface.co/google-bert/bert-base-uncased" in told
    assert "or add --fm-download (licence Apache-2.0)" in told
    with pytest.raises(Unavailable, match="no vocabulary of the text tower of blip"):
        transfer(cell, registry=registry, places=bare)
    with pytest.raises(Unavailable, match="no vocabulary of the text tower of blip"):
        vocabulary_file(BLIP, replace(bare, weights=None))
    assert ready(cell, registry, replace(bare, download=True)) == Ready()
    assert ready(Cell("blip", "stripes", "knn"), registry, bare) == Ready()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "place",
    [
        "weights/vocab.txt",
        "weights/bert-base-uncased/vocab.txt",
        "weights/google-bert/bert-base-uncased/vocab.txt",
        "weights/blip/vocab.txt",
        "store/downloads/google-bert/bert-base-uncased/vocab.txt",
        "hub/models--google-bert--bert-base-uncased/snapshots/1234/vocab.txt",
        "hub/models--bert-base-uncased/snapshots/1234/vocab.txt",
    ],
)
def test_the_vocabulary_is_found_wherever_it_may_lie(
    place: str, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub_cache(monkeypatch, tmp_path / "hub")
    for repository in (VOCABULARY.hub, VOCABULARY.hub.rpartition("/")[2]):
        cached(tmp_path / "hub", repository, VOCABULARY.file, commit="1234")
    here = Places(store=tmp_path / "store", weights=tmp_path / "weights", data_root=places.data_root)
    write_blip(BLIP, tmp_path / "weights")
    file = write_vocabulary((tmp_path / place).parent)
    for backbone in ("blip", "blip.random"):
        assert ready(Cell(backbone, "stripes", "zeroshot"), catalogue(places), here) == Ready()
        assert vocabulary_file(replace(BLIP, name=backbone), here) == file


def test_another_vocabulary_than_the_published_one_is_no_vocabulary_of_published_weights(
    places: Places, tmp_path: Path
) -> None:
    here = replace(places, weights=tmp_path, store=tmp_path / "store")
    write_blip(BLIP, tmp_path)
    write_vocabulary(tmp_path, ("[PAD]", "[UNK]", "apple"))
    with pytest.raises(CheckpointMismatch, match=r"vocabulary of the text tower of .*vocab\.txt is not the file"):
        vocabulary_file(BLIP, here)


def test_the_vocabulary_is_found_beside_weights_of_ones_own(places: Places, tmp_path: Path) -> None:
    mine = replace(BLIP, weights=FileWeights(path=write_blip(BLIP, tmp_path / "mine")))
    file = write_vocabulary(tmp_path / "mine")
    assert vocabulary_file(mine, Places(store=tmp_path / "store")) == file
