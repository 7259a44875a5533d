"""What the image tells of the board to who flashes it."""

NAME = "qemu_mps2"
