"""``fairthesis experiment``: the book's experiments, whole or step by step."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _options

if TYPE_CHECKING:
    from fairthesis.study import Plan

TABLES = (
    "metrics.csv, disparities.csv, leakage.csv, use.csv, twins.csv, curves.csv, provenance.json"
)


@click.group()
def command() -> None:
    """Run the book's experiments: variants x seeds, each audited, in tidy tables.

    \b
    Examples:
      fairthesis experiment list
      fairthesis experiment list synthetic-cxr-mechanisms
      fairthesis experiment run synthetic-cxr --profile quick --out build/quick
      fairthesis experiment run nih-cxr14 --profile full --data-root data/nih --out results/nih
      fairthesis experiment run synthetic-cxr-forms --profile full --shard 1/2 --out build/forms
    """


@command.command(name="list")
@click.argument("dataset", required=False)
def list_(dataset: str | None) -> None:
    """List the experiments and how many runs they have; of DATASET alone, which ones.

    \b
    Examples:
      fairthesis experiment list
      fairthesis experiment list synthetic-cxr-mechanisms
    """
    from fairthesis.cli._layout import table
    from fairthesis.errors import unknown
    from fairthesis.study import experiments, plan

    listed = experiments()
    if dataset is not None:
        if dataset not in listed:
            raise unknown("experiment", dataset, listed)
        for profile in listed[dataset]:
            _tell(plan(dataset, profile))
        return
    rows = []
    for name, profiles in listed.items():
        for profile in profiles:
            chosen = plan(name, profile)
            settings = max(1, len(chosen.settings))
            counts = [len(chosen.variants) // settings, settings, len(chosen.seeds)]
            rows.append([name, profile, *map(str, counts), f"{len(chosen.runs):,}"])
    head = ["experiment", "profile", "variants", "settings", "seeds", "runs"]
    for line in table(head, rows, left=2):
        click.echo(line)
    click.echo("\nWhich variants, settings and seeds: fairthesis experiment list EXPERIMENT")


def _tell(chosen: Plan) -> None:
    """A profile's runs, in lines that fit the terminal."""
    own = list(chosen.variants)[: len(chosen.variants) // max(1, len(chosen.settings))]
    first, last = chosen.seeds[0], chosen.seeds[-1]
    seeds = str(first) if first == last else f"{first} to {last}"
    click.echo(f"{chosen.dataset} {chosen.profile}: {len(chosen.runs):,} runs")
    parts = {"variants": own, "settings": chosen.settings, "seeds": [seeds]}
    for name, values in parts.items():
        if values:
            head, below = f"  {name + ':':10}", " " * 12
            click.echo(fill(", ".join(values), 78, initial_indent=head, subsequent_indent=below,
                            break_on_hyphens=False))  # fmt: skip
    click.echo()


_chosen = _options.together(
    click.argument("dataset"),
    _options.folder("Folder for the experiment.", given=str),
    click.option("--profile", default="quick", help="One of `list`.", show_default=True),
    _options.data_root(),
    _options.seed("First seed.  [default: as in `list`]", default=None),
)
_overwrite = _options.overwrite("Replace runs of another configuration, data or code.")


@command.command()
@_chosen
@_overwrite
@_options.shard("The i-th of n parts of the runs, as for n jobs with the same --out.")
@_options.quiet("No progress.")
def run(
    dataset: str,
    profile: str,
    data_root: str | None,
    seed: int | None,
    out: str,
    overwrite: bool,
    shard: tuple[int, int],
    quiet: bool,
) -> None:
    """Train and audit what is not finished, then gather the tables.

    A run of another configuration, data or code in the folder is kept, and the command ends,
    unless --overwrite is given. With --shard the tables are gathered by the part that ends last.
    """
    from fairthesis.study import plan, run_experiment, run_shard

    chosen = plan(dataset, profile, data_root, seed)
    say = None if quiet else click.echo
    bars = not quiet and sys.stderr.isatty()  # in a file a line a run says enough
    if shard == (1, 1):
        run_experiment(chosen, out, progress=bars, say=say, overwrite=overwrite)
    else:
        missing = run_shard(chosen, out, shard, progress=bars, say=say, overwrite=overwrite)
        if missing:
            click.echo(
                f"{out}: shard {shard[0]} of {shard[1]} is finished; {missing} of "
                f"{len(chosen.runs)} runs are still to come from others."
            )
            return
        if say:  # of hundreds of runs it takes minutes
            say(f"No run is missing: all {len(chosen.runs)} are checked, and gathered in tables.")
        run_experiment(chosen, out, progress=False)
    click.echo(f"{out}: {TABLES}")


@command.command()
@_chosen
def data(dataset: str, profile: str, data_root: str | None, seed: int | None, out: str) -> None:
    """Load and decode the images of one seed's runs."""
    from fairthesis.study import data_run, plan

    chosen = plan(dataset, profile, data_root, seed)
    click.echo(data_run(chosen, chosen.seeds[0], Path(out), False))


@command.command()
@_chosen
@_overwrite
@click.argument("variant")
def train(
    dataset: str,
    profile: str,
    data_root: str | None,
    seed: int | None,
    out: str,
    overwrite: bool,
    variant: str,
) -> None:
    """Train one VARIANT with one seed."""
    from fairthesis.study import plan, train_run

    chosen = plan(dataset, profile, data_root, seed)
    click.echo(train_run(chosen, variant, chosen.seeds[0], Path(out), False, overwrite))


@command.command()
@_chosen
@click.argument("variant")
def audit(
    dataset: str, profile: str, data_root: str | None, seed: int | None, out: str, variant: str
) -> None:
    """Audit the run of one VARIANT with one seed."""
    from fairthesis.study import audit_run, plan

    chosen = plan(dataset, profile, data_root, seed)
    click.echo(audit_run(chosen, variant, chosen.seeds[0], Path(out)))


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
def reaudit(folder: Path) -> None:
    """Compute intervals and p values of an archive anew, from the predictions that it keeps."""
    from fairthesis.study import reaudit

    reaudit(folder)
    click.echo(f"{folder}: metrics.csv, disparities.csv, provenance.json")


@command.command()
@_chosen
@click.option("--runs-of", type=click.Path(), help="Where the runs are.  [default: --out]")
def collect(
    dataset: str,
    profile: str,
    data_root: str | None,
    seed: int | None,
    out: str,
    runs_of: str | None,
) -> None:
    """Gather the tables of finished runs."""
    from fairthesis.study import collect, plan

    of = Path(runs_of) if runs_of else None
    collect(plan(dataset, profile, data_root, seed), Path(out), of)
    click.echo(f"{out}: {TABLES}")
