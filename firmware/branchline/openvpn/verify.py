"""The checks of the server's certificate that a profile asks for, beside its chain of signatures.

The TLS library verifies the chain and, by the machine's clock, the validity; what is here is
OpenVPN's: remote-cert-tls, remote-cert-ku, remote-cert-eku, verify-x509-name and crl-verify,
with the stock client's rules. crl-verify looks at the server's own certificate only.

The clock: a board without one must set it before it connects. Until it has the time from the
network, app sets it to the firmware's build time, which every valid certificate outlives; on
Linux nobody but the user sets the clock. So a time before the build counts as the build time here,
and the TLS library's "not yet valid" then means that the clock was never set.
"""

from branchline.crypto import crl
from branchline.crypto.x509 import Certificate
from branchline.wire.calendar import date_text
from branchline.wire.errors import ProtocolError, TlsError


def effective_time(unix_time, build_time):
    """The time to judge validity by: never before the firmware was built (Unix seconds)."""
    return max(unix_time, build_time)


def check_peer(profile, certificate, unix_time, build_time):
    """Checks the server's leaf certificate (DER). Raises TlsError with the reason.

    profile: a Profile; read are verify_x509_name, remote_cert_ku, remote_cert_eku (which
    remote-cert-tls sets too) and crl. Times: Unix seconds.
    """
    now = effective_time(unix_time, build_time)
    try:
        leaf = Certificate(certificate)
    except ProtocolError as error:
        raise TlsError("the server's certificate cannot be read: " + str(error))
    _check_validity(leaf, now, unix_time)
    _check_usage(leaf, profile)
    _check_purpose(leaf, profile)
    if profile.verify_x509_name:
        _check_name(leaf, *profile.verify_x509_name)
    if profile.crl:
        try:
            _check_revocation(leaf, profile.crl, now)
        except ProtocolError as error:
            raise TlsError("crl-verify: the file cannot be read: " + str(error))


def _check_validity(leaf, now, unix_time):
    clock = "; the clock says " + date_text(unix_time)
    if now > leaf.not_after:
        until = date_text(leaf.not_after)
        raise TlsError(
            "the server's certificate has expired (valid until " + until + clock
            + "): renew it, or set the clock"
        )
    if now < leaf.not_before:
        since = date_text(leaf.not_before)
        raise TlsError(
            "the server's certificate is not valid yet (valid from " + since + clock
            + "): set the clock"
        )


def _check_usage(leaf, profile):
    wanted = profile.remote_cert_ku
    if wanted is None:
        return
    if leaf.key_usage is None:
        raise TlsError(
            "the server's certificate has no key usage, which remote-cert-tls or remote-cert-ku"
            " asks for"
        )
    for bits in wanted:
        if bits and leaf.key_usage & bits == bits:
            return
    # Without values the TLS library's judgement of the bits is enough (2.6 manual).
    if wanted:
        raise TlsError(
            "remote-cert-ku: the server's certificate has the key usage {:02x}".format(
                leaf.key_usage
            )
        )


def _check_purpose(leaf, profile):
    wanted = profile.remote_cert_eku
    if wanted and wanted not in (leaf.purposes or ()):
        raise TlsError(
            "the server's certificate has not the extended key usage " + wanted
            + ", which remote-cert-tls or remote-cert-eku asks for: is it a server's?"
        )


def _check_name(leaf, name, form):
    found = leaf.subject if form == "subject" else leaf.common_name
    if not (found.startswith(name) if form == "name-prefix" else found == name):
        raise TlsError(
            "verify-x509-name: the server's certificate is for '" + found + "', not for '"
            + name + ("...'" if form == "name-prefix" else "'")
        )


def _check_revocation(leaf, lists, now):
    """As the stock client: a list of another issuer says nothing about the certificate."""
    for data in crl.decode(lists):
        revocations = crl.Crl(data)
        if revocations.issuer != leaf.issuer:
            continue
        # Expiry cannot be judged by a clock that is behind the list itself.
        if revocations.next_update is not None and now > revocations.next_update:
            raise TlsError(
                "crl-verify: the list has expired (next update was due "
                + date_text(revocations.next_update) + "): fetch a new one, or set the clock"
            )
        if now < revocations.this_update:
            raise TlsError(
                "crl-verify: the list is from the future ("
                + date_text(revocations.this_update) + "): set the clock"
            )
        if revocations.revokes(leaf.serial):
            raise TlsError("crl-verify: the server's certificate is revoked")
