"""Figures of page 04."""
