"""Which distributions have code that runs while a cell is computed: `python -m tests.called_libraries FOLDER CELL…`.

The cell is run twice, with stores of their own. The first run imports all that there is to import; what is called in
the second is what computes. Prints, for each cell, what its result declares and what was called, as JSON.
"""

import json
import sys
import threading
from dataclasses import replace
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import FrameType

from pytest_fmtransfer import Cell, Places, text_places, transfer
from pytest_fmtransfer.catalog.regime_specs import Profile
from tests.small import catalogue, write_images, write_weights
from tests.text_sides import write_vocabulary

LEAST = Profile(name="least", forward_dtype="float32", epochs=1, head_epochs=1, batch=16, size=32, seeds=1)


def main(root: Path, cells: list[str]) -> None:
    write_images(root / "data")
    write_weights(root / "weights")
    write_vocabulary(root / "weights")
    text_places.VOCABULARY = replace(text_places.VOCABULARY, sha256="")  # a few words stand for the published one
    registry = catalogue()
    registry.register(LEAST)
    told: dict[str, dict[str, list[str]]] = {}
    for number, cell in enumerate(cells):

        def computed(run: str, cell: str = cell, number: int = number) -> list[str]:
            places = Places(store=root / f"{run} {number}", weights=root / "weights", data_root=root / "data")
            result = transfer(Cell.parse(cell), profile="least", registry=registry, places=places)
            assert result.origin == "computed"
            return sorted(result.subject["versions"])

        computed("import")
        called: set[str] = set()
        seen: dict[int, object] = {}  # what was heard before, so that it costs one look

        def heard(
            frame: FrameType,
            event: str,
            argument: object,
            called: set[str] = called,
            seen: dict[int, object] = seen,
        ) -> None:
            if event == "call" and id(frame.f_code) not in seen:
                seen[id(frame.f_code)] = frame.f_code  # held, so that its id stays its own
                called.add(str(frame.f_globals.get("__name__")).partition(".")[0])
            elif event == "c_call":
                owner = type(getattr(argument, "__self__", None))  # of a method that is compiled
                module = getattr(argument, "__module__", None)
                if (key := hash((owner, module))) not in seen:
                    seen[key] = owner
                    called.update(str(each).partition(".")[0] for each in (module, getattr(owner, "__module__", None)))

        threading.setprofile(heard)
        sys.setprofile(heard)
        try:
            declared = computed("trace")
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # pyright: ignore[reportArgumentType]
        told[cell] = {
            "declared": declared,
            "called": sorted({each for name in called for each in _distributions(name)}),
        }
    print(json.dumps(told))


@cache
def _distributions(package: str) -> tuple[str, ...]:
    return tuple(name.lower() for name in packages_distributions().get(package, ()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
