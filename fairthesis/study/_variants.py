"""Lists of variants that an experiment's plan is short for: every method, every setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def grid(
    weights: Mapping[str, list[float]],
    averaging: list[str],
    changes: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The variants that a ``grid`` stands for: every method there is, and more than one weight.

    Each of ``METHODS`` with its own settings, and once more for every other value that
    ``weights`` lists under the option that is its strength; plain training with its weights
    averaged; each of ``POSTHOC`` on plain training. ``changes`` is what a method needs changed in
    the base.

    >>> variants = grid({"adversary_weight": [3.0]}, ["ema"], {})
    >>> variants["adversarial_3"]
    {'method': 'adversarial', 'method_options': {'adversary_weight': 3.0}}
    >>> variants["leace"]
    {'posthoc': 'leace', 'of': 'erm'}
    """
    from fairthesis.methods import METHODS
    from fairthesis.postprocessing import POSTHOC

    found: dict[str, dict[str, Any]] = {}
    for name, kind in METHODS.items():
        found[name] = {"method": name, **changes.get(name, {})}
        own = getattr(kind.Options(), kind.strength) if kind.strength else None
        for value in (v for v in weights.get(kind.strength or "", []) if v != own):
            options = {kind.strength: value}
            found[f"{name}_{value:g}"] = {**found[name], "method_options": options}
    found |= {f"erm_{name}": {"method": "erm", "averaging": name} for name in averaging}
    return found | {name: {"posthoc": name, "of": "erm"} for name in POSTHOC}


def crossed(
    variants: Mapping[str, Mapping[str, Any]],
    settings: list[str] | Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Every variant in every setting of a data set, as ``erm`` and ``erm_one_group``.

    In the first setting variants keep their names.

    Args:
        variants: what each changes in the base; one of its ``dataset_options`` are added to
            those of the base and of the setting.
        settings: settings of the data set, or a name for each with its ``dataset_options``.
        options: the base's ``dataset_options``.

    >>> found = crossed({"erm": {"method": "erm"}}, ["reversed", "one-group"], {"of": "ham10000"})
    >>> list(found), found["erm_one_group"]["dataset_options"]
    (['erm', 'erm_one_group'], {'of': 'ham10000', 'setting': 'one-group'})
    """
    found: dict[str, dict[str, Any]] = {}
    if not isinstance(settings, Mapping):
        settings = {setting: {"setting": setting} for setting in settings}
    for number, (setting, changed) in enumerate(settings.items()):
        behind = "_" + setting.replace("-", "_") if number else ""
        for name, changes in variants.items():
            if "posthoc" in changes:
                found[name + behind] = {**changes, "of": f"{changes['of']}{behind}"}
                continue
            own = {**options, **changed, **changes.get("dataset_options", {})}
            found[name + behind] = {**changes, "dataset_options": own}
    return found
