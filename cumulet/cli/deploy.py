"""`cumulet deploy`: package local code, deploy the stack, show progress resource by resource, print the outputs."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cumulet.aws.errors import AwsError
from cumulet.cli.client import CallFailed, Client
from cumulet.cli.observe import client_for, target_options
from cumulet.cli.package import Package, package
from cumulet.cli.urls import local_url

BUCKET = "cumulet-deploy-{account}-{region}"
_POLL_S = 0.02
_TEMPLATE_BODY_BYTES = 51_200
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]

# type -> (property with local code, how an uploaded package is written there)
_CODE: dict[str, tuple[str, str]] = {
    "AWS::Serverless::Function": ("CodeUri", "uri"),
    "AWS::Serverless::LayerVersion": ("ContentUri", "uri"),
    "AWS::Lambda::Function": ("Code", "bucket"),
    "AWS::Lambda::LayerVersion": ("Content", "bucket"),
    "AWS::Serverless::Api": ("DefinitionUri", "uri"),
    "AWS::Serverless::HttpApi": ("DefinitionUri", "uri"),
    "AWS::Serverless::StateMachine": ("DefinitionUri", "uri"),
}


class Template:
    """A template file: its values, and the line of every logical id."""

    def __init__(self, path: Path) -> None:
        from cumulet.services.cloudformation.source import line_of, parse

        self.path = path
        try:
            self.text = path.read_text()
            self.values: dict[str, Any] = parse(self.text)
        except OSError as error:
            raise click.ClickException(
                f"Cannot read {path}: {error.strerror}. Give the template's path: cumulet deploy template.yaml"
            ) from error
        except UnicodeDecodeError as error:
            raise click.ClickException(
                f"{path} is no text in UTF-8 ({error.reason}). Give the template's path."
            ) from error
        except AwsError as error:
            raise click.ClickException(f"{path}: {error.message}") from error
        self._line_of = line_of

    def where(self, message: str) -> str:
        """`path:line` of what an error message names, or the path alone."""
        resources = self.values.get("Resources") or {}
        for name in re.findall(r"[A-Za-z0-9]+", message):
            if name in resources:
                words = set(re.findall(r"[A-Za-z0-9]+", message))
                properties = (resources[name] or {}).get("Properties") or {}
                inner = next((key for key in properties if key in words), None)
                path = ("Resources", name, "Properties", inner) if inner else ("Resources", name)
                return f"{self.path}:{self._line_of(self.text, path) or 1}"
        for number, line in enumerate(self.text.splitlines(), 1):  # a name that the template uses but does not define
            if any(re.search(rf"\b{re.escape(name)}\b", line) for name in re.findall(r"\[(\w+)", message)):
                return f"{self.path}:{number}"
        return str(self.path)


def _of_the_file(message: str) -> str:
    """An error's message without the line of the form that was sent, which is not the file's."""
    return re.sub(r" \(line \d+(, column \d+)?\)", "", message)


def _stack_name(template: Path) -> str:
    """A name for the stack, of the template's folder; of `01-simple-web-service` it is simple-web-service."""
    return (
        re.sub(r"[^A-Za-z0-9]+", "-", template.resolve().parent.name).lstrip("-0123456789")[:128].rstrip("-") or "stack"
    )


def _local_code(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str, bool]]:
    """(properties, property, form, is python code) of every local code path in a template, globals first."""
    shared = (values.get("Globals") or {}).get("Function") or {}
    if isinstance(shared.get("CodeUri"), str) and "://" not in shared["CodeUri"]:
        yield shared, "CodeUri", "uri", True
    for resource in (values.get("Resources") or {}).values():
        if not isinstance(resource, dict) or resource.get("Type") not in _CODE:
            continue
        name, form = _CODE[resource["Type"]]
        properties = resource.setdefault("Properties", {}) or {}
        given = properties.get(name)
        if (
            resource["Type"] == "AWS::Serverless::Function"
            and given is None
            and not {"InlineCode", "ImageUri"} & set(properties)
            and "CodeUri" not in shared
        ):
            properties[name] = given = "."
        if isinstance(given, str) and "://" not in given:
            yield properties, name, form, "Function" in resource["Type"]


