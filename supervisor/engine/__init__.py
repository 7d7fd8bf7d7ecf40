"""Job processes: the fork server that makes them, the child, its containment, its vital signs."""
