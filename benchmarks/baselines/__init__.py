"""What others would build: the usual Django way, and a bare endpoint of a fast framework."""
