"""Drives a running emulator with Microsoft's Python SDKs, as any user of Key Vault would.

    sdk.py STATE_DIR

STATE_DIR is what `keyward-vault serve --state-dir` wrote. With KEYWARD_IMDS=1 the emulator must also serve IMDS at
169.254.169.254. No value is ever printed.
"""

import base64
import contextlib
import datetime
import json
import os
import pathlib
import ssl
import sys
import traceback
import urllib.request

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    KeyCurveName,
    KeyType as CertificateKeyType,
)
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyCurveName as Curve, KeyType
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
CLIENT_SECRET = "not-a-real-client-secret"
SCOPE = "https://vault.azure.net/.default"
TESTS = []


def test(function):
    """Registers a test; its name is the sentence it proves."""
    TESTS.append(function)
    return function


class World:
    """The running emulator and clients for its vault `acme`."""

    def __init__(self, state: pathlib.Path):
        self.ca = str(state / "ca.pem")
        self.endpoints = json.loads((state / "endpoints.json").read_text())
        credential = self.by_secret()
        options = {"verify_challenge_resource": False, "connection_verify": self.ca, "retry_total": 0}
        vault = self.endpoints["vaults"]["acme"]
        self.secrets = SecretClient(vault, credential, **options)
        self.keys = KeyClient(vault, credential, **options)
        self.certificates = CertificateClient(vault, credential, **options)

    def authority(self) -> dict:
        """Options of a credential that signs in at the emulator. MSAL would ask the public cloud about its host."""
        return {
            "authority": self.endpoints["authority"],
            "disable_instance_discovery": True,
            "connection_verify": self.ca,
            "retry_total": 0,
        }

    def by_secret(self) -> ClientSecretCredential:
        return ClientSecretCredential(TENANT, CLIENT, CLIENT_SECRET, **self.authority())

    def projected_token(self, **asked) -> str:
        """A token of the emulated cluster, as the kubelet would project it."""
        request = urllib.request.Request(self.endpoints["projectedToken"], json.dumps(asked).encode(), method="POST")
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(request, context=context) as answer:
            return json.load(answer)["token"]

    def opens_the_vault(self, credential) -> None:
        """Reads a secret by this credential alone."""
        options = {"verify_challenge_resource": False, "connection_verify": self.ca, "retry_total": 0}
        client = SecretClient(self.endpoints["vaults"]["acme"], credential, **options)
        same(client.get_secret("db-password").name, "db-password")


def same(found, expected):
    if found != expected:
        raise AssertionError("not what was expected (values are not shown)")


def inner_code(error: HttpResponseError):
    return json.loads(error.response.text())["error"].get("innererror", {}).get("code")


@contextlib.contextmanager
def refused(kind, status):
    """The block must be refused in this way; yields a dict that gets the error."""
    held = {}
    try:
        yield held
    except kind as error:
        held["error"] = error
        same(error.status_code, status)
    else:
        raise AssertionError(f"was not refused with {status}")


# Secrets ------------------------------------------------------------------------------------------


@test
def a_secret_is_set_and_read(world):
    expires = datetime.datetime(2033, 5, 18, tzinfo=datetime.timezone.utc)
    world.secrets.set_secret("one", "kwcanary-1", content_type="text/plain", tags={"team": "a"}, expires_on=expires)
    secret = world.secrets.get_secret("one")
    same(secret.value, "kwcanary-1")
    same(
        (secret.properties.content_type, secret.properties.tags, secret.properties.expires_on),
        ("text/plain", {"team": "a"}, expires),
    )
    same(secret.properties.recovery_level, "Recoverable+Purgeable")


@test
def every_version_of_a_secret_is_read_by_its_id(world):
    first = world.secrets.set_secret("versions", "kwcanary-1").properties.version
    second = world.secrets.set_secret("versions", "kwcanary-2").properties.version
    same(world.secrets.get_secret("versions", first).value, "kwcanary-1")
    same(world.secrets.get_secret("versions").properties.version, second)
    listed = {item.version for item in world.secrets.list_properties_of_secret_versions("versions")}
    same(listed, {first, second})


