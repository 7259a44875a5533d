"""What the texts of a stock OpenVPN process's notices mean."""

_LEVELS = (("F", "error"), ("W", "warning"), ("N", "warning"))
_CIPHERS = (("cipher", "Data Channel: cipher "), ("tls", "Control Channel: "))
_REFUSED = "the server refused the client's credentials"
_NEEDS = {
    "Auth": "no user and password: give <auth-user-pass> in the profile, or a file",
    "Private Key": "the private key has a password: give `askpass FILE` in the profile",
}


def read_log(text):
    """(level, message) of LOG: time, flags, message."""
    flags, _, message = text.partition(",")[2].partition(",")
    for flag, level in _LEVELS:
        if flag in flags:
            return level, message
    return "debug", message


def read_cipher(message):
    """("cipher" or "tls", its name) where a message says what was negotiated, or None."""
    for key, beginning in _CIPHERS:
        if message.startswith(beginning):
            words = message[len(beginning) :].replace(",", " ").split()
            if key == "tls":  # TLSv1.3 cipher TLSv1.3 TLS_AES_256_GCM_SHA384 ...
                return key, " ".join(words[:1] + words[3:4])
            return key, words[0].strip("'") if words else ""
    return None


def read_state(text):
    """(name, cause) of STATE: time, name, cause, addresses."""
    fields = text.split(",")
    return fields[1] if len(fields) > 1 else "", fields[2] if len(fields) > 2 else ""


def read_count(text):
    """(octets sent, octets received) of BYTECOUNT, or None."""
    received, _, sent = text.partition(",")
    if sent.isdigit() and received.isdigit():
        return int(sent), int(received)
    return None


def read_password(text):
    """(refusal, reason, text) of PASSWORD: why the server refused, or "", and where that or a
    question is the end, since nobody is there to answer: the reason and what to do. Anything else
    is "", None, None; tokens are never repeated."""
    if text.startswith("Need"):
        kind = text.split("'")[1] if text.count("'") > 1 else ""
        return "", "auth-failed", _NEEDS.get(kind, "it asks for a password")
    if text.startswith("Verification Failed: 'Private Key'"):
        return "", "options-error", "the password of the private key is wrong"
    if text.startswith("Verification Failed"):
        _, bracket, reason = text.partition("['")
        return reason.replace("']", "") if bracket else _REFUSED, None, None
    return "", None, None
