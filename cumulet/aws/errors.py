"""The error every operation raises: AWS's code, status and message, plus a hint that never goes onto the wire."""

from collections.abc import Mapping
from typing import ClassVar


class AwsError(Exception):
    """An answer that is an error. Subclasses are named by their wire code and set `status` (HTTP) where it is not 400.

    code      the wire code (`ResourceNotFoundException`), by default the class's name
    message   AWS's own words
    hint      how to fix it; for the log and the console only
    members   further members of the error shape (`{"CancellationReasons": [...]}`, `{"Type": "User"}`)
    """

    code: ClassVar[str | None] = None
    status: ClassVar[int] = 400
    members: Mapping[str, object]

    def __init__(
        self, message: str = "", *, hint: str | None = None, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.members = members or {}

    @property
    def wire_code(self) -> str:
        return self.code or type(self).__name__

    @property
    def http_status(self) -> int:
        return self.status


class GenericAwsError(AwsError):
    """An error whose code and status are known only at run time (a validation error in the service's own style)."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        hint: str | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, members=members)
        self._code = code
        self._status = status

    @property
    def wire_code(self) -> str:
        return self._code

    @property
    def http_status(self) -> int:
        return self._status


class NotImplementedOnCumulet(AwsError):
    """501: an operation or a setting that Cumulet does not honour, refused by name."""

    code = "NotImplemented"
    status = 501


class InternalFailure(AwsError):
    """500: a broken invariant on our side, or a store that cannot write (a full disk)."""

    code = "InternalFailure"
    status = 500


class AccessDenied(AwsError):
    code = "AccessDenied"
    status = 403