def _local_includes(value: Any) -> Iterator[dict[str, Any]]:
    """The parameters of each AWS::Include whose Location is a local file, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _local_includes(item)
    elif isinstance(value, dict):
        parameters = value.get("Parameters")
        if value.get("Name") == "AWS::Include" and isinstance(parameters, dict):
            location = parameters.get("Location")
            if isinstance(location, str) and "://" not in location:
                yield parameters
        for item in value.values():
            yield from _local_includes(item)


def _included_file(path: Path) -> bytes:
    """Raises: ClickException."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"AWS::Include names {path}, which cannot be read: {error.strerror}.") from error


def _take_assets(values: dict[str, Any], folder: Path) -> None:
    """Put the local folders of a template that CDK synthesized (`aws:asset:path`) where its bucket and key are.

    CDK v1 names the bucket and key by parameters, which nobody gives then. A path that is not there is left as it is.
    Source: CDK developer guide, "Assets and the CDK", asset metadata.
    """
    found = False
    for resource in (values.get("Resources") or {}).values():
        metadata = (resource.get("Metadata") or {}) if isinstance(resource, dict) else {}
        path, name = metadata.get("aws:asset:path"), metadata.get("aws:asset:property")
        if resource.get("Type") in _CODE and _CODE[resource["Type"]][0] == name and path and (folder / path).exists():
            resource["Properties"][name] = path
            found = True
    rest = json.dumps({key: value for key, value in values.items() if key != "Parameters"}, default=str)
    for name in [name for name in values.get("Parameters") or {} if found and name.startswith("AssetParameters")]:
        if f'"Ref": "{name}"' not in rest:
            del values["Parameters"][name]


