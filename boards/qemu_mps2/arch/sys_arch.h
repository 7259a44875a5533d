// lwIP runs without an operating system (NO_SYS).
