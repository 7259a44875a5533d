"""Dates and Unix times: seconds since 1970-01-01, UTC, without leap seconds."""

from micropython import const

_EPOCH_DAY = const(719468)  # days from 0000-03-01 to 1970-01-01


def _days(year, month, day):
    """Days from 1970-01-01, of a Gregorian date; years start in March, so leap days come last."""
    if month < 3:
        year -= 1
        month += 12
    year_days = 365 * year + year // 4 - year // 100 + year // 400
    return year_days + (153 * (month - 3) + 2) // 5 + day - 1 - _EPOCH_DAY


def unix_time(year, month, day, hour, minute, second):
    """The Unix time of a Gregorian date and time."""
    return ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def parse_time(text):
    """The Unix time of a text such as "2027-01-31T00:00:00Z" (RFC 3339, UTC); ValueError if it
    is none."""
    fields = [text[:4]] + [text[at : at + 2] for at in (5, 8, 11, 14, 17)]
    marks = "".join([text[at : at + 1] for at in (4, 7, 10, 13, 16, 19)])
    if len(text) != 20 or marks != "--T::Z" or not "".join(fields).isdigit():
        raise ValueError("not a time such as 2027-01-31T00:00:00Z")
    year, month, day, hour, minute, second = [int(field) for field in fields]
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ValueError("no such time")
    return unix_time(year, month, day, hour, minute, second)


def date_text(unix_time):
    """The date of a Unix time, such as "2026-01-31"."""
    days = unix_time // 86400 + _EPOCH_DAY
    era, day = days // 146097, days % 146097
    years = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * years + years // 4 - years // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year = years + 400 * era + (month >= 10)
    return "{:04d}-{:02d}-{:02d}".format(year, month + 3 if month < 10 else month - 9, day)
