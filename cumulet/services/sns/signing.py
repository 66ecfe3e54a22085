"""Signatures of notifications: key pairs and certificates of the cloud, made at their first use and kept in the store.

Subscribers verify as they do AWS's: the certificate behind SigningCertURL, PKCS#1 v1.5 over the string to sign, SHA-1 for
SignatureVersion 1 and SHA-256 for 2. What leaves the cloud (HTTP, email-json) is signed with 2,048 bits. A message to the cloud's
own queues and functions never leaves its store, so those have a key of 1,024 bits: a signature takes 0.08 ms, not 0.25. A queue's
message is signed when it is first read, from what its body says; a publish does not wait for that, and a purge saves it.
Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages" (read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.sns.model import Signer, signer_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MEMBER = '\n  "Signature" : "'  # a body has this once: what others write into it is JSON, in which no line ends
UNSIGNED = "-" * 172  # as long as the Base64 signature of 1,024 bits
_KEY_BITS = {"outside": 2048, "inside": 1024}
_REMEMBERED = 2000
_IN_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_IN_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def string_to_sign(fields: dict[str, str]) -> bytes:
    """Names and values of a message's signed members, a line each."""
    names = _IN_NOTIFICATION if fields["Type"] == "Notification" else _IN_CONFIRMATION
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields).encode()


def side(protocol: str) -> str:
    """Which key signs for a protocol."""
    return "inside" if protocol in ("sqs", "lambda") else "outside"


def signature(ctx: Context, text: bytes, version: str, protocol: str) -> str:
    """The Base64 signature of a string to sign."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    _, key = _loaded(ctx, side(protocol))
    digest = hashes.SHA256() if version == "2" else hashes.SHA1()
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), digest)).decode()


def finish(ctx: Context, req: dict[str, str]) -> dict[str, str]:
    """`cumulet:Finish`: sign the Body of a queue's message. One signature serves all queues that a message went to."""
    head, member, tail = req["Body"].partition(MEMBER)
    fields = msgspec.json.decode(req["Body"])
    version, text = fields["SignatureVersion"], string_to_sign(fields)
    done: dict[tuple[str, bytes], str] = ctx.pipeline.volatile.setdefault("sns.signatures", {})
    what = version, hashlib.sha256(text).digest()
    signed = done.get(what)
    if signed is None:
        if len(done) >= _REMEMBERED:
            del done[next(iter(done))]
        signed = done[what] = signature(ctx, text, version, "sqs")
    return {"Body": f"{head}{member}{signed}{tail[len(UNSIGNED) :]}"}


def certificate_url(ctx: Context, protocol: str) -> str:
    return f"{ctx.endpoint}/_aws/sns/{_loaded(ctx, side(protocol))[0]}"


def certificate(ctx: Context, name: str) -> bytes | None:
    """The certificate's PEM text, if it has that name."""
    signers = (ctx.tx.get(signer_key(which), Signer) for which in _KEY_BITS)
    return next((signer.certificate for signer in signers if signer is not None and signer.name == name), None)


def _loaded(ctx: Context, which: str) -> tuple[str, RSAPrivateKey]:
    """(the certificate's name, the private key)."""
    signer = ctx.tx.get(signer_key(which), Signer)
    if signer is None:
        signer = _made(_KEY_BITS[which])
        ctx.tx.put(signer_key(which), signer)
    known = f"sns.signer.{which}"
    cached: Any = ctx.pipeline.volatile.get(known)
    if cached is None or cached[0] != signer.name:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        cached = (signer.name, load_pem_private_key(signer.private_key, None))
        ctx.pipeline.volatile[known] = cached
    return cached  # type: ignore[no-any-return]


def _made(bits: int) -> Signer:
    """A new key pair; its certificate is good for a century, whatever clock a subscriber has."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cumulet"),
            x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com"),
        ]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    digest = hashlib.sha256(pem).hexdigest()[:32]
    return Signer(name=f"SimpleNotificationService-{digest}.pem", private_key=private, certificate=pem)
