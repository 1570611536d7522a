"""What an experiment runs: the variants and seeds that ``experiments.yml`` lists."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fairthesis.datasets import DATASETS, Seed
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import Range, parameter_kinds, parse_document, typed_option
from fairthesis.study._variants import crossed, grid

PROBES = ("n_boot", "n_shuffles")
_Count = Annotated[int, Range(least=1)]


@dataclass(frozen=True)
class Plan:
    """What an experiment runs: ``config(variant, seed)`` for each of ``runs``.

    Attributes:
        dataset: the experiment's name, which is the data set's unless ``base`` names another.
        profile: the profile's name, ``quick`` or ``full`` for instance.
        base: parameters of ``TrainConfig`` that all variants share.
        variants: what each variant changes in ``base``, or ``{posthoc: NAME, of: VARIANT}``: one of
            ``postprocessing.POSTHOC`` on the finished run of another variant with the same seed.
        seeds: each draws its own cohort or split.
        threshold: how the operating point is chosen on the validation part, as of ``audit``.
        n_boot: resamples of an audit.
        n_permutations: permutations of an audit.
        probes: ``n_boot`` and ``n_shuffles`` with which every run's disease embedding is probed;
            None leaves it out.
        twins: test images of each group whose twins are drawn, where the cohort has some: the first
            ones; 0 leaves it out.
        groups: of runs that are folds: attribute -> the groups that are compared, whatever their
            size; ``pooled_contrasts`` reads this and the next two in the archive.
        primary: the hypotheses: variant, the variant it is compared with, attribute (``all`` for a
            number of all images) and number.
        margin: what a difference has to exceed to matter.
        disentanglement: with how many refits for the floors disease and attribute are recovered
            from both embeddings of every probed run; 0 leaves it out.
        settings: names of the settings in which every variant stands, where there are several.

    Raises:
        InputError: for a value of another type, and an unknown key of ``probes`` or of a post-hoc
            variant.

    >>> variants = {"erm": {"method": "erm"}, "leace": {"posthoc": "leace", "of": "erm"}}
    >>> tiny = Plan("mine", "quick", {"dataset": "synthetic-cxr"}, variants, seeds=(0, 1))
    >>> tiny.runs
    [('erm', 0), ('leace', 0), ('erm', 1), ('leace', 1)]
    >>> tiny.parent("leace"), tiny.parent("erm")
    ('erm', None)
    """

    dataset: str
    profile: str
    base: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[Seed, ...]
    threshold: str = "youden"
    n_boot: _Count = 2000
    n_permutations: Annotated[int, Range(least=0)] = 2000
    probes: Mapping[str, Annotated[int, Range(least=0)]] | None = None
    twins: Annotated[int, Range(least=0)] = 500
    groups: Mapping[str, list[str]] | None = None
    primary: tuple[tuple[str, str, str, str], ...] = ()
    margin: Annotated[float | None, Range(above=0, below=1)] = None
    disentanglement: Annotated[int, Range(least=0)] = 0
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in typed_option(
            parameter_kinds(Plan), own, "part of a plan", text=False
        ).items():
            object.__setattr__(self, name, value)
        for name in self.probes or {}:
            if name not in PROBES:
                raise unknown("key of probes", name, PROBES)
        for name, changes in self.variants.items():
            if "posthoc" in changes:
                for key in (key for key in changes if key not in ("posthoc", "of")):
                    raise unknown(f"key of the post-hoc variant {name}", key, ("posthoc", "of"))
        for one, other, *_ in self.primary:
            for name in (name for name in (one, other) if name not in self.variants):
                raise unknown("variant of a primary hypothesis", name, self.variants)

    def check(self) -> None:
        """Check the configuration of every run, before the first one starts."""
        from fairthesis.postprocessing import POSTHOC

        for variant, changes in self.variants.items():
            if "posthoc" in changes and changes["posthoc"] not in POSTHOC:
                raise unknown("post-hoc method", changes["posthoc"], POSTHOC)
            self.config(variant, self.seeds[0])

    @property
    def audit_settings(self) -> dict[str, Any]:
        """How every run is audited."""
        return {
            "threshold": self.threshold,
            "n_boot": self.n_boot,
            "n_permutations": self.n_permutations,
        }

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All pairs of a variant and a seed."""
        return [(variant, seed) for seed in self.seeds for variant in self.variants]

    def config(self, variant: str, seed: int) -> Any:
        """The ``TrainConfig`` of one run; that of its parent for a post-hoc variant."""
        from fairthesis.training import TrainConfig

        trained = self.parent(variant) or variant
        known = parameter_kinds(TrainConfig)
        for name in (name for name in {**self.base, **self.variants[trained]} if name not in known):
            raise unknown(f"parameter of the variant {trained}", name, known)
        return TrainConfig(**{**self.base, **self.variants[trained], "seed": seed})

    def parent(self, variant: str) -> str | None:
        """The variant whose runs a post-hoc variant starts from; None for a trained one."""
        if variant not in self.variants:
            raise unknown("variant", variant, self.variants)
        changes = self.variants[variant]
        if "posthoc" not in changes:
            return None
        of = changes.get("of")
        trained = [name for name, other in self.variants.items() if "posthoc" not in other]
        if of not in trained:
            raise unknown(f"trained variant, which {variant} is to be of,", of, trained)
        return str(of)

    def folder(self, out: Path, variant: str, seed: int) -> Path:
        """Where the run directory of one run lies."""
        return out / "runs" / f"{variant}-{seed}"


