"""What exists: declarations of backbones, datasets and regimes, importable without torch."""
