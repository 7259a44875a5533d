"""provision: everything is made once, stays as it is, and is only its owner's."""

import datetime
import ipaddress
import json
import os
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from branchctl import authority, clock, files, tls_crypt_v2
from host_tests.tools.fleets import SMALL, branchctl, write

DAY = datetime.timedelta(days=1)


@pytest.fixture
def fleet(tmp_path):
    """SMALL, provisioned."""
    folder = write(tmp_path / "fleet")
    run = branchctl(folder, "provision")
    assert run.code == 0, run.err
    return folder


def snapshot(folder):
    """All files: name -> (content, mode)."""
    return {str(path.relative_to(folder)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in sorted(folder.rglob("*")) if path.is_file()}


def certificate(folder, name):
    return x509.load_pem_x509_certificate(
        (folder / f"state/credentials/{name}.pem").read_bytes())


def at(monkeypatch, time):
    monkeypatch.setattr(clock, "now", lambda: time)


def refused(folder, *arguments, **options):
    """Run branchctl, which must refuse and change nothing; returns the message."""
    before = snapshot(folder)
    run = branchctl(folder, *(arguments or ["provision"]), **options)
    assert run.code in (1, 2), run
    assert snapshot(folder) == before
    return " ".join(run.err.split())


# ---- what is made ----


def test_a_second_run_changes_nothing_byte_for_byte(fleet):
    before = snapshot(fleet)
    run = branchctl(fleet, "provision")
    assert (run.code, run.out) == (0, "nothing to change: everything is up to date\n")
    assert snapshot(fleet) == before


def test_nothing_secret_is_readable_by_others(fleet):
    for path in fleet.rglob("*"):
        if path.name == "fleet.toml":
            continue
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_folders_are_private_whatever_the_umask_is(tmp_path):
    previous = os.umask(0)
    try:
        folder = write(tmp_path / "fleet")
        branchctl(folder, "provision")
    finally:
        os.umask(previous)
    test_nothing_secret_is_readable_by_others(folder)


@pytest.mark.parametrize("name,usage,names", [
    ("paris", ExtendedKeyUsageOID.SERVER_AUTH, {"paris", "paris.example.com"}),
    ("paris.mesh", ExtendedKeyUsageOID.CLIENT_AUTH, {"paris"}),
    ("lyon", ExtendedKeyUsageOID.CLIENT_AUTH, {"lyon"}),
    ("anna", ExtendedKeyUsageOID.CLIENT_AUTH, {"anna"}),
])
def test_certificates_say_what_they_are_for(fleet, name, usage, names):
    found = certificate(fleet, name)
    root = x509.load_pem_x509_certificate((fleet / "state/ca/ca.crt").read_bytes())
    extensions = found.extensions
    found.verify_directly_issued_by(root)
    assert isinstance(found.public_key().curve, ec.SECP256R1)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == \
        name.partition(".")[0]
    assert found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "acme"
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    key_usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert key_usage.critical and key_usage.value.digital_signature
    assert not key_usage.value.key_cert_sign
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    san = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(san.get_values_for_type(x509.DNSName)) == names
    own = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    theirs = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own == theirs.digest
    left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 729 * DAY < left <= 730 * DAY
    assert found.serial_number.bit_length() > 64


def test_the_ca_can_sign_and_nothing_below_it(fleet):
    root = x509.load_pem_x509_certificate((fleet / "state/ca/ca.crt").read_bytes())
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical and constraints.value == x509.BasicConstraints(True, 0)
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
    crl = x509.load_pem_x509_crl((fleet / "state/crl.pem").read_bytes())
    assert crl.is_signature_valid(root.public_key()) and len(crl) == 0
    assert crl.next_update_utc == root.not_valid_after_utc


def test_serials_are_random(fleet):
    names = ["paris", "dublin", "paris.mesh", "dublin.mesh", "lyon", "nice", "anna"]
    assert len({certificate(fleet, name).serial_number >> 64 for name in names}) == len(names)


def test_openssl_accepts_the_certificates(fleet):
    for name, purpose in [("paris", "sslserver"), ("lyon", "sslclient")]:
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-crl_check",
             "-CRLfile", "state/crl.pem", "-CAfile", "state/ca/ca.crt",
             f"state/credentials/{name}.pem"], cwd=fleet, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_each_member_has_a_tls_crypt_v2_key_of_its_own(fleet):
    server = (fleet / "state/tls-crypt-v2/SERVER-1.key").read_text()
    keys = set()
    for path in (fleet / "state/tls-crypt-v2").glob("[a-z]*"):
        key, metadata = tls_crypt_v2.unwrap(server, path.read_text())
        assert len(key) == 256 and metadata[0] == 1
        keys.add(key)
    assert len(keys) == 3


