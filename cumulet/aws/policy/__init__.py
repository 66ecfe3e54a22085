"""Policy documents of IAM: read once, and held against requests as AWS's evaluation logic says.

One evaluator for identity policies, boundaries, session policies, resource policies, trust policies and the policies that
authorizers return. Source: IAM user guide, "Policy evaluation logic", "IAM JSON policy elements reference" (read 2026-11).
"""

from cumulet.aws.policy.decisions import Caller, Decision, decide
from cumulet.aws.policy.documents import Document, Documents, MalformedPolicy, Statement, parse
from cumulet.aws.policy.facts import Facts

__all__ = ["Caller", "Decision", "Document", "Documents", "Facts", "MalformedPolicy", "Statement", "decide", "parse"]
