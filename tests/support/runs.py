"""A small run's configuration, and whether two runs are the same to the bit."""

from __future__ import annotations

import json

import pandas as pd

from fairthesis.training import TrainConfig

BASE = TrainConfig(
    dataset="synthetic-cxr",
    targets=("disease", "other"),
    attributes=("site", "device"),
    backbone="small",
    size=24,
    epochs=3,
    batch_size=64,
    disease_dim=16,
    sensitive_dim=8,
    threads=1,
)


def log(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def same_runs(a, b):
    assert log(a) == log(b)
    for name in ("predictions", "embeddings"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(a / f"{name}.parquet"), pd.read_parquet(b / f"{name}.parquet")
        )
