"""What a Linux board's image holds: the firmware with the code for Linux."""

include("../../firmware/manifest.py", hal="linux")
