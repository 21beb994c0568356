"""What a result becomes on the disk: images, pictures and facts."""
