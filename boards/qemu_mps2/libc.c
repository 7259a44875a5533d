// What mbedtls wants of a C library and this port does not have.
#include <string.h>
#include <time.h>

#include "py/mpconfig.h"
#include "shared/timeutils/timeutils.h"
#include "board.h"

struct tm *gmtime(const time_t *seconds) {
    static struct tm out;
    timeutils_struct_time_t tm;
    timeutils_seconds_since_epoch_to_struct_time(*seconds, &tm);
    memset(&out, 0, sizeof(out));
    out.tm_year = tm.tm_year - 1900;
    out.tm_mon = tm.tm_mon - 1;
    out.tm_mday = tm.tm_mday;
    out.tm_hour = tm.tm_hour;
    out.tm_min = tm.tm_min;
    out.tm_sec = tm.tm_sec;
    return &out;
}

time_t board_unix_time(time_t *out) {
    time_t now = board_time() / 1000000;
    if (out != NULL) {
        *out = now;
    }
    return now;
}

int64_t mbedtls_ms_time(void) {
    return board_microseconds() / 1000;
}

int atoi(const char *text) {
    int number = 0;
    while ('0' <= *text && *text <= '9') {
        number = 10 * number + *text++ - '0';
    }
    return number;
}
