"""What the classes of a dataset are called in words, for the regime that compares images with text.

A prompt is a template of the imaging modality with a phrase of a class in its place. The wording for our own datasets
is in `prompt_texts`; a dataset without any is described by the names of its classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_fmtransfer.errors import InvalidInput, nearest

PLACE = "{}"
GENERIC = (f"a medical image of {PLACE}.",)


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Templates, each with one `{}`, and one phrase or several for each class, by the class's name.

    Where an image may bear several labels, `absent` has the phrases of an image that does not bear each of them.
    `source` says where the wording is from.
    """

    templates: tuple[str, ...]
    phrases: Mapping[str, tuple[str, ...]]
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    source: str = "the user's own"


def by_class_names(classes: Sequence[str], *, several: bool) -> Prompts:
    """Of a dataset that has none of its own; `several`: an image may bear several labels."""
    return Prompts(
        templates=GENERIC,
        phrases={name: (name,) for name in classes},
        absent={name: (f"no {name}",) for name in classes} if several else {},
        source="the names of the classes",
    )


def fill(templates: Sequence[str], phrases: Sequence[str]) -> tuple[str, ...]:
    """Every template with every phrase."""
    return tuple(template.replace(PLACE, phrase) for template in templates for phrase in phrases)


def check_templates(templates: Sequence[str], of: str) -> None:
    """Raises InvalidInput where there is none, and for one that has not one place for a phrase."""
    if not templates:
        raise InvalidInput(f"{of} have no template; give one, as in templates=('a photograph of {PLACE}.',)")
    for template in templates:
        if template.count(PLACE) != 1:
            raise InvalidInput(f"template {template!r} of the {of} needs {PLACE} once, where a class's phrase stands")


def check_prompts(prompts: Prompts, dataset: str, classes: Sequence[str], *, several: bool) -> None:
    """Raises InvalidInput for a template without its place, and for a class or label that is not described.

    `classes` are none where the data of a user are not here: then nobody knows what must be described.
    """
    of = f"prompts of {dataset}"
    check_templates(prompts.templates, of)
    if prompts.absent and not several:
        raise InvalidInput(f"{of} say what is absent, and each of its images has one class; leave `absent` out")
    asked = {"phrases": prompts.phrases} | ({"absent": prompts.absent} if several else {})
    for part, phrases in asked.items() if classes else ():
        for name in classes:
            if not phrases.get(name) or not all(phrase.strip() for phrase in phrases[name]):
                raise InvalidInput(
                    f"{of} have no phrase for {name!r} in `{part}`; write {part}={{{name!r}: ('…',), …}}"
                )
        for name in phrases:
            if name not in classes:
                raise InvalidInput(f"`{part}` of the {of} has {name!r}, which is no class; {nearest(name, classes)}")
