"""The formats of raw files, told apart by their content; each yields rows and what is wrong with others."""
