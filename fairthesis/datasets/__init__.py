"""Data sets: one file each, ``load(root, ...) -> Cohort``, and the table ``DATASETS`` of them."""
