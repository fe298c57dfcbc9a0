"""Fused operations of the hot path, each one file beside its plain reference."""
