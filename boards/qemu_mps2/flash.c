// The board's flash: its PSRAM, which the program reads as memory. What is written also goes to a
// file of the host's, named by "flash=PATH" on QEMU's command line, so that it outlives the power.
//
//     0 MB   a file system, LittleFS
//     8 MB   two segments of 2 MB for read-only file systems, one for each slot
#include <string.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "board.h"

#define FLASH (0x21000000u)
#define FILE_SYSTEM_SIZE (8u << 20)
#define SEGMENTS (2)
#define SEGMENT_SIZE (2u << 20)
#define FLASH_SIZE (FILE_SYSTEM_SIZE + SEGMENTS * SEGMENT_SIZE)
#define SMALLEST_WRITE (4)

#define SYS_OPEN (0x01)
#define SYS_WRITE (0x05)
#define SYS_READ (0x06)
#define SYS_SEEK (0x0A)
#define OPEN_UPDATE_BINARY (3)

static int file = -1;

void board_flash_init(void) {
    char path[256];
    size_t n = board_argument("flash=", path, sizeof(path));
    if (n == 0) {
        return;
    }
    uint32_t open[] = { (uint32_t)path, OPEN_UPDATE_BINARY, n };
    file = board_semihost(SYS_OPEN, open);
    // A file that is shorter leaves the rest as it is: empty.
    uint32_t read[] = { file, FLASH, FLASH_SIZE };
    if (file < 0 || board_semihost(SYS_READ, read) < 0) {
        mp_hal_stdout_tx_str("the file of the flash cannot be read\r\n");
        for (;;) {
        }
    }
}

static void flash_write(uint32_t offset, const void *octets, size_t n) {
    memcpy((void *)(FLASH + offset), octets, n);
    if (file < 0) {
        return;
    }
    uint32_t seek[] = { file, offset };
    uint32_t write[] = { file, FLASH + offset, n };
    if (board_semihost(SYS_SEEK, seek) != 0 || board_semihost(SYS_WRITE, write) != 0) {
        mp_raise_OSError(MP_EIO);
    }
}

// ---- what Python sees: the file system's part, and the segments by vfs.rom_ioctl ----

static mp_obj_t write_octets(mp_obj_t offset_in, mp_obj_t buffer_in) {
    mp_int_t offset = mp_obj_get_int(offset_in);
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(buffer_in, &buffer, MP_BUFFER_READ);
    if (offset < 0 || (size_t)offset > FILE_SYSTEM_SIZE ||
        buffer.len > FILE_SYSTEM_SIZE - (size_t)offset) {
        mp_raise_ValueError(NULL);
    }
    flash_write(offset, buffer.buf, buffer.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(write_octets_obj, write_octets);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_flash) },
    { MP_ROM_QSTR(MP_QSTR_ADDRESS), MP_ROM_INT(FLASH) },
    { MP_ROM_QSTR(MP_QSTR_SIZE), MP_ROM_INT(FILE_SYSTEM_SIZE) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&write_octets_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t flash_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR_flash, flash_module);

static mp_obj_t number(int value) {
    return MP_OBJ_NEW_SMALL_INT(value);
}

// extmod/vfs.h says what each of these is asked for.
mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    int operation = mp_obj_get_int(args[0]);
    if (operation == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return number(SEGMENTS);
    }
    mp_int_t segment = n_args > 1 ? mp_obj_get_int(args[1]) : -1;
    if (segment < 0 || segment >= SEGMENTS) {
        return number(-MP_EINVAL);
    }
    uint32_t start = FILE_SYSTEM_SIZE + segment * SEGMENT_SIZE;
    if (operation == MP_VFS_ROM_IOCTL_GET_SEGMENT) {
        return mp_obj_new_memoryview('B', SEGMENT_SIZE, (void *)(FLASH + start));
    }
    if (operation == MP_VFS_ROM_IOCTL_WRITE_PREPARE && n_args > 2) {
        // Memory needs no erasing; the length alone is checked.
        bool fits = (mp_uint_t)mp_obj_get_int(args[2]) <= SEGMENT_SIZE;
        return number(fits ? SMALLEST_WRITE : -MP_EINVAL);
    }
    if (operation == MP_VFS_ROM_IOCTL_WRITE && n_args > 3) {
        mp_uint_t offset = mp_obj_get_int(args[2]);
        mp_buffer_info_t buffer;
        mp_get_buffer_raise(args[3], &buffer, MP_BUFFER_READ);
        if (offset > SEGMENT_SIZE || buffer.len > SEGMENT_SIZE - offset) {
            return number(-MP_EINVAL);
        }
        flash_write(start + offset, buffer.buf, buffer.len);
        return number(0);
    }
    return number(operation == MP_VFS_ROM_IOCTL_WRITE_COMPLETE ? 0 : -MP_EINVAL);
}
