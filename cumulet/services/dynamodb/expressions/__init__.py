"""DynamoDB's expressions: parsed once, compiled to functions, run over items."""
