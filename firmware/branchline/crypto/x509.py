"""Reading of X.509 certificates (RFC 5280): what OpenVPN's checks of a peer need, no more.

Signatures and chains are the TLS library's business.
"""

from micropython import const

from branchline.crypto import der
from branchline.wire.errors import ProtocolError

_MAX_NAME_PARTS = const(32)
_MAX_EXTENSIONS = const(40)
_MAX_PURPOSES = const(16)
_CONTEXT_0 = const(0xA0)
_CONTEXT_1 = const(0x81)
_CONTEXT_2 = const(0x82)
_CONTEXT_3 = const(0xA3)

_CN = "2.5.4.3"
# What OpenSSL calls the parts of a name: one-line subjects are compared in its words.
_SHORT_NAMES = {
    _CN: "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.17": "postalCode",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
_EXTENSIONS = "2.5.29."
# GeneralName tags whose value TLS libraries compare with a host name, the first kind preferred.
_DNS, _IP, _URI = const(0x82), const(0x87), const(0x86)


class Certificate:
    """A parsed certificate. Raises ProtocolError if it cannot be read.

    serial: octets; issuer: the raw DER of the issuer's name; not_before, not_after: Unix seconds;
    key_usage: the bits as OpenVPN writes them (0x80 digitalSignature, 0x20 keyEncipherment, ...)
    or None; purposes: the dotted extended key usages or None; is_ca; hostname: the name by which
    a TLS library accepts the certificate, or None.
    """

    def __init__(self, data):
        certificate = der.document(data)
        body = der.expect(certificate, der.SEQUENCE)
        version = der.optional(body, _CONTEXT_0)
        self.serial = der.serial(der.expect(body, der.INTEGER))
        der.expect(body, der.SEQUENCE)  # signature algorithm
        self.issuer = der.expect(body, der.SEQUENCE).rest()
        validity = der.expect(body, der.SEQUENCE)
        self.not_before = der.time(validity)
        self.not_after = der.time(validity)
        self._subject = _name(der.expect(body, der.SEQUENCE))
        der.expect(body, der.SEQUENCE)  # public key
        self.key_usage = self.purposes = None
        self.is_ca = False
        self._alternatives = None
        der.optional(body, _CONTEXT_1)
        der.optional(body, _CONTEXT_2)
        extensions = der.optional(body, _CONTEXT_3)
        der.finish(body)
        if extensions and version:
            self._read_extensions(der.expect(extensions, der.SEQUENCE))

    def _read_extensions(self, extensions):
        readers = {
            "15": self._read_key_usage,
            "17": self._read_alternatives,
            "19": self._read_constraints,
            "37": self._read_purposes,
        }
        seen = []
        while extensions.remaining():
            extension = der.expect(extensions, der.SEQUENCE)
            name = der.oid(der.expect(extension, der.OID))
            # RFC 5280 4.2: at most one of each kind.
            if name in seen or len(seen) == _MAX_EXTENSIONS:
                raise ProtocolError("X.509: repeated or too many extensions")
            seen.append(name)
            der.optional(extension, der.BOOLEAN)  # critical
            value = der.expect(extension, der.OCTET_STRING)
            if name.startswith(_EXTENSIONS):
                read = readers.get(name[len(_EXTENSIONS) :])
                if read:
                    read(value)

    def _read_key_usage(self, value):
        bits = der.expect(value, der.BIT_STRING)
        if bits.u8() > 7 or bits.remaining() > 2:
            raise ProtocolError("X.509: bad key usage")
        self.key_usage = bits.u8() if bits.remaining() else 0

    def _read_constraints(self, value):
        flag = der.optional(der.expect(value, der.SEQUENCE), der.BOOLEAN)
        self.is_ca = bool(flag and flag.u8())

    def _read_purposes(self, value):
        purposes = der.expect(value, der.SEQUENCE)
        self.purposes = []
        while purposes.remaining():
            if len(self.purposes) == _MAX_PURPOSES:
                raise ProtocolError("X.509: too many purposes")
            self.purposes.append(der.oid(der.expect(purposes, der.OID)))

    def _read_alternatives(self, value):
        """Keeps the first alternative name of each kind; the number of names has no bound."""
        names = der.expect(value, der.SEQUENCE)
        self._alternatives = {}
        while names.remaining():
            tag, content = der.element(names)
            if tag in (_DNS, _IP, _URI) and tag not in self._alternatives:
                self._alternatives[tag] = content.rest()

    @property
    def common_name(self):
        """The last common name, as OpenVPN takes it; "" without any."""
        name = ""
        for kind, text, _ in self._subject:
            if kind == _CN:
                name = text
        return "".join("_" if _is_control(c) else c for c in name)

    @property
    def subject(self):
        """The subject in one line, as OpenVPN writes it: "C=KG, O=Example, CN=hub"."""
        line = ""
        for kind, text, joined in self._subject:
            text = "".join("\\{:02X}".format(ord(c)) if _is_control(c) else c for c in text)
            line += (" + " if joined else ", " if line else "") + _SHORT_NAMES.get(kind, kind)
            line += "=" + text
        return line

    @property
    def hostname(self):
        """A DNS name, else an address or URI, else (without any alternatives) the common name."""
        if self._alternatives is None:
            return self.common_name or None
        for kind in (_DNS, _IP, _URI):
            value = self._alternatives.get(kind)
            if value:
                return _address(value) if kind == _IP else _text(0x16, value)
        return None


def hostname(data):
    """Certificate(data).hostname. Raises ProtocolError."""
    return Certificate(data).hostname


def _name(rdns):
    """A name as a list of (dotted type, text, whether it is joined to the one before)."""
    parts = []
    while rdns.remaining():
        rdn = der.expect(rdns, der.SET)
        joined = False
        while rdn.remaining():
            if len(parts) == _MAX_NAME_PARTS:
                raise ProtocolError("X.509: name too long")
            part = der.expect(rdn, der.SEQUENCE)
            kind = der.oid(der.expect(part, der.OID))
            tag, value = der.element(part)
            parts.append((kind, _text(tag, value.rest()), joined))
            joined = True
    return parts


def _text(tag, data):
    """The characters of a string of any of X.509's types."""
    if tag == 0x1E or tag == 0x1C:  # BMPString: two octets a character; UniversalString: four
        width = 2 if tag == 0x1E else 4
        if len(data) % width:
            raise ProtocolError("X.509: bad text")
        codes = [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]
    elif tag == 0x0C:  # UTF8String
        try:
            return str(data, "utf-8")
        except UnicodeError:
            raise ProtocolError("X.509: bad text")
    else:
        codes = data
    if codes and (max(codes) > 0x10FFFF):
        raise ProtocolError("X.509: bad text")
    return "".join(chr(code) for code in codes)


def _address(data):
    if len(data) == 4:
        return ".".join(str(octet) for octet in data)
    if len(data) == 16:
        return ":".join("{:02x}{:02x}".format(data[i], data[i + 1]) for i in range(0, 16, 2))
    raise ProtocolError("X.509: bad address")


def _is_control(character):
    return character < " " or character == "\x7f"