@test
def more_than_a_page_of_secrets_is_listed_whole(world):
    names = {f"page-{number:02}" for number in range(60)}
    for name in names:
        world.secrets.set_secret(name, "kwcanary")
    pages = [list(page) for page in world.secrets.list_properties_of_secrets().by_page()]
    same(names <= {item.name for page in pages for item in page}, True)
    same(len(pages) >= 3 and all(len(page) <= 25 for page in pages), True)
    few = next(world.secrets.list_properties_of_secrets(max_page_size=7).by_page())
    same(len(list(few)), 7)


@test
def a_disabled_secret_is_refused_with_its_reason(world):
    world.secrets.set_secret("off", "kwcanary")
    changed = world.secrets.update_secret_properties("off", enabled=False, tags={"k": "v"})
    same((changed.enabled, changed.tags), (False, {"k": "v"}))
    with refused(HttpResponseError, 403) as held:
        world.secrets.get_secret("off")
    same(inner_code(held["error"]), "SecretDisabled")


@test
def a_missing_secret_is_not_found(world):
    with refused(ResourceNotFoundError, 404):
        world.secrets.get_secret("missing")


@test
def a_secret_is_deleted_recovered_and_purged(world):
    world.secrets.set_secret("mortal", "kwcanary")
    deleted = world.secrets.begin_delete_secret("mortal").result()
    same(deleted.recovery_id.endswith("/deletedsecrets/mortal"), True)
    with refused(ResourceExistsError, 409):
        world.secrets.set_secret("mortal", "kwcanary")
    same("mortal" in {item.name for item in world.secrets.list_deleted_secrets()}, True)
    poller = world.secrets.begin_recover_deleted_secret("mortal")
    poller.wait()
    same(world.secrets.get_secret("mortal").value, "kwcanary")
    world.secrets.begin_delete_secret("mortal").wait()
    same(world.secrets.get_deleted_secret("mortal").name, "mortal")
    world.secrets.purge_deleted_secret("mortal")
    with refused(ResourceNotFoundError, 404):
        world.secrets.get_deleted_secret("mortal")


# Certificates -------------------------------------------------------------------------------------


def pfx_of(secret):
    """Key, leaf and further certificates of a certificate's secret."""
    return pkcs12.load_key_and_certificates(base64.b64decode(secret.value), b"")


