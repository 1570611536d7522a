"""Data sets made of others: a marker planted in real images, and bias by selection."""
