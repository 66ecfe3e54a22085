"""PartiQL for DynamoDB: statements parsed into the nodes of expressions, and run as the expression operations are."""
