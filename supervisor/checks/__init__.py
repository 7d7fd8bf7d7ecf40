"""Looking whether jobs are ready and well, outside the loop's way: never blocking, never two looks at once."""
