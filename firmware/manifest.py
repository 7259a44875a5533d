"""What a board carries, as MicroPython's manifest functions say it; frozen or copied alike."""

package("branchboot", opt=2)
package("branchline", opt=2)
module("main.py", opt=2)
