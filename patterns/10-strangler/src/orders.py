"""Orders, as the old application had them: the same paths, the same answers."""

import json

from moving import answer, found, keep


def handler(event, context):
    method, id_ = event["httpMethod"], (event["pathParameters"] or {}).get("id")
    if id_ is None and method == "POST":
        order = json.loads(event["body"])
        if found("orders", order["id"]) is not None or not keep("orders", order["id"], order, new=True):
            return answer(409, {"message": "There is one already."})
        return answer(201, order)
    if id_ is not None and method in ("GET", "PUT"):
        order = found("orders", id_)
        if order is None:
            return answer(404, {"message": "No such order."})
        if method == "PUT":
            order = {**order, **json.loads(event["body"]), "id": id_}
            keep("orders", id_, order)
        return answer(200, order)
    return answer(405, {"message": "Orders are made, read and changed."})
