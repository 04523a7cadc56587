"""Schemes of no paper, which run in every world."""

PAPER = "none: written with this program"
