"""branchctl: Branchline's command line on the host."""
