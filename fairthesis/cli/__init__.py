"""The command line: ``fairthesis COMMAND``. Each command imports what it needs when it runs."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import click

from fairthesis import __version__
from fairthesis.cli import _ending

# command -> (module in fairthesis.cli, one line of help)
COMMANDS = {
    "audit": ("audit", "Audit a model's predictions for differences between groups."),
    "chapter": ("chapter", "Run a chapter's notebook with your own parameters."),
    "checklist": ("checklist", "What to ask for before and while a model is in the clinic."),
    "compare": ("compare", "Compare models on the same images, group by group."),
    "datasets": ("datasets", "List, describe, check and prepare data sets."),
    "embed": ("embed", "Embed images by any encoder: vectors that any method trains on."),
    "erase": ("erase", "Take an attribute out of embeddings: fit, keep and apply an eraser."),
    "experiment": ("experiment", "Run the book's experiments, whole or step by step."),
    "export": ("export", "A run's model as ONNX, TorchScript or a folder to be shared."),
    "monitor": ("monitor", "Follow predictions in use, by period and group, against limits."),
    "postprocess": ("postprocess", "Thresholds or recalibration by group, from table to table."),
    "power": ("power", "The smallest gap that a study of this size could see."),
    "predict": ("predict", "Predict with a finished run: other images, vectors, cohorts."),
    "probe": ("probe", "Measure how well an attribute can be recovered from embeddings."),
    "search": ("search", "Search all groups that columns make for one that fares worse."),
    "train": ("train", "Train an encoder and write a run directory."),
    "transfer": ("transfer", "Finished runs in another hospital: what changed, and which shift."),
    "twins": ("twins", "What moves a run's scores: the group, the device or the disease alone."),
    "verify": ("verify", "Re-run an archived quick experiment and compare the numbers."),
}


class _LazyGroup(click.Group):
    """Loads a command's module only when that command is asked for: help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"fairthesis.cli.{COMMANDS[name][0]}")
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["fairthesis.given"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        given = ctx.meta["fairthesis.given"]
        grouped = given[:1] in (["datasets"], ["erase"], ["experiment"])
        grouped = grouped or given[:2] in (["postprocess", "apply"], ["postprocess", "fit"])
        with _ending.in_words(given[: 2 if grouped else 1]):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fairthesis")
def cli() -> None:
    """Fair and accurate medical image embeddings: train, probe, audit.

    \b
    fairthesis audit predictions.csv --group sex --patient patient_id --out audit/
    fairthesis train --dataset synthetic-cxr --method adversarial --out runs/first
    fairthesis COMMAND --help   shows each command's options and examples
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line. Whatever ends a command early ends it with one message.

    Exit code 2 for input that cannot be used and for what the system refuses, 130 and 143 for an
    interrupt and SIGTERM.
    """
    if argv is None:  # the process is ours: a caller in Python keeps its own warnings and signals
        # A warning as a user reads it: what happened, not the line of code that noticed.
        warnings.showwarning = lambda message, *where, **more: _ending.say(message)
        _ending.listen()
        _ending.print_anything()
    with _ending.in_words([]):
        return cli.main(args=argv, prog_name="fairthesis", standalone_mode=True)
