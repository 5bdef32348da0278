"""Frozen tasklets as bytes: what stackless.freeze() and thaw() are made of."""
