"""Reports as single HTML files, and the contrast that images are shown with."""
