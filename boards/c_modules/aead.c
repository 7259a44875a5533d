// The module aead: AES-GCM and ChaCha20-Poly1305 by mbedtls, in place and without allocation.
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "mbedtls/chachapoly.h"
#include "mbedtls/gcm.h"

#define NONCE (12)
#define TAG (16)

typedef struct {
    mp_obj_base_t base;
    bool chacha;
    bool closed;
    union {
        mbedtls_gcm_context gcm;
        mbedtls_chachapoly_context chachapoly;
    } context;
} aead_obj_t;

static const mp_obj_type_t aead_type;

// Aead(cipher, key): "AES-128-GCM", "AES-192-GCM", "AES-256-GCM" or "CHACHA20-POLY1305". Raises
// ValueError for any other cipher, or a key that does not fit.
static mp_obj_t aead_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    const char *cipher = mp_obj_str_get_str(args[0]);
    mp_buffer_info_t key;
    mp_get_buffer_raise(args[1], &key, MP_BUFFER_READ);
    aead_obj_t *self = mp_obj_malloc_with_finaliser(aead_obj_t, type);
    self->chacha = strcmp(cipher, "CHACHA20-POLY1305") == 0;
    self->closed = false;
    int failed = 1;
    if (self->chacha) {
        mbedtls_chachapoly_init(&self->context.chachapoly);
        if (key.len == 32) {
            failed = mbedtls_chachapoly_setkey(&self->context.chachapoly, key.buf);
        }
    } else {
        size_t size = strcmp(cipher, "AES-128-GCM") == 0 ? 16
                    : strcmp(cipher, "AES-192-GCM") == 0 ? 24
                    : strcmp(cipher, "AES-256-GCM") == 0 ? 32 : 0;
        mbedtls_gcm_init(&self->context.gcm);
        if (size && key.len == size) {
            failed = mbedtls_gcm_setkey(&self->context.gcm, MBEDTLS_CIPHER_ID_AES, key.buf,
                size * 8);
        }
    }
    if (failed) {
        mp_raise_ValueError(MP_ERROR_TEXT("no such cipher, or not its key"));
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t aead_close(mp_obj_t self_in) {
    aead_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (!self->closed) {
        self->closed = true;
        if (self->chacha) {
            mbedtls_chachapoly_free(&self->context.chachapoly);
        } else {
            mbedtls_gcm_free(&self->context.gcm);
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(aead_close_obj, aead_close);

// The arguments of seal() and open(), checked: self, nonce, aad, aad_len, text, n, tag.
typedef struct {
    aead_obj_t *self;
    const unsigned char *nonce, *aad;
    unsigned char *text, *tag;
    size_t aad_length, n;
} arguments_t;

static unsigned char *buffer(mp_obj_t object, size_t least, mp_uint_t flags) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(object, &info, flags);
    if (info.len < least) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too short"));
    }
    return info.buf;
}

static void read_arguments(const mp_obj_t *args, mp_uint_t tag_flags, arguments_t *out) {
    out->self = MP_OBJ_TO_PTR(args[0]);
    mp_int_t aad_length = mp_obj_get_int(args[3]), n = mp_obj_get_int(args[5]);
    if (aad_length < 0 || n < 0 || out->self->closed) {
        mp_raise_ValueError(NULL);
    }
    out->aad_length = aad_length;
    out->n = n;
    out->nonce = buffer(args[1], NONCE, MP_BUFFER_READ);
    out->aad = buffer(args[2], aad_length, MP_BUFFER_READ);
    out->text = buffer(args[4], n, MP_BUFFER_RW);
    out->tag = buffer(args[6], TAG, tag_flags);
}

// seal(nonce, aad, aad_len, text, n, tag): encrypts text[:n] in place and writes tag[:16].
static mp_obj_t aead_seal(size_t n_args, const mp_obj_t *args) {
    arguments_t a;
    read_arguments(args, MP_BUFFER_WRITE, &a);
    int failed = a.self->chacha
        ? mbedtls_chachapoly_encrypt_and_tag(&a.self->context.chachapoly, a.n, a.nonce, a.aad,
            a.aad_length, a.text, a.text, a.tag)
        : mbedtls_gcm_crypt_and_tag(&a.self->context.gcm, MBEDTLS_GCM_ENCRYPT, a.n, a.nonce, NONCE,
            a.aad, a.aad_length, a.text, a.text, TAG, a.tag);
    if (failed) {
        mp_raise_OSError(MP_EINVAL);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aead_seal_obj, 7, 7, aead_seal);

// open(nonce, aad, aad_len, text, n, tag): decrypts in place; False: the tag is wrong.
static mp_obj_t aead_open(size_t n_args, const mp_obj_t *args) {
    arguments_t a;
    read_arguments(args, MP_BUFFER_READ, &a);
    int failed = a.self->chacha
        ? mbedtls_chachapoly_auth_decrypt(&a.self->context.chachapoly, a.n, a.nonce, a.aad,
            a.aad_length, a.tag, a.text, a.text)
        : mbedtls_gcm_auth_decrypt(&a.self->context.gcm, a.n, a.nonce, NONCE, a.aad, a.aad_length,
            a.tag, TAG, a.text, a.text);
    return mp_obj_new_bool(failed == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aead_open_obj, 7, 7, aead_open);

static const mp_rom_map_elem_t aead_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&aead_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&aead_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&aead_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_seal), MP_ROM_PTR(&aead_seal_obj) },
};
static MP_DEFINE_CONST_DICT(aead_locals, aead_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    aead_type,
    MP_QSTR_Aead,
    MP_TYPE_FLAG_NONE,
    make_new, aead_make_new,
    locals_dict, &aead_locals
    );

static const mp_rom_map_elem_t module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_aead) },
    { MP_ROM_QSTR(MP_QSTR_Aead), MP_ROM_PTR(&aead_type) },
};
static MP_DEFINE_CONST_DICT(module_globals, module_globals_table);

const mp_obj_module_t aead_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&module_globals,
};
MP_REGISTER_MODULE(MP_QSTR_aead, aead_module);
