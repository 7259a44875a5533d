"""What is frozen into this board's firmware."""

include("$(MPY_DIR)/extmod/asyncio")
include("../../firmware/manifest.py", hal="lwip")
module("_boot.py", base_path="modules")
module("board_facts.py", base_path="modules")
module("main.py", base_path="modules")
