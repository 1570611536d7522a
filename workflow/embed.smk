# Images -> a table of vectors in shards, each a job: `make vectors`. Any number of processors, GPUs
# or nodes; a shard that was stopped goes on after the part that it had written.
import shlex

from fairthesis.errors import InputError

VECTORS = str(config.get("vectors") or "")
EMBED = str(config.get("embed") or "")


def number_of_shards():
    text = str(config.get("shards") or "8")
    if not text.isdecimal() or int(text) < 2:
        raise InputError(
            f"SHARDS is {text!r}: expected 2 or more. For one, call `fairthesis embed` itself."
        )
    return int(text)


def embed_options(wildcards=None):
    """The options of `fairthesis embed` that a caller gives, as a shell's words."""
    try:
        words = shlex.split(EMBED)
    except ValueError as error:
        raise InputError(f"EMBED is {EMBED!r}, which a shell cannot read: {error}.") from error
    names = [word.split("=")[0] for word in words]
    if "--encoder" not in names:
        raise InputError(
            f"EMBED is {EMBED!r}: expected options of `fairthesis embed`, such as --encoder "
            "timm:vit_small_patch14_dinov2 --dataset nih-cxr14 --data-root PATH."
        )
    for name in ("--out", "--shard"):
        if name in names:
            raise InputError(f"EMBED has {name}: that is said by VECTORS and SHARDS.")
    return shlex.join([*words, "--out", VECTORS])


def shards(wildcards=None):
    if not VECTORS:
        raise InputError("VECTORS is empty: expected the folder that the vectors are to lie in.")
    if "{" in VECTORS or "}" in VECTORS:
        raise InputError(
            f"VECTORS is {VECTORS!r}: expected a folder without braces, which are wildcards here."
        )
    embed_options()
    n = number_of_shards()
    return [f"{VECTORS}/embeddings/shard-{i}-of-{n}/DONE" for i in range(1, n + 1)]


localrules:
    vectors,


rule vectors:
    input:
        shards() if "vectors" in config else shards,
    message:
        "vectors: all shards are there"


rule embed:
    output:
        VECTORS.replace("{", "").replace("}", "") + "/embeddings/shard-{i}-of-{n}/DONE",
    wildcard_constraints:
        i="[0-9]+",
        n="[0-9]+",
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
    params:
        options=embed_options,
    message:
        "vectors: shard {wildcards.i} of {wildcards.n}"
    shell:
        THREADS + " fairthesis embed {params.options} --shard {wildcards.i}/{wildcards.n} --quiet"
