"""Amazon Resource Names, parsed and built."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Arn:
    """`arn:{partition}:{service}:{region}:{account}:{resource}`; `resource` keeps its own colons and slashes."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    @classmethod
    def parse(cls, text: str) -> "Arn":
        """Raises: ValueError when `text` is not an ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2]:
            raise ValueError(f"not an ARN: {text!r}")
        return cls(service=parts[2], region=parts[3], account=parts[4], resource=parts[5], partition=parts[1])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"
