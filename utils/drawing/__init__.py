"""Drawing of pictures: colours, letters and lines on pixels, without a plotting library's cost."""
