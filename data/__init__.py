"""Reads data sets and stacks: the tree, the file formats, the normalisation, the patches."""