def test_openvpn_makes_the_same_kind_of_keys(tmp_path, fleet):
    """OpenVPN wraps with our server key what we can unwrap, and takes none for another's."""
    server = fleet / "state/tls-crypt-v2/SERVER-1.key"
    made = tmp_path / "made.key"
    done = subprocess.run(["openvpn", "--tls-crypt-v2", str(server), "--genkey",
                           "tls-crypt-v2-client", str(made)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    key, metadata = tls_crypt_v2.unwrap(server.read_text(), made.read_text())
    assert len(key) == 256 and len(metadata) == 9
    with pytest.raises(ValueError, match="another server key"):
        tls_crypt_v2.unwrap(tls_crypt_v2.server_key(), made.read_text())


def test_bundles_are_gateways_folders(fleet):
    config = json.loads((fleet / "bundles/nice/gateway.json").read_text())
    assert config["name"] == "nice" and config["address"] == "10.100.0.3"
    assert config["lans"] == [{"interface": "eth1", "prefix": "192.168.12.0/24"}]
    assert [(each["name"], each["profile"]) for each in config["tunnels"]] == [
        ("paris", "paris.ovpn"), ("dublin", "dublin.ovpn")]
    assert all((fleet / "bundles/nice" / each["profile"]).exists() for each in config["tunnels"])
    accepted = [ipaddress.ip_network(each) for each in config["routing"]["accept"]]
    for needed in ("10.100.0.0/24", "10.1.0.0/16", "10.2.0.0/16", "192.168.11.0/24"):
        assert any(ipaddress.ip_network(needed).subnet_of(each) for each in accepted)
    assert not any(ipaddress.ip_network("10.8.1.0/24").overlaps(each) for each in accepted)


def test_a_large_fleet_needs_few_entries_of_accept(tmp_path):
    branches = "".join(f'b{n} = {{ lans = ["192.168.{2 * n}.0/24"] }}\n' for n in range(100))
    folder = write(tmp_path, SMALL.replace("[clients]", branches + "[clients]")
                   .replace('lans = ["192.168.11.0/24"], ', "")
                   .replace('{ lans = { eth1 = "192.168.12.0/24" } }', "{}"))
    assert branchctl(folder, "provision").code == 0
    accept = json.loads((folder / "bundles/b7/gateway.json").read_text())["routing"]["accept"]
    assert len(accept) <= 64


# ---- stable for ever ----


def addresses(folder):
    return {each["name"]: each["address"] for each in json.loads(
        branchctl(folder, "inventory", "--json").out)["members"]}


def test_addresses_stay_whatever_comes_and_goes(fleet):
    before = addresses(fleet)
    text = SMALL.replace("[branches]\n", "[branches]\naix = {}\n").replace(
        'nice = { lans = { eth1 = "192.168.12.0/24" } }\n', "")
    write(fleet, text)
    assert branchctl(fleet, "provision").code == 0
    without = addresses(fleet)
    assert without["aix"] not in before.values()
    write(fleet, text.replace("aix = {}\n", "aix = {}\nnice = {}\nbrest = {}\n"))
    assert branchctl(fleet, "provision").code == 0
    after = addresses(fleet)
    assert {name: after[name] for name in before} == before
    assert len(set(after.values()) - {None}) == 7


def test_an_address_that_was_given_is_given_to_nobody_else(fleet):
    held = addresses(fleet)["nice"]
    write(fleet, SMALL.replace("anna = {}", f'anna = {{ address = "{held}" }}'))
    assert f"{held} was given to nice" in refused(fleet)
    assert "fleet.toml:21" in refused(fleet, "check")


def test_only_the_named_get_bundles_but_all_hubs_know_them(tmp_path):
    folder = write(tmp_path)
    assert branchctl(folder, "provision", "lyon").code == 0
    assert sorted(path.name for path in (folder / "bundles").iterdir()) == ["lyon"]
    assert not (folder / "clients").exists()
    assert sorted(path.name for path in (folder / "kits").iterdir()) == ["dublin", "paris"]
    assert "did you mean nice?" in refused(folder, "provision", "nise")


# ---- interrupted ----


class PowerCut(BaseException):
    """Not an Exception: nobody may catch it."""


def cut_at(monkeypatch, count):
    """Let the count-th change of the disk, of any kind, not take place."""
    left = [count]

    def wrap(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise PowerCut
            return function(*arguments, **options)
        return call

    for name in ("replace", "unlink", "mkdir", "fchmod", "fsync"):
        monkeypatch.setattr(files.os, name, wrap(getattr(os, name)))


def interrupted(folder, monkeypatch, count, *arguments):
    """Whether the power cut came before branchctl was done."""
    with monkeypatch.context() as patched:
        cut_at(patched, count)
        try:
            run = branchctl(folder, *arguments)
        except PowerCut:
            return True
        assert run.code == 0, run.err
        return False


def assert_sound(folder):
    """Everything is there, whole, and of one piece."""
    root = x509.load_pem_x509_certificate((folder / "state/ca/ca.crt").read_bytes())
    record = json.loads((folder / "state/state.json").read_text())
    serials = {each["serial"] for each in record["issued"]}
    for name in ("paris", "dublin", "paris.mesh", "dublin.mesh", "lyon", "nice", "anna"):
        found = certificate(folder, name)
        found.verify_directly_issued_by(root)
        assert f"{found.serial_number:x}" in serials
    for kit in ("kits/paris", "kits/dublin", "bundles/lyon", "bundles/nice"):
        done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "MANIFEST"],
                              cwd=folder / kit, capture_output=True)
        assert done.returncode == 0, done.stdout
    assert not list(folder.rglob(".*branchctl-new"))


def test_a_first_run_cut_anywhere_is_run_again(tmp_path, monkeypatch):
    count = 0
    while True:
        folder = write(tmp_path / str(count))
        if not interrupted(folder, monkeypatch, count, "provision"):
            break
        again = branchctl(folder, "provision")
        assert again.code == 0, (count, again.err)
        assert_sound(folder)
        before = snapshot(folder)
        assert branchctl(folder, "provision").out.startswith("nothing to change"), count
        assert snapshot(folder) == before
        count += 7  # coprime to the calls of one write: every kind of them is met
    assert count > 200


@pytest.mark.parametrize("arguments", [("renew", "lyon", "paris"), ("revoke", "lyon"),
                                       ("rotate", "tls-crypt"), ("rotate", "babel", "--yes")])
def test_other_commands_cut_anywhere_are_completed(tmp_path, monkeypatch, arguments):
    count = 0
    while True:
        folder = write(tmp_path / str(count))
        assert branchctl(folder, "provision").code == 0
        if not interrupted(folder, monkeypatch, count, *arguments):
            break
        assert branchctl(folder, *arguments).code == 0
        if arguments[0] == "revoke":
            assert branchctl(folder, "provision", "lyon").code == 0
        assert branchctl(folder, "provision").code == 0
        assert_sound(folder)
        count += 5
    assert count > 5


def test_a_cut_rotation_takes_no_step_twice(tmp_path, monkeypatch):
    folder = write(tmp_path)
    assert branchctl(folder, "provision").code == 0
    assert interrupted(folder, monkeypatch, 9, "rotate", "babel")
    run = branchctl(folder, "rotate", "babel", "--yes")
    assert "no step was taken" in run.out
    assert json.loads((folder / "state/state.json").read_text())["babel_phase"] == "boards"


# ---- refused before anything is changed ----


def test_a_half_written_state_folder_is_refused(fleet):
    record = fleet / "state/state.json"
    text = record.read_text()
    record.unlink()
    assert "state.json is missing, but" in refused(fleet)
    for broken in ("", text[:100], "[]", '{"format": 99}', text.replace('"issued"', '"isued"'),
                   text.replace('"addresses": {', '"addresses": 1, "x": {')):
        record.write_text(broken)
        assert "backup" in refused(fleet)
    record.write_text(text)
    assert branchctl(fleet, "provision").code == 0


@pytest.mark.parametrize("name", ["credentials/lyon.pem", "ca/ca.crt", "crl.pem", "babel/k1.key",
                                  "tls-crypt-v2/SERVER-1.key", "mesh/paris+dublin.key"])
def test_damaged_files_are_refused(fleet, name):
    path = fleet / "state" / name
    path.write_bytes(path.read_bytes()[:20])
    assert "backup" in refused(fleet)


def test_another_folders_certificates_are_refused(fleet, tmp_path):
    other = write(tmp_path / "other")
    branchctl(other, "provision")
    path = "state/credentials/lyon.pem"
    (fleet / path).write_bytes((other / path).read_bytes())
    assert "has not signed it" in refused(fleet)


def test_a_key_of_another_certificate_is_refused(fleet):
    text = {name: (fleet / f"state/credentials/{name}.pem").read_text()
            for name in ("lyon", "nice")}
    mark = "-----BEGIN CERTIFICATE"
    mixed = text["lyon"].partition(mark)[0] + mark + text["nice"].partition(mark)[2]
    (fleet / "state/credentials/lyon.pem").write_text(mixed)
    assert "do not belong together" in refused(fleet)


def test_an_expired_ca_is_refused_and_can_be_renewed(fleet, monkeypatch):
    at(monkeypatch, clock.now() + 3651 * DAY)
    assert "the CA's certificate expired" in refused(fleet)
    assert "expired" in refused(fleet, "revoke", "lyon")
    before = certificate(fleet, "lyon")
    assert branchctl(fleet, "renew", "--ca").code == 0
    root = x509.load_pem_x509_certificate((fleet / "state/ca/ca.crt").read_bytes())
    assert root.not_valid_after_utc > clock.now() + 3600 * DAY
    before.verify_directly_issued_by(root)


def test_a_clock_in_the_past_is_refused(fleet, tmp_path, monkeypatch):
    at(monkeypatch, clock.now() - 2 * DAY)
    assert "set the clock" in refused(fleet)
    at(monkeypatch, datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC))
    assert "1970" in refused(write(tmp_path / "new"))


