"""Keys survive SIGKILL, and their material is nowhere in the clear."""

import stat

import boto3
import pytest
from botocore.config import Config

pytestmark = pytest.mark.crash


def client_of(server):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
    return boto3.client("kms", endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def test_an_acknowledged_key_survives_a_kill_and_decrypts(server_process, tmp_path):
    server = server_process().start()
    kms = client_of(server)
    blobs = []
    for number in range(5):
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.rotate_key_on_demand(KeyId=key)
        text = f"number {number}".encode()
        blobs.append((key, text, kms.encrypt(KeyId=key, Plaintext=text)["CiphertextBlob"]))
    pair = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    server.kill()
    master = tmp_path / "the data" / "kms.key"
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    assert master.stat().st_size == 32
    assert b"PRIVATE" not in master.read_bytes()
    kms = client_of(server.start())
    for key, text, blob in blobs:
        assert kms.decrypt(CiphertextBlob=blob, KeyId=key)["Plaintext"] == text
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    kms.sign(KeyId=pair, Message=b"m", SigningAlgorithm="RSASSA_PSS_SHA_256")
    assert len(kms.list_keys()["Keys"]) == 6


def test_without_its_master_key_nothing_decrypts(server_process, tmp_path):
    server = server_process().start()
    kms = client_of(server)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    server.kill()
    master = tmp_path / "the data" / "kms.key"
    right = master.read_bytes()
    master.write_bytes(b"\0" * 32)
    kms = client_of(server.start())
    with pytest.raises(kms.exceptions.KMSInternalException):
        kms.decrypt(CiphertextBlob=blob)
    server.kill()
    master.write_bytes(right)
    assert client_of(server.start()).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
