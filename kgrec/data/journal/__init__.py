"""What was loaded, kept on disk: the source that every graph is made from."""