def test_two_fleets_in_one_folder_are_refused(fleet):
    (fleet / "second.toml").write_text(SMALL.replace('"acme"', '"other"'))
    message = refused(fleet, "provision", "--fleet", fleet / "second.toml")
    assert "belongs to the network acme" in message


@pytest.mark.parametrize("path", ["kits/paris", "bundles/lyon", "clients/anna.ovpn"])
def test_what_another_fleet_has_made_is_refused(fleet, tmp_path, path):
    other = write(tmp_path / "other")
    (other / path).parent.mkdir(parents=True)
    (fleet / path).rename(other / path)
    assert "another fleet" in refused(other)


def test_folders_that_nobody_has_made_are_refused(fleet):
    (fleet / "kits/paris/MANIFEST").unlink()
    assert "has not made it" in refused(fleet)


def test_a_second_branchctl_at_once_is_refused(fleet):
    from branchctl.fleet import load
    from branchctl.state import State

    with State.open(load(fleet / "fleet.toml")[0]):
        assert "another branchctl" in refused(fleet)


# ---- the CA's key ----


def test_a_locked_ca_key_is_asked_for_only_to_sign(tmp_path):
    folder = write(tmp_path)
    env = {"BRANCHCTL_CA_PASSPHRASE": "correct horse"}
    assert branchctl(folder, "provision", env=env).code == 0
    assert "ENCRYPTED" in (folder / "state/ca/ca.key").read_text()
    assert branchctl(folder, "provision").code == 0
    assert "is locked" in refused(folder, "renew", "lyon")
    assert "wrong passphrase" in refused(folder, "renew", "lyon",
                                         env={"BRANCHCTL_CA_PASSPHRASE": "battery"})
    (tmp_path / "passphrase").write_text("correct horse\n")
    assert branchctl(folder, "revoke", "lyon", "--ca-passphrase-file",
                     tmp_path / "passphrase").code == 0
    assert "no passphrase" in refused(write(tmp_path / "x"), "provision", "--encrypt-ca")


