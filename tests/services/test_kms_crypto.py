"""What KMS's keys do: encrypt, sign, authenticate, agree; imported material; as boto3 and other libraries see it."""

import hashlib
import hmac
import os

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

DAY = 86_400


@pytest.fixture
def kms(aws):
    return aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture
def rsa(kms):
    """Makes RSA_2048 keys."""
    return lambda usage: kms.create_key(KeySpec="RSA_2048", KeyUsage=usage)["KeyMetadata"]["KeyId"]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


def test_what_is_encrypted_is_decrypted_in_the_same_context_alone(kms, key):
    answer = kms.encrypt(KeyId=key, Plaintext=b"p" * 4096, EncryptionContext={"a": "1", "b": "2"})
    blob = answer["CiphertextBlob"]
    assert b"pppp" not in blob
    assert answer["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    found = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"b": "2", "a": "1"})
    assert (found["Plaintext"], found["KeyId"]) == (b"p" * 4096, answer["KeyId"])
    for context in ({}, {"a": "1"}, {"a": "12", "b": ""}, {"a": "2", "b": "1"}):
        assert refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext=context) == "InvalidCiphertextException"
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"p" * 4097) == "ValidationException"
    assert refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "1", "b": "2"}, DryRun=True) == (
        "DryRunOperationException"
    )


def test_a_ciphertext_that_was_changed_is_refused(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    assert refused(kms.decrypt, CiphertextBlob=blob[:-1]) == "InvalidCiphertextException"
    assert refused(kms.decrypt, CiphertextBlob=b"x" * len(blob)) == "InvalidCiphertextException"
    for place in (0, 18, 25, len(blob) - 1):
        changed = bytearray(blob)
        changed[place] ^= 1
        assert refused(kms.decrypt, CiphertextBlob=bytes(changed)) == "InvalidCiphertextException", place
    changed = bytearray(blob)
    changed[5] ^= 1  # names another key
    assert refused(kms.decrypt, CiphertextBlob=bytes(changed)) == "AccessDeniedException"


def test_decrypt_may_insist_on_a_key(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, KeyId=key)["Plaintext"] == b"x"
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId=other) == "IncorrectKeyException"


def test_a_ciphertext_goes_from_key_to_key(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
    answer = kms.re_encrypt(
        CiphertextBlob=blob, SourceEncryptionContext={"a": "1"}, DestinationKeyId=other,
        DestinationEncryptionContext={"b": "2"},
    )  # fmt: skip
    assert (answer["SourceKeyId"].split("/")[1], answer["KeyId"].split("/")[1]) == (key, other)
    found = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"b": "2"}, KeyId=other)
    assert found["Plaintext"] == b"x"
    assert refused(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other) == "InvalidCiphertextException"
    assert (
        refused(kms.re_encrypt, CiphertextBlob=blob, SourceKeyId=other, DestinationKeyId=key) == "IncorrectKeyException"
    )


