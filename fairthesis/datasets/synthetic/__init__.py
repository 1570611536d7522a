"""Synthetic cohorts: patients with planted bias, and the renderers that draw their images."""
