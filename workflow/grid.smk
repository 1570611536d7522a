# data -> runs -> audits -> tables of any experiment and profile, and the archive of all of them.
# A run directory is a job: data set x method x seed x weight. What is finished is not run again.
import json
import shlex
from functools import cache

from chosen import chosen, data_folder
from fairthesis.errors import InputError
from fairthesis.study import experiments, plan

EXPERIMENTS = "build/experiments"
ARCHIVE = "build/archive"
TABLES = ["metrics.csv", "disparities.csv", "leakage.csv", "use.csv", "disentanglement.csv", "twins.csv", "curves.csv", "provenance.json"]
# A step's linear algebra has the threads of its rule: more would wait for each other.
THREADS = "OMP_NUM_THREADS={threads} PYTHONWARNINGS=ignore"
EXPERIMENT = THREADS + " fairthesis experiment "
DATA_ROOT = str(config.get("data_root") or "data")


@cache
def planned(name, profile):
    return plan(name, profile, data_folder(name, DATA_ROOT))


def archived(wildcards=None):
    """The tables of everything that `profile` rebuilds."""
    if "profile" not in config:
        raise InputError("Nothing is asked for: add --config profile=quick, or call `make reproduce`.")
    pairs = chosen(str(config["profile"]), str(config.get("only") or ""), DATA_ROOT)
    return [f"{ARCHIVE}/{name}-{profile}/{file}" for name, profile in pairs for file in TABLES]


def runs_of(name, profile):
    """The folder with the runs: a grid holds those of `full` too, and they are trained once."""
    shared = profile == "full" and "grid" in experiments()[name]
    return f"{EXPERIMENTS}/{name}-{'grid' if shared else profile}"


def settings(wildcards):
    plan = planned(wildcards.name, wildcards.profile)
    config = plan.config(wildcards.variant, int(wildcards.seed)).to_dict()
    if plan.parent(wildcards.variant):  # on a finished run of another variant
        config |= {"posthoc": plan.variants[wildcards.variant]["posthoc"]}
    return json.dumps(config, sort_keys=True)


def parent(wildcards):
    name = planned(wildcards.name, wildcards.profile).parent(wildcards.variant)
    folder = runs_of(wildcards.name, wildcards.profile)
    return [f"{folder}/runs/{name}-{wildcards.seed}/DONE"] if name else []


def of_runs(file):
    def paths(wildcards):
        folder = runs_of(wildcards.name, wildcards.profile)
        runs = planned(wildcards.name, wildcards.profile).runs
        return [f"{folder}/runs/{variant}-{seed}/{file}" for variant, seed in runs]

    return paths


def asked(wildcards):
    """The words that name an experiment on the command line, whatever the folder's name holds."""
    root = data_folder(wildcards.name, DATA_ROOT)
    words = ["--profile", wildcards.profile, *([f"--data-root={root}"] if root else [])]
    return shlex.join([*words, "--out", f"{EXPERIMENTS}/{wildcards.name}-{wildcards.profile}"])


wildcard_constraints:
    name="|".join(experiments()),
    profile="quick|quick-grid|full|grid|tuning|tuned",
    variant="[a-z0-9_.]+",
    seed="[0-9]+",


localrules:
    reproduce,
    collect,
    archive,


rule reproduce:
    input:
        archived() if "profile" in config else archived,
    message:
        "reproduce: all that was asked is in " + ARCHIVE


# Runs are the longest way to what waits for them, and begin first.
rule data:
    priority: 1
    input:
        sources("fairthesis.datasets.load", "fairthesis.data.prepared_images"),
    output:
        EXPERIMENTS + "/{name}-{profile}/data/{seed}.json",
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
    params:
        asked=asked,
    message:
        "data: {wildcards.name} {wildcards.profile}, seed {wildcards.seed}"
    shell:
        EXPERIMENT + "data {wildcards.name} --seed {wildcards.seed} {params.asked}"


