"""The watchdog: what is healthy, what is damped, what is restarted, and the record of it."""
