"""Champion and challenger: the trial, the comparison, and who takes whose place."""