rule train:
    priority: 1
    input:
        EXPERIMENTS + "/{name}-{profile}/data/{seed}.json",
        parent,
        lambda wildcards: sources("fairthesis.training.apply_posthoc") if parent(wildcards) else [],
        sources("fairthesis.train"),
    output:
        multiext(
            EXPERIMENTS + "/{name}-{profile}/runs/{variant}-{seed}/",
            "DONE", "predictions.parquet", "embeddings.parquet", "log.jsonl", "provenance.json",
        ),
    # How many threads a run trains with is part of its plan, and of its numbers.
    threads: lambda wildcards: planned(wildcards.name, wildcards.profile).base.get("threads") or 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
    params:
        settings=settings,
        asked=asked,
    message:
        "run: {wildcards.name} {wildcards.profile}, {wildcards.variant}, seed {wildcards.seed}"
    shell:
        EXPERIMENT + "train {wildcards.name} {wildcards.variant} --seed {wildcards.seed}"
        " {params.asked} --overwrite"


rule audit:
    priority: 1
    input:
        EXPERIMENTS + "/{name}-{profile}/runs/{variant}-{seed}/predictions.parquet",
        EXPERIMENTS + "/{name}-{profile}/runs/{variant}-{seed}/embeddings.parquet",
        sources("fairthesis.audit"),
        sources("fairthesis.probe"),
        sources("fairthesis.auditing.twin_effects"),
        sources("fairthesis.embeddings.use_of_attribute"),
        sources("fairthesis.embeddings.disentanglement"),
    output:
        directory(EXPERIMENTS + "/{name}-{profile}/runs/{variant}-{seed}/audit"),
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
    params:
        rule=lambda w: planned(w.name, w.profile).audit_settings,
        probes=lambda w: planned(w.name, w.profile).probes,
        twins=lambda w: planned(w.name, w.profile).twins,
        both=lambda w: planned(w.name, w.profile).disentanglement,
        asked=asked,
    message:
        "audit: {wildcards.name} {wildcards.profile}, {wildcards.variant}, seed {wildcards.seed}"
    shell:
        EXPERIMENT + "audit {wildcards.name} {wildcards.variant} --seed {wildcards.seed}"
        " {params.asked}"


rule collect:
    priority: 1
    input:
        of_runs("audit"),
        of_runs("log.jsonl"),
    output:
        multiext(EXPERIMENTS + "/{name}-{profile}/", *TABLES),
    params:
        asked=asked,
        runs_of=lambda w: runs_of(w.name, w.profile),
    message:
        "tables: {wildcards.name} {wildcards.profile}"
    shell:
        EXPERIMENT + "collect {wildcards.name} --runs-of {params.runs_of:q} {params.asked}"


# The book's own experiments are small: each is one step, whose packages are loaded once and not
# for every run and audit. It keeps the runs that are finished.
if "profile" not in config:

    ruleorder: experiment > collect

    rule experiment:
        priority: 2
        input:
            sources("fairthesis.study.run_experiment"),
            sources("fairthesis.train"),
            sources("fairthesis.audit"),
            sources("fairthesis.probe"),
            sources("fairthesis.auditing.twin_effects"),
            sources("fairthesis.embeddings.use_of_attribute"),
            sources("fairthesis.embeddings.disentanglement"),
        output:
            multiext(EXPERIMENTS + "/{name}-{profile}/", *TABLES),
        threads: lambda wildcards: planned(wildcards.name, wildcards.profile).base.get("threads") or 1
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
        params:
            settings=lambda w: repr(planned(w.name, w.profile)),
            asked=asked,
        message:
            "experiment: {wildcards.name} {wildcards.profile}"
        shell:
            EXPERIMENT + "run {wildcards.name} {params.asked} --overwrite"


rule archive:
    input:
        multiext(EXPERIMENTS + "/{name}-{profile}/", *TABLES),
    output:
        multiext(ARCHIVE + "/{name}-{profile}/", *TABLES),
    message:
        "archive: {wildcards.name} {wildcards.profile}"
    shell:
        "cp {input} " + ARCHIVE + "/{wildcards.name}-{wildcards.profile}"
        " && python workflow/archived.py " + ARCHIVE + "/{wildcards.name}-{wildcards.profile}"
