"""Hardware and operating system; imports nothing of ours but wire."""
