"""botocore's service models <-> HTTP messages: route, parse, check, serialize, errors. Pure: no I/O but model files.

    models = Models(); router = Router(models)
    match = router.route(request)                                   # raises AwsError
    op = models.service(match.service).operation(match.operation)
    req = op.parse(request, match.protocol, match.uri_params)       # raises AwsError
    op.check(req)                                                   # raises AwsError
    response = op.serialize(result, request_id, match.protocol)
    response = op.error(err, request_id, match.protocol, request)

`wire.error(err, request, request_id)` answers where no operation could be determined.
"""

from cumulet.wire.chunked import AwsChunked, MalformedChunk
from cumulet.wire.errors import error, unknown_operation
from cumulet.wire.form import parse_form
from cumulet.wire.models import Models, OperationModel, ServiceModel
from cumulet.wire.router import POST_OBJECT, Match, Router

__all__ = [
    "POST_OBJECT",
    "AwsChunked",
    "MalformedChunk",
    "Match",
    "Models",
    "OperationModel",
    "Router",
    "ServiceModel",
    "error",
    "parse_form",
    "unknown_operation",
]
