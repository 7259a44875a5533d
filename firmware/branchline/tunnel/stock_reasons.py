"""Why a stock OpenVPN process gave up, in the words that all engines share."""

# What STATE gives as the cause of RECONNECTING or EXITING: (reason, text, whether it is final).
# A text of None stands for the latest warning.
_CAUSES = {
    "auth-control-exit": ("auth-failed", None, False),
    "auth-failure": ("auth-failed", None, False),
    # Its password was not refused: another try can use it at once.
    "auth-failure (auth-token)": ("server-restart", "the auth-token has expired", False),
    "auth-temp-failure (server temporary reject)": ("auth-failed", None, False),
    "connection-failed": ("connect", None, False),
    "connection-reset": ("transport", "the connection was reset", False),
    "decryption-error": ("transport", None, False),
    "delayed-exit": ("server-restart", "the server leaves", False),
    "HTTP proxy error": ("connect", None, False),
    "inactive": ("finished", "the profile's `inactive`", True),
    "ip-fail": ("options-error", None, False),
    "network-unreachable": ("connect", None, False),
    "no-push-reply": ("timeout", "the server sends no options", False),
    "Offending option received from server": ("options-error", None, False),
    "ping-exit": ("finished", "the profile's `ping-exit`", True),
    "ping-restart": ("ping-restart", "the server is silent", False),
    "private-key-password-failure": ("options-error", "the private key's password", True),
    "process-push-msg-failed": ("options-error", None, False),
    "remote-exit": ("server-restart", "the server leaves", False),
    "server-pushed-connection-reset": ("server-restart", "", False),
    "server-pushed-halt": ("halt", "the server told the client to stop", True),
    "server_poll": ("timeout", "no answer from the server", False),
    "session-timeout": ("finished", "the profile's `session-timeout`", True),
    "socks-error": ("connect", None, False),
    "socks-resolve-failure": ("connect", None, False),
    "tls-error": ("tls-error", None, False),
    "tun-abort": ("device", "the device is gone", False),
    "tun-stop": ("device", "the device was stopped", False),
}
_UNANSWERED = "failed to occur within"
# What a message of the last resort begins with.
_DEVICE = ("Cannot open TUN/TAP", "Cannot ioctl TUN", "Cannot allocate TUN/TAP")
_FILES = ("Cannot load", "Cannot open", "Cannot pre-load", "Error: private key")
_OPTIONS = "Options error: "
_ERROR = "ERROR: "
_LAST = "Exiting due to fatal error"
# Without root or /dev/net/tun another try changes nothing.
_FORBIDDEN = ("not permitted", "Permission denied", "No such file")


def explain(cause, fatal, warning):
    """(reason, text, whether it is final) from the last STATE's cause, the text of FATAL and the
    latest warning, each "" where there is none."""
    if fatal:
        return _explain_fatal(fatal)
    reason, text, final = _CAUSES.get(cause, ("exited", cause or warning, False))
    if text is None:
        text = warning or cause
    if reason == "tls-error" and _UNANSWERED in text:
        reason = "timeout"
    return reason, text, final


def find_mistake(lines):
    """The one of the last lines of a process that says why it did not even begin, or ""."""
    for number, line in enumerate(lines):
        if line.startswith(_OPTIONS):
            return line
        if line.startswith(_LAST) and number:
            return lines[number - 1]
    return ""


def _explain_fatal(text):
    if text.startswith(_OPTIONS):
        return "options-error", text[len(_OPTIONS) :], True
    if text.startswith(_ERROR):
        text = text[len(_ERROR) :]
    if text.startswith(_DEVICE):
        return "device", text, any([word in text for word in _FORBIDDEN])
    return ("options-error", text, True) if text.startswith(_FILES) else ("exited", text, False)