# What is run on a data set that has no experiment of its own: the chapters' methods, each with its
# defaults, on the data set's first target and attribute. A cohort of one's own images is described
# in a file beside its table.
_OWN_BASE = {"backbone": "small", "size": 64, "batch_size": 64, "threads": 1}
_OWN_VARIANTS = {name: {"method": name} for name in ("erm", "reweighted", "hsic", "adversarial")}
OWN: dict[str, dict[str, Any]] = {
    "quick": {"seeds": 1, "base": _OWN_BASE | {"epochs": 12}, "variants": _OWN_VARIANTS},
    "full": {
        "seeds": 5,
        "probes": {"n_boot": 200, "n_shuffles": 20},
        "base": _OWN_BASE | {"epochs": 40},
        "variants": _OWN_VARIANTS,
    },
}
OWN_FILE = "cohort.yml"


@dataclass(frozen=True)
class _Entry:
    """What a profile of ``experiments.yml`` may say; the comments there tell of each."""

    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    seeds: _Count = 1
    repeats: _Count | None = None
    first_seed: Seed = 0
    groups: dict[str, list[str]] | None = None
    primary: tuple[tuple[str, str, str, str], ...] = ()
    margin: float | None = None
    probes: dict[str, Annotated[int, Range(least=0)]] | None = None
    twins: Annotated[int, Range(least=0)] = 500
    disentanglement: Annotated[int, Range(least=0)] = 0
    only: list[str] | None = None
    grid: dict[str, Any] | None = None
    settings: list[str] | dict[str, dict[str, Any]] | None = None


def experiments() -> dict[str, dict[str, Any]]:
    """The content of ``experiments.yml``: experiment, then profile, then what is run.

    >>> sorted(experiments()["synthetic-derm"])[:2], experiments()["synthetic-cxr"]["full"]["seeds"]
    (['full', 'grid'], 5)
    """
    return copy.deepcopy(_listed())  # the caller's own


@cache
def _listed() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "experiments.yml").read_text(encoding="utf-8")
    return parse_document(text, "experiments.yml", typed=True)


def _own(dataset: str, root: Path) -> dict[str, Any]:
    if dataset != "csv":
        return OWN
    if not (root / OWN_FILE).is_file():
        raise InputError(
            f"Expected {OWN_FILE} in {root}/: it says which columns of the table are what, as "
            "`table: images.csv`, `image: file`, `patient: patient_id`, `targets: cancer` and "
            "`attributes: sex`, a line each (`fairthesis datasets describe csv` has all options)."
        )
    named = {"dataset_options": {"config": OWN_FILE}}
    return {name: entry | {"base": entry["base"] | named} for name, entry in OWN.items()}


