"""Official releases, and tables of your own: one file each, ``load(root, ...) -> Cohort``."""
