"""Declarations kept in git: check them, plan what they would change, apply them, begin new ones, compare them."""
