"""Records and documents on disk, and how values become bytes."""
