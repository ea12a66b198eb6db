"""The workflows of this repository, held against rules that no public tool checks."""
