"""What a board carries, as MicroPython's manifest functions say it; frozen or copied alike."""

package("branchline", opt=2)
module("main.py", opt=2)