class Deployment:
    """One deployment of a template's stack."""

    def __init__(self, client: Client, template: Path, stack: str, parameters: dict[str, str]) -> None:
        self.client, self.path, self.stack, self.parameters = client, template, stack, parameters
        self.account = client.call("sts", "GetCallerIdentity")["Account"]
        self.bucket = BUCKET.format(account=self.account, region=client.region)
        self._uploaded: set[str] = set()
        self._seen: set[str] = set()  # events of earlier deployments

    def run(self) -> dict[str, str]:
        """Package, deploy, wait. The stack's outputs. Raises: ClickException."""
        began = time.perf_counter()
        template = Template(self.path)
        self._upload_code(template)
        body = json.dumps(template.values, separators=(",", ":"), default=str)
        try:
            verb = self._submit(body, template)
            if verb is None:
                click.echo(f"{self.stack}: nothing to change ({time.perf_counter() - began:.2f} s)")
                return self._outputs()
            status = self._follow(template)
        except CallFailed as error:
            raise click.ClickException(
                f"{template.where(error.message)}: {_of_the_file(error.message)} ({error.code}). Nothing was changed."
            ) from error
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise click.ClickException(f"{self.stack}: {status}. Correct the first failure above and deploy again.")
        click.echo(f"{self.stack}: {verb} in {time.perf_counter() - began:.2f} s")
        return self._outputs()

    def _upload_code(self, template: Template) -> None:
        packages: dict[tuple[str, bool], Package] = {}
        _take_assets(template.values, template.path.parent)
        for properties, name, form, python in list(_local_code(template.values)):
            source = properties[name]
            if (source, python) not in packages:
                packages[source, python] = package(template.path.parent / source, python=python)
            made = packages[source, python]
            key = f"{made.name}.zip"
            self._upload(key, made.data)
            properties[name] = f"s3://{self.bucket}/{key}" if form == "uri" else {"S3Bucket": self.bucket, "S3Key": key}
        for parameters in list(_local_includes(template.values)):
            data = _included_file(template.path.parent / parameters["Location"])
            key = f"{hashlib.sha256(data).hexdigest()}.template"
            self._upload(key, data)
            parameters["Location"] = f"s3://{self.bucket}/{key}"

    def _upload(self, key: str, data: bytes) -> None:
        if key in self._uploaded:
            return
        if not self.client.has_object(self.bucket, key):
            try:
                options: dict[str, Any] = (
                    {}
                    if self.client.region == "us-east-1"
                    else {"CreateBucketConfiguration": {"LocationConstraint": self.client.region}}
                )
                self.client.call("s3", "CreateBucket", Bucket=self.bucket, **options)
            except CallFailed as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise
            self.client.put_object(self.bucket, key, data)
        self._uploaded.add(key)

    def _describe(self) -> dict[str, Any] | None:
        try:
            stack: dict[str, Any] = self.client.call("cloudformation", "DescribeStacks", StackName=self.stack)[
                "Stacks"
            ][0]
        except CallFailed as error:
            if "does not exist" in error.message:
                return None
            raise
        return stack

    def _submit(self, body: str, template: Template) -> str | None:
        """Make a change set and execute it; "created" or "updated", None when nothing changes.

        What is wrong with a template shows in the change set, before anything is touched. Raises: ClickException, CallFailed.
        """
        stack = self._describe()
        if stack is not None and stack["StackStatus"] in {"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"}:
            self.client.call("cloudformation", "DeleteStack", StackName=stack["StackId"])
            while self._describe() is not None:
                self.client.pause(_POLL_S)
            stack = None
        fresh = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        request: dict[str, Any] = {
            "StackName": self.stack,
            "ChangeSetName": f"cumulet-{time.time_ns()}",
            "ChangeSetType": "CREATE" if fresh else "UPDATE",
            "Capabilities": _CAPABILITIES,
            "Parameters": self._given_parameters(stack, body),
            **self._body(body),
        }
        if stack is not None:
            events = self.client.call("cloudformation", "DescribeStackEvents", StackName=self.stack)["StackEvents"]
            self._seen = {event["EventId"] for event in events}
        made = self.client.call("cloudformation", "CreateChangeSet", **request)["Id"]
        if not self._planned(made, fresh, template):
            return None
        self.client.call("cloudformation", "ExecuteChangeSet", ChangeSetName=made)
        return "created" if fresh else "updated"

    def _planned(self, change_set: str, fresh: bool, template: Template) -> bool:
        """Whether there is something to change. Raises: ClickException for a template that cannot be deployed."""
        while True:
            found = self.client.call("cloudformation", "DescribeChangeSet", ChangeSetName=change_set)
            if found["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
                break
            self.client.pause(_POLL_S)
        if found["Status"] == "CREATE_COMPLETE":
            return True
        self.client.call("cloudformation", "DeleteChangeSet", ChangeSetName=change_set)
        if fresh:
            self.client.call("cloudformation", "DeleteStack", StackName=self.stack)
        reason = _of_the_file(found.get("StatusReason", ""))
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return False
        raise click.ClickException(
            f"{template.where(reason)}: {reason}\nNothing was changed. Correct the template and deploy again."
        )

    def _given_parameters(self, stack: dict[str, Any] | None, body: str) -> list[dict[str, Any]]:
        """The parameters of the command line; those that the stack has already keep their values."""
        given: list[dict[str, Any]] = [
            {"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()
        ]
        wanted = set(json.loads(body).get("Parameters") or {}) - set(self.parameters)
        known = {parameter["ParameterKey"] for parameter in (stack or {}).get("Parameters", [])}
        return given + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(known & wanted)]

    def _body(self, body: str) -> dict[str, str]:
        """The template in the request, or in the bucket when it is larger than a request may carry."""
        data = body.encode()
        if len(data) <= _TEMPLATE_BODY_BYTES:
            return {"TemplateBody": body}
        key = f"{hashlib.sha256(data).hexdigest()}.template"
        self._upload(key, data)
        return {"TemplateURL": f"https://s3.amazonaws.com/{self.bucket}/{key}"}

    def _follow(self, template: Template) -> str:
        """Print events as they come until the stack rests; its status."""
        seen = set(self._seen)
        while True:
            stack = self._describe()
            status: str = "DELETE_COMPLETE" if stack is None else stack["StackStatus"]
            events = (
                self.client.call("cloudformation", "DescribeStackEvents", StackName=self.stack)["StackEvents"]
                if stack
                else []
            )
            for event in reversed(events):
                if event["EventId"] not in seen:
                    seen.add(event["EventId"])
                    self._show(event, template)
            if not status.endswith("_IN_PROGRESS"):
                if status.endswith(("FAILED", "ROLLBACK_COMPLETE")) and stack and stack.get("StackStatusReason"):
                    click.echo(f"  {stack['StackStatusReason']}", err=True)
                return status
            self.client.pause(_POLL_S)

    def _show(self, event: dict[str, Any], template: Template) -> None:
        status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
        if event["LogicalResourceId"] == self.stack and status.endswith("IN_PROGRESS"):
            if "ROLLBACK" in status and reason:
                click.secho(f"  {template.where(reason)}: {reason}", fg="red")
            return
        if status.endswith("IN_PROGRESS") and not reason.startswith("Transform"):
            return
        failed = status.endswith("FAILED")
        line = f"  {status:<16} {event['LogicalResourceId']:<28} {event['ResourceType']}"
        click.secho(line, fg="red" if failed else None)
        if failed and reason:
            click.echo(f"    {template.where(event['LogicalResourceId'])}: {reason}")

    def _outputs(self) -> dict[str, str]:
        stack = self._describe() or {}
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        for key, value in outputs.items():
            here = local_url(self.client.endpoint, value)
            click.echo(f"  {key} = {value}" + (f"\n  {' ' * len(key)} = {here}" if here else ""))
        for url in self._api_urls() if not any(local_url("", value) for value in outputs.values()) else ():
            click.echo(f"  {url}")
        return outputs

    def _api_urls(self) -> Iterator[str]:
        resources = self.client.call("cloudformation", "ListStackResources", StackName=self.stack)[
            "StackResourceSummaries"
        ]
        for resource in resources:
            if resource["ResourceType"] in {"AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"}:
                yield f"{self.client.endpoint}/_aws/execute-api/{resource['PhysicalResourceId']}"


def _parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    parameters = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--parameter takes KEY=VALUE, not {pair!r}.")
        parameters[key] = value
    return parameters


@click.command()
@click.argument("template", default="template.yaml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--stack", help="The stack's name (default: the name of the template's folder).")
@click.option("--parameter", "parameters", multiple=True, metavar="KEY=VALUE", help="A template parameter.")
@click.option("--watch", is_flag=True, help="Deploy again whenever the template or its code changes.")
@target_options
def deploy(
    template: Path,
    stack: str | None,
    parameters: tuple[str, ...],
    watch: bool,
    data: str | None,
    endpoint_url: str | None,
    region: str,
) -> None:
    """Deploy a SAM or CloudFormation template with its local code."""
    name = stack or _stack_name(template)
    if not template.is_file():
        raise click.ClickException(
            f"{template} does not exist. Give the template's path: cumulet deploy path/template.yaml"
        )
    deployment = Deployment(client_for(data, endpoint_url, region), template, name, _parameters(parameters))
    if not watch:
        deployment.run()
        return
    _watch(deployment, template)


def _watch(deployment: Deployment, template: Path) -> None:
    from watchfiles import watch

    try:
        deployment.run()
    except click.ClickException as error:
        error.show()
    click.echo(f"watching {template.resolve().parent} (Ctrl-C ends)")
    for _ in watch(template.resolve().parent, raise_interrupt=False):
        try:
            deployment.run()
        except click.ClickException as error:
            error.show()
