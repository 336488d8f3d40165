"""What a profile spends, in words: for help texts and lists."""

from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.words import counted

ALL = "all"


def images(profile: Profile) -> str:
    """Of the training, validation and test side: '256 + 128 + 256', or 'all'."""
    caps = profile.caps
    return ALL if caps is None else f"{caps.train:,} + {caps.validation:,} + {caps.test:,}"


def epochs(profile: Profile) -> str:
    """Of a network, of one with random weights and of a head on stored features, where they differ.

    '8, scratch 40, heads 60'; the regime's own where nothing limits them.
    """
    networks, heads = (str(most) if most else "the regime's" for most in (profile.epochs, profile.head_epochs))
    scratch = f", scratch {profile.scratch_epochs}" if profile.scratch_epochs else ""
    return networks + scratch + (f", heads {heads}" if networks != heads else "")


def size(profile: Profile) -> str:
    """The longest side of the square input: '112 px', or 'the backbone's'."""
    return f"{profile.size} px" if profile.size else "the backbone's"


def dtype(profile: Profile) -> str:
    """Of forward passes, and of training where that is another."""
    forward, training = profile.forward_dtype, profile.training_dtype
    return forward if forward == training else f"{forward}, training {training}"


def _epochs_in_words(profile: Profile) -> str:
    if "," in (spent := epochs(profile)):
        return f"epochs {spent}"
    return counted(profile.epochs, "epoch") if profile.epochs else f"{spent} epochs"


def in_words(profile: Profile) -> str:
    """'smoke (up to 256 + 128 + 256 images, epochs 8, scratch 40, heads 60, 3 seeds, up to 112 px, …)'."""
    parts = [
        f"up to {images(profile)} images" if profile.caps else "every image",
        _epochs_in_words(profile),
        counted(profile.seeds, "seed"),
        *([f"up to {size(profile)}"] if profile.size else []),
        dtype(profile),
    ]
    return f"{profile.name} ({', '.join(parts)})"
