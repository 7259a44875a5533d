"""Published test vectors of the ciphers and digests, as tables; octets in hexadecimal."""

from support import unhex

_GCM_KEY = "feffe9928665731c6d6a8f9467308308"
_GCM_NONCE = "cafebabefacedbaddecaf888"
_GCM_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
_GCM_TEXT = """d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"""
_ZERO = "00000000000000000000000000000000"

# (source, cipher, key, nonce, additional data, plaintext, ciphertext, tag)
AEAD = (
    ("GCM test case 1", "AES-128-GCM", _ZERO, _ZERO[:24], "", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"),
    ("GCM test case 2", "AES-128-GCM", _ZERO, _ZERO[:24], "", _ZERO,
     "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"),
    ("GCM test case 3", "AES-128-GCM", _GCM_KEY, _GCM_NONCE, "", _GCM_TEXT,
     """42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985""",
     "4d5c2af327cd64a62cf35abd2ba6fab4"),
    ("GCM test case 4", "AES-128-GCM", _GCM_KEY, _GCM_NONCE, _GCM_AAD, _GCM_TEXT[:-8],
     """42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091""",
     "5bc94fbc3221a5db94fae95ae7121a47"),
    ("GCM test case 7", "AES-192-GCM", _ZERO + _ZERO[:16], _ZERO[:24], "", "", "",
     "cd33b28ac773f74ba00ed1f312572435"),
    ("GCM test case 13", "AES-256-GCM", _ZERO + _ZERO, _ZERO[:24], "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"),
    ("GCM test case 14", "AES-256-GCM", _ZERO + _ZERO, _ZERO[:24], "", _ZERO,
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"),
    ("GCM test case 16", "AES-256-GCM", _GCM_KEY + _GCM_KEY, _GCM_NONCE, _GCM_AAD,
     _GCM_TEXT[:-8],
     """522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
     8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662""",
     "76fc6ece0f4e1768cddf8853bb2d551b"),
    ("RFC 8439 2.8.2", "CHACHA20-POLY1305",
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     """4c616469657320616e642047656e746c656d656e206f662074686520636c617373
     206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79
     206f6e652074697020666f7220746865206675747572652c2073756e73637265656e
     20776f756c642062652069742e""",
     """d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63
     dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692dd
     bd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def0
     8e4b7a9de576d26586cec64b6116""",
     "1ae10b594f09e26a7e902ecbd0600691"),
)  # fmt: skip

_TEXT = """6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"""
_KEY_128 = "2b7e151628aed2a6abf7158809cf4f3c"
_KEY_192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
_KEY_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"

# NIST SP 800-38A F.2: (cipher, key, IV, plaintext, ciphertext)
CBC = (
    ("AES-128-CBC", _KEY_128, "000102030405060708090a0b0c0d0e0f", _TEXT,
     """7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2
     73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"""),
    ("AES-192-CBC", _KEY_192, "000102030405060708090a0b0c0d0e0f", _TEXT,
     """4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a
     571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"""),
    ("AES-256-CBC", _KEY_256, "000102030405060708090a0b0c0d0e0f", _TEXT,
     """f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d
     39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"""),
)  # fmt: skip

# NIST SP 800-38A F.5: (key, first counter block, plaintext, ciphertext)
CTR = (
    (_KEY_128, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", _TEXT,
     """874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff
     5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"""),
    (_KEY_256, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", _TEXT,
     """601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5
     2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"""),
)  # fmt: skip

_JEFE = b"what do ya want for nothing?"
_LONG = b"Test Using Larger Than Block-Size Key - Hash Key First"

# RFC 2202 and RFC 4231: (digest, key, message, code)
HMAC = (
    ("MD5", b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    ("MD5", b"Jefe", _JEFE, "750c783e6ab0b503eaa86e310a5db738"),
    ("SHA1", b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    ("SHA1", b"Jefe", _JEFE, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    ("SHA256", b"Jefe", _JEFE,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ("SHA256", b"\xaa" * 131, _LONG,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ("SHA384", b"Jefe", _JEFE,
     """af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47
     e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"""),
    ("SHA512", b"Jefe", _JEFE,
     """164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
     9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"""),
    ("SHA512", b"\xaa" * 131, _LONG,
     """80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352
     6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"""),
)  # fmt: skip

# The vector of TLS 1.0's PRF that the TLS working group's members agreed on:
# (secret, label, seed, output)
PRF = (
    b"\xab" * 48, b"PRF Testvector", b"\xcd" * 64,
    """d3d4d1e349b5d515044666d51de32bab258cb521b6b053463e354832fd976754
    443bcf9a296519bc289abcbc1187e4ebd31e602353776c408aafb74cbc85eff6
    9255f9788faa184cbb957a9819d84a5d7eb006eb459d3ae8de9810454b8b2d8f
    1afbc655a8c9a013""",
)  # fmt: skip


def octets(row):
    """A row with its hexadecimal fields as bytes; those that are no hexadecimal stay."""
    return [
        unhex(field)
        if isinstance(field, str) and all(c in "0123456789abcdef \n" for c in field)
        else field
        for field in row
    ]
