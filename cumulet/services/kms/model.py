"""Keys, key material, aliases and grants: records, store keys, and what each key spec can do.

A key's material is kept apart from it, one row a backing key, numbered from 1: rotation adds a row, and what an older one
encrypted names its number. A row holds the material wrapped by the machine's master key (see material.py).

States: Enabled <-> Disabled; either -> PendingDeletion (7-30 days) -> gone, or back to Disabled. A key for imported material
begins as PendingImport, and goes back there when its material expires or is deleted.
"""

from __future__ import annotations

import msgspec

from cumulet.kernel.keys import Key as StoreKey
from cumulet.kernel.record import Record

ROOT = "kms"
DAY_S = 86_400.0
KEYS = 100_000
ALIASES_A_KEY = 50
GRANTS_A_KEY = 50_000
ON_DEMAND_ROTATIONS = 25
POLICY_BYTES = 32_768
TAGS = 50
PERIOD_DAYS = 365

ENABLED, DISABLED, PENDING_DELETION, PENDING_IMPORT = "Enabled", "Disabled", "PendingDeletion", "PendingImport"
ENCRYPT, SIGN, MAC, AGREE = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"
SYMMETRIC = "SYMMETRIC_DEFAULT"

USAGES: dict[str, tuple[str, ...]] = {
    SYMMETRIC: (ENCRYPT,),
    **dict.fromkeys(("RSA_2048", "RSA_3072", "RSA_4096"), (ENCRYPT, SIGN)),
    **dict.fromkeys(("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"), (SIGN, AGREE)),
    **dict.fromkeys(("ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"), (SIGN,)),
    **dict.fromkeys(("HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"), (MAC,)),
}
HMAC_BYTES = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
_RSA_ENCRYPTION = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
_RSA_SIGNING = [f"RSASSA_{scheme}_SHA_{size}" for scheme in ("PKCS1_V1_5", "PSS") for size in (256, 384, 512)]
_ECC_SIGNING = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
    "ECC_NIST_EDWARDS25519": "ED25519_SHA_512",
}


def algorithms(spec: str, usage: str) -> tuple[str, list[str]]:
    """(the member of KeyMetadata that lists them, what a key of this spec and usage can do)."""
    if usage == ENCRYPT:
        return "EncryptionAlgorithms", [SYMMETRIC] if spec == SYMMETRIC else _RSA_ENCRYPTION
    if usage == MAC:
        return "MacAlgorithms", [f"HMAC_SHA_{spec[5:]}"]
    if usage == AGREE:
        return "KeyAgreementAlgorithms", ["ECDH"]
    return "SigningAlgorithms", _RSA_SIGNING if spec.startswith("RSA") else [_ECC_SIGNING[spec]]


class Key(Record):
    """A KMS key.

    manager      "CUSTOMER", or "AWS" for the key behind alias/aws/SERVICE
    material     the number of the current backing key; 0 while none is imported
    public       SubjectPublicKeyInfo of a key pair
    period_days  of automatic rotation; 0: off. rotates_at: when the next one is due
    turned       how often it was rotated on demand
    valid_to     when imported material expires; 0: never
    """

    account: str
    region: str
    id: str
    created: float
    spec: str
    usage: str
    policy: str
    description: str = ""
    state: str = ENABLED
    origin: str = "AWS_KMS"
    manager: str = "CUSTOMER"
    material: int = 1
    public: bytes = b""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    window_days: int = 0
    deleted_at: float = 0.0
    period_days: int = 0
    rotates_at: float = 0.0
    turned: int = 0
    valid_to: float = 0.0

    @property
    def key(self) -> StoreKey:
        return key_key(self.id)

    @property
    def arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account}:key/{self.id}"

    @property
    def symmetric(self) -> bool:
        return self.spec == SYMMETRIC


class Material(Record):
    """A backing key, wrapped. `kind`: why it came ("", AUTOMATIC, ON_DEMAND)."""

    id: str
    wrapped: bytes
    at: float
    kind: str = ""


class Alias(Record):
    """A name for a key."""

    account: str
    region: str
    name: str
    key_id: str
    created: float
    updated: float

    @property
    def key(self) -> StoreKey:
        return alias_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account}:{self.name}"


class Grant(Record):
    """A grant on a key, as it was asked for. Each time it was asked for gave a token."""

    key_id: str
    id: str
    tokens: list[str]
    created: float
    issuer: str
    operations: list[str]
    grantee: str = ""
    grantee_service: str = ""
    retiring: str = ""
    retiring_service: str = ""
    name: str = ""
    constraints: dict[str, object] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> StoreKey:
        return grant_key(self.key_id, self.id)


class Import(Record):
    """A key pair that imported material is wrapped with, until it expires."""

    key_id: str
    algorithm: str
    private: bytes
    until: float


def key_key(key_id: str) -> StoreKey:
    return (ROOT, "key", key_id)


def listed_key(account: str, region: str, key_id: str) -> StoreKey:
    """Marks whose a key is."""
    return (ROOT, "of", account, region, key_id)


def material_key(key_id: str, number: int) -> StoreKey:
    return (ROOT, "material", key_id, number)


def alias_key(account: str, region: str, name: str) -> StoreKey:
    return (ROOT, "alias", account, region, name)


def names_key(key_id: str, name: str) -> StoreKey:
    """Marks that an alias names a key."""
    return (ROOT, "names", key_id, name)


def grant_key(key_id: str, grant_id: str) -> StoreKey:
    return (ROOT, "grant", key_id, grant_id)


def token_key(token: str) -> StoreKey:
    """Where a grant token's grant is: the row holds `key id/grant id`."""
    return (ROOT, "token", token)


def import_key(token: str) -> StoreKey:
    return (ROOT, "import", token)


def imported_key(key_id: str) -> StoreKey:
    """What tells a key's imported material again: its digest."""
    return (ROOT, "imported", key_id)


def count_key(account: str, region: str) -> StoreKey:
    """How many keys there are that customers manage."""
    return (ROOT, "count", account, region)


def grants_key(key_id: str) -> StoreKey:
    """How many grants a key has."""
    return (ROOT, "grants", key_id)