def public_bytes(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@test
def the_default_policy_makes_an_rsa_certificate(world):
    poller = world.certificates.begin_create_certificate("plain", CertificatePolicy.get_default())
    certificate = poller.result()
    same(certificate.policy.key_type, CertificateKeyType.rsa)
    leaf = x509.load_der_x509_certificate(bytes(certificate.cer))
    same(leaf.subject.rfc4514_string(), "CN=DefaultPolicy")
    twin = world.secrets.get_secret("plain")
    same((twin.properties.managed, twin.properties.content_type), (True, "application/x-pkcs12"))
    key, found, rest = pfx_of(twin)
    same((public_bytes(key.public_key()), found, rest), (public_bytes(leaf.public_key()), leaf, []))
    same(twin.properties.version, certificate.properties.version)


@test
def an_elliptic_certificate_has_its_names_and_a_pem_secret(world):
    policy = CertificatePolicy(
        "Self",
        subject="CN=pem.example,O=Acme",
        san_dns_names=["pem.example", "www.pem.example"],
        key_type=CertificateKeyType.ec,
        key_curve_name=KeyCurveName.p_384,
        content_type=CertificateContentType.pem,
        validity_in_months=3,
    )
    certificate = world.certificates.begin_create_certificate("elliptic", policy, tags={"k": "v"}).result()
    leaf = x509.load_der_x509_certificate(bytes(certificate.cer))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same(names.get_values_for_type(x509.DNSName), ["pem.example", "www.pem.example"])
    same(certificate.properties.tags, {"k": "v"})
    pem = world.secrets.get_secret("elliptic").value.encode()
    key = serialization.load_pem_private_key(pem, None)
    same(public_bytes(key.public_key()), public_bytes(leaf.public_key()))
    same(x509.load_pem_x509_certificates(pem), [leaf])


@test
def a_key_that_may_not_be_exported_stays(world):
    policy = CertificatePolicy("Self", subject="CN=locked", key_type=CertificateKeyType.ec, exportable=False)
    world.certificates.begin_create_certificate("locked", policy).wait()
    key, _, rest = pfx_of(world.secrets.get_secret("locked"))
    same((key, len(rest)), (None, 1))


@test
def a_seeded_chain_is_complete_and_is_imported_again(world):
    key, leaf, rest = pfx_of(world.secrets.get_secret("shop-tls"))
    same(len(rest), 2)
    for child, issuer in zip([leaf, *rest], rest):
        child.verify_directly_issued_by(issuer)
    protected = pkcs12.serialize_key_and_certificates(
        b"shop", key, leaf, rest, serialization.BestAvailableEncryption(b"kwcanary-password")
    )
    imported = world.certificates.import_certificate("imported-pfx", protected, password="kwcanary-password")
    same(bytes(imported.cer), leaf.public_bytes(serialization.Encoding.DER))
    same(len(pfx_of(world.secrets.get_secret("imported-pfx"))[2]), 2)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + b"".join(part.public_bytes(serialization.Encoding.PEM) for part in [leaf, *rest])
    policy = CertificatePolicy("Unknown", subject="CN=x", content_type=CertificateContentType.pem)
    imported = world.certificates.import_certificate("imported-pem", pem, policy=policy)
    same(bytes(imported.cer), leaf.public_bytes(serialization.Encoding.DER))
    same(len(x509.load_pem_x509_certificates(world.secrets.get_secret("imported-pem").value.encode())), 3)


@test
def certificates_are_listed_changed_and_versioned(world):
    policy = CertificatePolicy("Self", subject="CN=changing", key_type=CertificateKeyType.ec)
    first = world.certificates.begin_create_certificate("changing", policy).result()
    second = world.certificates.begin_create_certificate("changing", policy).result()
    versions = {item.version for item in world.certificates.list_properties_of_certificate_versions("changing")}
    same(versions, {first.properties.version, second.properties.version})
    same("changing" in {item.name for item in world.certificates.list_properties_of_certificates()}, True)
    old = world.certificates.get_certificate_version("changing", first.properties.version)
    same(old.properties.x509_thumbprint, first.properties.x509_thumbprint)
    world.certificates.update_certificate_properties("changing", tags={"a": "b"})
    same(world.certificates.get_certificate("changing").properties.tags, {"a": "b"})
    policy = world.certificates.get_certificate_policy("changing")
    same((policy.subject, policy.key_type), ("CN=changing", CertificateKeyType.ec))
    same(world.certificates.get_certificate_operation("changing").status, "completed")


@test
def a_certificate_is_deleted_recovered_and_purged_with_its_secret(world):
    policy = CertificatePolicy("Self", subject="CN=mortal", key_type=CertificateKeyType.ec)
    world.certificates.begin_create_certificate("mortal-tls", policy).wait()
    world.certificates.begin_delete_certificate("mortal-tls").wait()
    with refused(ResourceNotFoundError, 404):
        world.secrets.get_secret("mortal-tls")
    same("mortal-tls" in {item.name for item in world.certificates.list_deleted_certificates()}, True)
    world.certificates.begin_recover_deleted_certificate("mortal-tls").wait()
    same(world.secrets.get_secret("mortal-tls").properties.managed, True)
    world.certificates.begin_delete_certificate("mortal-tls").wait()
    world.certificates.purge_deleted_certificate("mortal-tls")
    with refused(ResourceNotFoundError, 404):
        world.certificates.get_deleted_certificate("mortal-tls")


# Keys ---------------------------------------------------------------------------------------------


@test
def keys_of_every_kind_are_made(world):
    for size in (2048, 3072):
        key = world.keys.create_rsa_key(f"rsa-{size}", size=size)
        same((key.key_type, len(key.key.n) * 8), (KeyType.rsa, size))
    for curve, octets in ((Curve.p_256, 32), (Curve.p_384, 48), (Curve.p_521, 66)):
        key = world.keys.create_ec_key(f"ec-{octets}", curve=curve)
        same((key.key.crv, len(key.key.x), len(key.key.y)), (curve, octets, octets))
    same(world.keys.get_key("receipt-signing").key.d, None)


@test
def keys_are_versioned_listed_changed_and_imported(world):
    first = world.keys.create_ec_key("signing").properties.version
    second = world.keys.create_ec_key("signing", tags={"a": "b"}).properties.version
    same({item.version for item in world.keys.list_properties_of_key_versions("signing")}, {first, second})
    same(world.keys.get_key("signing", first).properties.version, first)
    same("signing" in {item.name for item in world.keys.list_properties_of_keys()}, True)
    changed = world.keys.update_key_properties("signing", enabled=False, key_operations=["verify"])
    same((changed.properties.enabled, changed.key_operations), (False, ["verify"]))
    with refused(HttpResponseError, 403) as held:
        world.keys.get_key("signing")
    same(inner_code(held["error"]), "KeyDisabled")
    public = world.keys.get_key("token-signing").key
    mine = JsonWebKey(kty="EC", crv="P-256", x=public.x, y=public.y, d=b"\x01" * 32)
    same(world.keys.import_key("mine", mine).key.d, None)


@test
def a_key_is_deleted_recovered_and_purged(world):
    world.keys.create_ec_key("mortal-key")
    same(world.keys.begin_delete_key("mortal-key").result().name, "mortal-key")
    same("mortal-key" in {item.name for item in world.keys.list_deleted_keys()}, True)
    world.keys.begin_recover_deleted_key("mortal-key").wait()
    same(world.keys.get_key("mortal-key").name, "mortal-key")
    world.keys.begin_delete_key("mortal-key").wait()
    world.keys.purge_deleted_key("mortal-key")
    with refused(ResourceNotFoundError, 404):
        world.keys.get_deleted_key("mortal-key")


# Credentials --------------------------------------------------------------------------------------


@test
def a_wrong_client_secret_is_refused_with_entras_number(world):
    credential = ClientSecretCredential(TENANT, CLIENT, "wrong", **world.authority())
    try:
        credential.get_token(SCOPE)
    except ClientAuthenticationError as error:
        same("AADSTS7000215" in str(error), True)
    else:
        raise AssertionError("a wrong secret was accepted")


@test
def a_projected_token_opens_the_vault(world):
    def assertion():
        return world.projected_token(
            namespace="keyward",
            serviceAccount="keyward-broker",
            pod="keyward-broker-0",
            audience="api://AzureADTokenExchange",
        )

    world.opens_the_vault(ClientAssertionCredential(TENANT, CLIENT, assertion, **world.authority()))


@test
def app_service_identity_opens_the_vault(world):
    os.environ["IDENTITY_ENDPOINT"] = world.endpoints["identityEndpoint"]
    os.environ["IDENTITY_HEADER"] = world.endpoints["identityHeader"]
    try:
        world.opens_the_vault(ManagedIdentityCredential())
        world.opens_the_vault(ManagedIdentityCredential(client_id=CLIENT))
    finally:
        del os.environ["IDENTITY_ENDPOINT"], os.environ["IDENTITY_HEADER"]


if os.environ.get("KEYWARD_IMDS") == "1":

    @test
    def imds_at_its_well_known_address_opens_the_vault(world):
        world.opens_the_vault(ManagedIdentityCredential())


def main() -> int:
    world = World(pathlib.Path(sys.argv[1]))
    failed = 0
    for function in TESTS:
        try:
            function(world)
            print(f"ok      {function.__name__}", flush=True)
        except Exception:  # noqa: BLE001 - every failure is one line of the report
            failed += 1
            print(f"FAILED  {function.__name__}", flush=True)
            traceback.print_exc()
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