def _grid(entry: Mapping[str, Any] | None, dataset: str) -> dict[str, dict[str, Any]]:
    if entry is None:
        return {}
    known = parameter_kinds(grid)
    given = typed_option(known, entry, f"key of the grid of {dataset}", text=False)
    for key in (key for key in known if key not in given):
        raise InputError(f"Expected {key} in the grid of {dataset} in experiments.yml.")
    return grid(**given)


def _folds(base: Mapping[str, Any], first: int) -> int:
    """How many seeds a repeat of a plan of folds has; the first one has to begin a repeat."""
    options = base.get("dataset_options", {})
    if base["dataset"] != "folds" or "k" not in options or "fold" in options:
        raise InputError(
            "repeats is for runs that are folds: expected the data set folds with the option k and "
            "without fold."
        )
    k = int(options["k"])
    if first % k:
        raise InputError(
            f"The first seed is {first}: expected a multiple of k = {k}, with which a repeat of "
            f"the folds begins, {first - first % k} for instance."
        )
    return k


def plan(
    dataset: str,
    profile: str = "quick",
    data_root: str | Path | None = None,
    seed: int | None = None,
) -> Plan:
    """The plan of a listed experiment, or of a data set of one's own.

    Args:
        dataset: an experiment of ``experiments.yml``; or, with ``data_root``, any data set that can
            be loaded, on which the chapters' methods are run with their defaults. Of ``csv`` (your
            own images) the columns are read from ``cohort.yml`` in the folder, which has the
            options of the data set by name.
        profile: one of its profiles; quick or full where it has no experiment.
        data_root: the folder of a real data set.
        seed: the first seed, from which they count up; by default the profile's ``first_seed``, or
            0.

    Raises:
        InputError: for an unknown experiment or profile, and an entry that is not valid.

    >>> plan("synthetic-cxr").runs
    [('erm', 0), ('adversarial', 0), ('erm', 1), ('adversarial', 1)]
    >>> plan("synthetic-cxr", seed=7).seeds
    (7, 8)
    """
    listed = experiments()
    if dataset not in listed and data_root and dataset in DATASETS:
        listed[dataset] = _own(dataset, Path(data_root))
    if dataset not in listed:
        raise unknown("data set with an experiment", dataset, listed)
    if profile not in listed[dataset]:
        raise unknown(f"profile of {dataset}", profile, listed[dataset])
    entry = typed_option(
        parameter_kinds(_Entry), listed[dataset][profile], f"key of {dataset} {profile}", text=False
    )
    counted = "repeats" if "repeats" in entry else "seeds"
    for key in (counted, "base", "variants"):
        if key not in entry:
            raise InputError(f"Expected {key} in {dataset} {profile} of experiments.yml.")
    base = {"dataset": dataset, "data_root": str(data_root) if data_root else None} | entry["base"]
    variants = dict(entry["variants"])
    for name, changes in _grid(entry.get("grid"), dataset).items():
        variants.setdefault(name, changes)  # what is listed by itself is not overruled
    if "settings" in entry:
        variants = crossed(variants, entry["settings"], base.get("dataset_options", {}))
    settings = tuple(entry.get("settings", ()))
    if "only" in entry:
        for name in (name for name in entry["only"] if name not in variants):
            raise unknown(f"variant in `only` of {dataset} {profile}", name, variants)
        variants = {name: variants[name] for name in entry["only"]}
    first = entry.get("first_seed", 0) if seed is None else seed
    k = _folds(base, entry.get("first_seed", 0)) if counted == "repeats" else 1
    seeds = tuple(range(first, first + entry[counted] * k))
    kept = ("probes", "twins", "groups", "primary", "margin", "disentanglement")
    more = {key: entry[key] for key in kept if key in entry}
    return Plan(dataset, profile, base, variants, seeds, settings=settings, **more)
