"""Passwords as PostgreSQL keeps them: a verifier from which nobody gets the password back.

Source: RFC 5803; PostgreSQL's documentation of pg_authid.rolpassword (read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_ITERATIONS = 4096


def scram_verifier(password: str, salt: bytes) -> str:
    """`SCRAM-SHA-256${iterations}:{salt}${StoredKey}:{ServerKey}` of an ASCII password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{texts[0]}${texts[1]}:{texts[2]}"
