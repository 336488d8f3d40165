"""What the library's image processors do where a folder's file does not say."""

from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor

from pytest_fmtransfer.backbones.transformers_folder import quiet


def usual(folder: Path) -> dict[str, Any]:
    """Every setting of the folder's image processor that is a plain value, the folder's own among them.

    Empty where the library knows none for it; no code of the folder's is run.
    """
    try:
        with quiet():
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # of any kind: what the library raises for a folder that it cannot read depends on the folder
        return {}
    return {name: value for name, value in processor.to_dict().items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float | bool | list | tuple)
