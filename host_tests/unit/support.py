"""What the unit tests share; runs on CPython and on MicroPython."""


def raises(expected, function, *args, **kwargs):
    """Calls function and returns the exception of class `expected` that it must raise."""
    try:
        function(*args, **kwargs)
    except expected as error:
        return error
    raise AssertionError("no " + expected.__name__ + " was raised")


def unhex(text):
    """Octets from hexadecimal text; white space does not count."""
    return bytes.fromhex("".join(text.split()))
