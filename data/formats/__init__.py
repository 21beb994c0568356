"""File formats <-> arrays: TIFF, MRC and measured OTFs."""
