"""Being a unit of a service manager: what it is told while we run, and the unit file that has it run us."""