def test_data_keys_are_random_and_can_be_opened_again(kms, key):
    answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "1"})
    assert len(answer["Plaintext"]) == 32
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"a": "1"})
    assert opened["Plaintext"] == answer["Plaintext"]
    assert len(kms.generate_data_key(KeyId=key, KeySpec="AES_128")["Plaintext"]) == 16
    assert kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"] != answer["Plaintext"]
    blind = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
    assert "Plaintext" not in blind
    assert len(kms.decrypt(CiphertextBlob=blind["CiphertextBlob"])["Plaintext"]) == 64
    assert refused(kms.generate_data_key, KeyId=key) == "ValidationException"
    assert refused(kms.generate_data_key, KeyId=key, KeySpec="AES_256", NumberOfBytes=1) == "ValidationException"
    assert refused(kms.generate_data_key, KeyId=key, NumberOfBytes=1025) == "ValidationException"
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    assert refused(kms.generate_data_key, KeyId=mac, KeySpec="AES_256") == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256"])
def test_data_key_pairs_belong_together(kms, key, spec):
    answer = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=spec)
    private = s.load_der_private_key(answer["PrivateKeyPlaintext"], None)
    public = private.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    assert public == answer["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert opened == answer["PrivateKeyPlaintext"]
    blind = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in blind
    assert refused(kms.generate_data_key_pair, KeyId=key, KeyPairSpec="SM2") == "UnsupportedOperationException"


def test_random_bytes(kms):
    first, second = (kms.generate_random(NumberOfBytes=1024)["Plaintext"] for _ in range(2))
    assert len(first) == 1024
    assert first != second
    assert refused(kms.generate_random, NumberOfBytes=1025) == "ValidationException"
    assert refused(kms.generate_random) == "ValidationException"


# pairs


def test_an_rsa_key_encrypts_what_its_size_leaves_room_for(kms, rsa):
    key = rsa("ENCRYPT_DECRYPT")
    for algorithm, most in (("RSAES_OAEP_SHA_256", 190), ("RSAES_OAEP_SHA_1", 214)):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x" * most, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
        found = kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
        assert found["Plaintext"] == b"x" * most
        too_much = {"Plaintext": b"x" * (most + 1), "EncryptionAlgorithm": algorithm}
        assert refused(kms.encrypt, KeyId=key, **too_much) == "ValidationException"
    public = s.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    outside = public.encrypt(b"from outside", padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    inside = {"CiphertextBlob": outside, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    assert kms.decrypt(KeyId=key, **inside)["Plaintext"] == b"from outside"
    assert refused(kms.decrypt, **inside) == "ValidationException"
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == "InvalidKeyUsageException"
    damaged = {"CiphertextBlob": b"\x01" * 256, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    assert refused(kms.decrypt, KeyId=key, **damaged) == "InvalidCiphertextException"


@pytest.mark.parametrize("digest", [256, 384, 512])
def test_an_rsa_key_signs_for_others_to_verify(kms, rsa, digest):
    key = rsa("SIGN_VERIFY")
    public = s.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    hashed = {256: hashes.SHA256, 384: hashes.SHA384, 512: hashes.SHA512}[digest]()
    for scheme, pads in (
        ("PKCS1_V1_5", padding.PKCS1v15()),
        ("PSS", padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)),
    ):
        algorithm = {"SigningAlgorithm": f"RSASSA_{scheme}_SHA_{digest}"}
        signature = kms.sign(KeyId=key, Message=b"message", **algorithm)["Signature"]
        public.verify(signature, b"message", pads, hashed)
        short = hashlib.new(f"sha{digest}", b"message").digest()
        assert kms.verify(KeyId=key, Message=short, MessageType="DIGEST", Signature=signature, **algorithm)[
            "SignatureValid"
        ]
        assert refused(kms.verify, KeyId=key, Message=b"other", Signature=signature, **algorithm) == (
            "KMSInvalidSignatureException"
        )
        assert (
            refused(kms.sign, KeyId=key, Message=short[1:], MessageType="DIGEST", **algorithm) == "ValidationException"
        )


@pytest.mark.parametrize(
    ("spec", "algorithm", "hashed"),
    [
        ("ECC_NIST_P256", "ECDSA_SHA_256", hashes.SHA256()),
        ("ECC_NIST_P521", "ECDSA_SHA_512", hashes.SHA512()),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", hashes.SHA256()),
    ],
)
def test_an_elliptic_curve_key_signs_for_others_to_verify(kms, spec, algorithm, hashed):
    key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signature = kms.sign(KeyId=key, Message=b"m" * 4096, SigningAlgorithm=algorithm)["Signature"]
    public = s.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    public.verify(signature, b"m" * 4096, ec.ECDSA(hashed))
    assert (
        refused(kms.sign, KeyId=key, Message=b"m", SigningAlgorithm="RSASSA_PSS_SHA_256") == "InvalidKeyUsageException"
    )
    assert refused(kms.sign, KeyId=key, Message=b"m" * 4097, SigningAlgorithm=algorithm) == "ValidationException"
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == "InvalidKeyUsageException"


def test_an_edwards_key_signs_messages(kms):
    key = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signature = kms.sign(KeyId=key, Message=b"m", SigningAlgorithm="ED25519_SHA_512")["Signature"]
    public = s.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, b"m")
    refusal = refused(kms.sign, KeyId=key, Message=b"m", MessageType="DIGEST", SigningAlgorithm="ED25519_SHA_512")
    assert refusal == "ValidationException"
    refusal = refused(kms.sign, KeyId=key, Message=b"m" * 64, SigningAlgorithm="ED25519_PH_SHA_512")
    assert refusal == "UnsupportedOperationException"


def test_two_keys_agree_on_a_secret(kms):
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    mine = ec.generate_private_key(ec.SECP256R1())
    public = mine.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    found = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)["SharedSecret"]
    theirs = s.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert found == mine.exchange(ec.ECDH(), theirs)
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    public = other.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    ask = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH"}
    assert refused(kms.derive_shared_secret, **ask, PublicKey=public) == "InvalidKeyUsageException"
    assert refused(kms.derive_shared_secret, **ask, PublicKey=b"none") == "ValidationException"


def test_macs_are_made_and_verified(kms, key):
    mac_key = kms.create_key(KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    ask = {"KeyId": mac_key, "Message": b"m" * 4096, "MacAlgorithm": "HMAC_SHA_384"}
    mac = kms.generate_mac(**ask)["Mac"]
    assert len(mac) == 48
    assert kms.verify_mac(**ask, Mac=mac)["MacValid"] is True
    assert refused(kms.verify_mac, **{**ask, "Message": b"n"}, Mac=mac) == "KMSInvalidMacException"
    assert refused(kms.generate_mac, **{**ask, "MacAlgorithm": "HMAC_SHA_256"}) == "InvalidKeyUsageException"
    assert refused(kms.generate_mac, **{**ask, "KeyId": key}) == "InvalidKeyUsageException"
    assert refused(kms.generate_mac, **ask, DryRun=True) == "DryRunOperationException"
    assert refused(kms.get_public_key, KeyId=mac_key) == "UnsupportedOperationException"


# imported material


def wrap(parameters, algorithm, secret):
    public = s.load_der_public_key(parameters["PublicKey"])
    digest = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    if algorithm.startswith("RSAES"):
        return public.encrypt(secret, oaep)
    wrapping = os.urandom(32)
    return public.encrypt(wrapping, oaep) + aes_key_wrap_with_padding(wrapping, secret)


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"])
def test_material_is_imported_deleted_and_imported_again(kms, algorithm):
    key = kms.create_key(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    assert key["KeyState"] == "PendingImport"
    key = key["KeyId"]
    ask = {"KeyId": key, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    assert refused(kms.generate_mac, **ask) == "KMSInvalidStateException"
    secret = os.urandom(32)
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    give = {"KeyId": key, "ImportToken": parameters["ImportToken"], "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    short = wrap(parameters, algorithm, secret[1:])
    assert refused(kms.import_key_material, **give, EncryptedKeyMaterial=short) == "IncorrectKeyMaterialException"
    assert refused(kms.import_key_material, **give, EncryptedKeyMaterial=b"x" * 256) == "InvalidCiphertextException"
    kms.import_key_material(**give, EncryptedKeyMaterial=wrap(parameters, algorithm, secret))
    assert kms.generate_mac(**ask)["Mac"] == hmac.digest(secret, b"m", "sha256")
    kms.delete_imported_key_material(KeyId=key)
    assert refused(kms.generate_mac, **ask) == "KMSInvalidStateException"
    other = wrap(parameters, algorithm, os.urandom(32))
    assert refused(kms.import_key_material, **give, EncryptedKeyMaterial=other) == "IncorrectKeyMaterialException"
    kms.import_key_material(**give, EncryptedKeyMaterial=wrap(parameters, algorithm, secret))
    assert kms.generate_mac(**ask)["Mac"] == hmac.digest(secret, b"m", "sha256")


def test_imported_material_and_its_token_expire(kms, key, clock):
    outside = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    assert refused(kms.enable_key_rotation, KeyId=outside) == "UnsupportedOperationException"
    assert refused(kms.delete_imported_key_material, KeyId=outside) == "KMSInvalidStateException"
    how = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    assert refused(kms.get_parameters_for_import, KeyId=key, **how) == "UnsupportedOperationException"
    parameters = kms.get_parameters_for_import(KeyId=outside, **how)
    sealed = wrap(parameters, "RSAES_OAEP_SHA_256", os.urandom(32))
    give = {"KeyId": outside, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": sealed}
    assert refused(kms.import_key_material, **give) == "ValidationException"
    assert refused(kms.import_key_material, **give, ValidTo=clock.now() - 1) == "ValidationException"
    assert refused(kms.import_key_material, **give, ValidTo=clock.now() + 366 * DAY) == "ValidationException"
    assert refused(kms.import_key_material, **{**give, "ImportToken": b"t"}, ValidTo=clock.now() + 60) == (
        "InvalidImportTokenException"
    )
    kms.import_key_material(**give, ValidTo=clock.now() + 3600)
    blob = kms.encrypt(KeyId=outside, Plaintext=b"x")["CiphertextBlob"]
    shown = kms.describe_key(KeyId=outside)["KeyMetadata"]
    assert (shown["KeyState"], shown["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_EXPIRES")
    clock.advance(3601)
    assert refused(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    kms.import_key_material(**give, ValidTo=clock.now() + 3600)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    clock.advance(DAY)
    assert refused(kms.import_key_material, **give, ValidTo=clock.now() + 60) == "ExpiredImportTokenException"
