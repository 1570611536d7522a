"""What `make reproduce` is to rebuild: which experiments, in which profiles, from which data."""

from __future__ import annotations

import sys
from pathlib import Path

from fairthesis.errors import InputError, unknown
from fairthesis.study import experiments

PROFILES = {"quick": ["quick", "quick-grid"], "full": ["full", "grid", "tuning", "tuned"]}


def dataset_of(name: str) -> str:
    """The data set of an experiment; of a marker planted in another's images, that other one."""
    base = next(iter(experiments()[name].values()))["base"]
    dataset, options = base.get("dataset", name), base.get("dataset_options", {})
    while "of" in options:
        dataset, options = options["of"], options.get("inner", {})
    return dataset


def data_folder(name: str, data_root: str) -> Path | None:
    """The folder under `data_root` that is named after the experiment's data set; None if none."""
    dataset = dataset_of(name)
    if dataset.startswith("synthetic"):
        return None
    found = sorted(Path(data_root).expanduser().glob(f"{dataset}*/"))
    return found[0] if found else None


def chosen(profile: str, only: str, data_root: str) -> list[tuple[str, str]]:
    """Experiments and their profiles.

    Of all experiments those are left out whose data are not at hand, and in `quick` those on a
    second attribute; a line says so. What `only` names is never left out: it is refused.
    """
    if profile not in PROFILES:
        raise unknown("profile to reproduce", profile, PROFILES)
    listed, asked = experiments(), only.replace(",", " ").split()
    if only.strip() and not asked:
        raise InputError(f"ONLY is {only!r}: expected names of experiments, {', '.join(listed)}.")
    found = []
    for name in dict.fromkeys(asked or listed):
        if name not in listed:
            raise unknown("experiment to reproduce", name, listed)
        own = [one for one in PROFILES[profile] if one in listed[name]]
        if not own and asked:
            others = [n for n in listed if any(one in listed[n] for one in PROFILES[profile])]
            raise InputError(
                f"{name} has nothing to rebuild in PROFILE={profile}: it has "
                f"{', '.join(listed[name])}. Experiments that have: {', '.join(others) or 'none'}."
            )
        if not asked and profile == "quick" and name != dataset_of(name):
            continue
        dataset = dataset_of(name)
        if not dataset.startswith("synthetic") and data_folder(name, data_root) is None:
            why = f"there is no folder {data_root}/{dataset}*"
            if asked:
                raise InputError(
                    f"{name} cannot be rebuilt, since {why}: give DATA_ROOT, the folder that holds "
                    f"one for each data set. `fairthesis datasets describe {dataset}` says how."
                )
            print(f"left out: {name}, since {why}", file=sys.stderr)
            continue
        found += [(name, one) for one in own]
    if not found:
        raise InputError(
            f"Nothing is left to rebuild in PROFILE={profile}: expected data under {data_root!r}, "
            f"or one of the experiments {', '.join(listed)}."
        )
    return found
