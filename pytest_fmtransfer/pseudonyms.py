"""What images and patients are called in a result, in place of their own ids, which stay with the data.

An id can be a patient's number or the name of a file, and a result is committed, exported and kept by a CI. A plain
hash would hide little: numbers are few, and are soon all tried. So an image's pseudonym is a hash that is keyed by the
image's content, which is not in the result. Who has the images can find them again; nobody else learns an id. A patient
is called after the first of their images, so that nothing of a patient's id is in a result at all.

Legend: N images.
"""

import hashlib
import re

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.catalog.specs import SHUFFLED
from pytest_fmtransfer.errors import InvalidInput

DIGITS = 32  # hexadecimal, of a pseudonym
SHOWN = 12  # of these, where people read it: enough to tell a billion images apart
_FORM = re.compile(f"[0-9a-f]{{{DIGITS}}}")


def images_called(dataset: str, ids_N: NDArray[np.str_], digests_N: NDArray[np.str_]) -> NDArray[np.str_]:
    """The pseudonyms of a dataset's images, of which `digests_N` are over the contents.

    The control on shuffled labels has the names of its dataset. Images of equal content have different ones, because
    their ids differ.
    """
    about = dataset.removesuffix(f".{SHUFFLED}")
    pairs = zip(ids_N.tolist(), digests_N.tolist(), strict=True)
    found = [
        hashlib.blake2b(f"{about}/{name}".encode(), key=content.encode(), digest_size=DIGITS // 2).hexdigest()
        for name, content in pairs
    ]
    return np.array(found, dtype=f"<U{DIGITS}")


def patients_called(images_N: NDArray[np.str_], patients_N: NDArray[np.str_]) -> NDArray[np.str_]:
    """The pseudonyms of patients: of each, the first in order of the pseudonyms of their images."""
    order_N = np.argsort(images_N)
    _, first_P, patient_of_N = np.unique(patients_N[order_N], return_index=True, return_inverse=True)
    called_N = np.empty_like(images_N)
    called_N[order_N] = images_N[order_N][first_P][patient_of_N]
    return called_N


def check_pseudonyms(images_N: NDArray[np.str_], patients_N: NDArray[np.str_]) -> None:
    """Raises InvalidInput for anything but pseudonyms, in their order, and patients that are called after an image of
    theirs.
    """
    if not all(_FORM.fullmatch(name) for name in images_N.tolist()):
        raise InvalidInput(f"an image is not called by the {DIGITS} hexadecimal digits of a pseudonym")
    if (images_N[:-1] >= images_N[1:]).any():
        raise InvalidInput("the images are not in the order of their pseudonyms, each once")
    if not np.array_equal(patients_N, patients_called(images_N, patients_N)):
        raise InvalidInput("a patient is not called after the first of their images")
