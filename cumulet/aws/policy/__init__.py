"""Policy documents of IAM: read once, and held against requests as AWS's evaluation logic says.

One evaluator for identity policies, boundaries, session policies, resource policies, trust policies and the policies that
authorizers return. Source: IAM user guide, "Policy evaluation logic", "IAM JSON policy elements reference" (read 2026-11).
"""