def make_intermediate(folder, network="acme"):
    """An offline root, and a CA under it: the files of its chain and key."""
    now = clock.now()
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = authority.self_signed(root_key, network, now, now + 4000 * DAY)
    # self_signed() has a path length of 0; a root with a CA below needs more.
    builder = authority._begin(authority._subject(network, "root"), root_key.public_key(),
                               x509.random_serial_number(), now, now + 4000 * DAY)
    usage = (authority._usage("key_cert_sign", "crl_sign"), True)
    root = builder.issuer_name(authority._subject(network, "root")).add_extension(
        x509.BasicConstraints(True, None), True).add_extension(*usage).sign(
        root_key, authority.hashes.SHA256())
    builder = authority._begin(authority._subject(network, "online CA"), key.public_key(),
                               x509.random_serial_number(), now, now + 2000 * DAY)
    lower = builder.issuer_name(root.subject).add_extension(
        x509.BasicConstraints(True, 0), True).add_extension(*usage).sign(
        root_key, authority.hashes.SHA256())
    (folder / "chain.pem").write_text(authority.pem(lower) + authority.pem(root))
    (folder / "ca.key").write_text(authority.key_pem(key))
    return folder / "chain.pem", folder / "ca.key"


def test_an_intermediate_ca_under_an_offline_root(tmp_path):
    folder = write(tmp_path / "fleet")
    chain, key = make_intermediate(tmp_path)
    assert "name it with --ca-key" in refused(folder, "provision", "--ca-cert", chain)
    run = branchctl(folder, "provision", "--ca-cert", chain, "--ca-key", key)
    assert run.code == 0, run.err
    assert not (folder / "state/ca/ca.key").exists()
    assert branchctl(folder, "provision").code == 0
    assert "--ca-key" in refused(folder, "renew", "lyon")
    assert branchctl(folder, "renew", "lyon", "--ca-key", key).code == 0
    keys = folder / "kits/paris/files/etc/openvpn/server/branchline"
    assert (keys / "hub.crt").read_text().count("BEGIN CERTIFICATE") == 2
    done = subprocess.run(["openssl", "verify", "-purpose", "sslserver", "-CAfile",
                           str(keys / "ca.crt"), str(keys / "hub.crt")], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_chain_without_its_root_is_refused(tmp_path):
    folder = write(tmp_path / "fleet")
    chain, key = make_intermediate(tmp_path)
    chain.write_text(chain.read_text().partition("-----END CERTIFICATE-----\n")[0]
                     + "-----END CERTIFICATE-----\n")
    assert "the root last" in refused(folder, "provision", "--ca-cert", chain, "--ca-key", key)
