"""Linux through MicroPython's socket and ffi: no program is started."""
