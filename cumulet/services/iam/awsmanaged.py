"""The AWS managed policies that serverless applications name, as far as they concern the services that Cumulet has.

What a policy allows in services that Cumulet lacks is left out. A policy that is not here can be attached, but allows nothing.
Source: AWS managed policy reference guide (read 2026-11).
"""

from __future__ import annotations

import json

_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_NETWORK = ("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")  # fmt: skip
_READ_LOGS = ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents", "logs:StartQuery", "logs:StopQuery")
_READ_METRICS = ("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*")
_XRAY = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
         "xray:GetSamplingStatisticSummaries")  # fmt: skip
_PASS = "iam:PassRole"
_READ_ROLES = ("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles",
               "iam:GetPolicy", "iam:GetPolicyVersion")  # fmt: skip

_ALLOWS: dict[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "AWSLambdaBasicExecutionRole": _LOGS,
    "AWSLambdaVPCAccessExecutionRole": (*_LOGS, *_NETWORK),
    "AWSLambdaENIManagementAccess": _NETWORK,
    "AWSLambdaSQSQueueExecutionRole": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", *_LOGS),
    "AWSLambdaDynamoDBExecutionRole": (
        "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", *_LOGS,
    ),
    "AWSLambdaInvocation-DynamoDB": (
        "lambda:InvokeFunction", "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ),
    "AWSLambdaKinesisExecutionRole": (
        "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
        "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard", *_LOGS,
    ),
    "AWSLambdaRole": ("lambda:InvokeFunction",),
    "AWSLambdaExecute": ("logs:*", "s3:GetObject", "s3:PutObject"),
    "AWSLambda_FullAccess": (
        "lambda:*", "cloudformation:DescribeStacks", "cloudformation:ListStackResources", "cloudwatch:ListMetrics",
        "cloudwatch:GetMetricData", *_READ_ROLES, "logs:DescribeLogGroups", "states:DescribeStateMachine",
        "states:ListStateMachines", "tag:GetResources", "xray:GetTraceSummaries", "xray:BatchGetTraces",
        "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents",
    ),
    "AWSLambda_ReadOnlyAccess": (
        "lambda:Get*", "lambda:List*", "cloudformation:DescribeStacks", "cloudformation:ListStackResources",
        "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", *_READ_ROLES, *_READ_LOGS, "states:DescribeStateMachine",
        "states:ListStateMachines", "tag:GetResources",
    ),
    "AWSXRayDaemonWriteAccess": _XRAY,
    "AWSXrayWriteOnlyAccess": _XRAY,
    "AmazonDynamoDBFullAccess": (
        "dynamodb:*", "dax:*", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmsForMetric", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics",
        "cloudwatch:PutMetricAlarm", "cloudwatch:GetMetricData", "iam:GetRole", "iam:ListRoles", "lambda:CreateFunction",
        "lambda:ListFunctions", "lambda:ListEventSourceMappings", "lambda:CreateEventSourceMapping",
        "lambda:DeleteEventSourceMapping", "lambda:GetFunctionConfiguration", "lambda:DeleteFunction", "sns:CreateTopic",
        "sns:DeleteTopic", "sns:ListSubscriptions", "sns:ListSubscriptionsByTopic", "sns:ListTopics", "sns:Subscribe",
        "sns:Unsubscribe", "sns:SetTopicAttributes", "kinesis:ListStreams", "kinesis:DescribeStream",
    ),
    "AmazonDynamoDBFullAccess_v2": ("dynamodb:*", "dax:*", "cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms",
                                    "cloudwatch:PutMetricAlarm", "iam:GetRole", "iam:ListRoles", "sns:ListTopics"),
    "AmazonDynamoDBReadOnlyAccess": (
        "dynamodb:BatchGetItem", "dynamodb:Describe*", "dynamodb:List*", "dynamodb:GetAbacStatus", "dynamodb:GetItem",
        "dynamodb:GetResourcePolicy", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect",
        "cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmsForMetric",
        "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "iam:GetRole", "iam:ListRoles",
        "sns:ListSubscriptionsByTopic", "sns:ListTopics", "lambda:ListFunctions", "lambda:ListEventSourceMappings",
        "lambda:GetFunctionConfiguration",
    ),
    "AmazonS3FullAccess": ("s3:*", "s3-object-lambda:*"),
    "AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
    "AmazonSQSFullAccess": ("sqs:*",),
    "AmazonSQSReadOnlyAccess": (
        "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListQueues",
        "sqs:ListMessageMoveTasks", "sqs:ListQueueTags",
    ),
    "AmazonSNSFullAccess": ("sns:*",),
    "AmazonSNSReadOnlyAccess": ("sns:Check*", "sns:Get*", "sns:List*"),
    "AmazonSNSRole": ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutMetricFilter",
                      "logs:PutRetentionPolicy"),
    "AmazonEventBridgeFullAccess": ("events:*", "schemas:*", "scheduler:*", "pipes:*"),
    "AmazonEventBridgeReadOnlyAccess": ("events:Describe*", "events:List*", "events:TestEventPattern", "schemas:Describe*",
                                        "schemas:Get*", "schemas:List*", "scheduler:Get*", "scheduler:List*", "pipes:Describe*",
                                        "pipes:List*"),
    "CloudWatchEventsFullAccess": ("events:*", "schemas:*", "scheduler:*", "pipes:*"),
    "CloudWatchLogsFullAccess": ("logs:*", "cloudwatch:GenerateQuery"),
    "CloudWatchLogsReadOnlyAccess": (*_READ_LOGS, "logs:StartLiveTail", "logs:StopLiveTail", "cloudwatch:GenerateQuery"),
    "CloudWatchFullAccess": ("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy",
                             "iam:GetPolicyVersion", "iam:GetRole", "oam:ListSinks"),
    "CloudWatchReadOnlyAccess": ("autoscaling:Describe*", *_READ_METRICS, *_READ_LOGS, "sns:Get*", "sns:List*"),
    "AmazonAPIGatewayAdministrator": ("apigateway:*",),
    "AmazonAPIGatewayInvokeFullAccess": ("execute-api:Invoke", "execute-api:ManageConnections"),
    "AmazonAPIGatewayPushToCloudWatchLogs": (
        "logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents",
        "logs:GetLogEvents", "logs:FilterLogEvents",
    ),
    "AWSCloudFormationFullAccess": ("cloudformation:*",),
    "AWSCloudFormationReadOnlyAccess": (
        "cloudformation:Describe*", "cloudformation:EstimateTemplateCost", "cloudformation:Get*", "cloudformation:List*",
        "cloudformation:ValidateTemplate", "cloudformation:Detect*",
    ),
    "AmazonKinesisFullAccess": ("kinesis:*",),
    "AmazonKinesisReadOnlyAccess": ("kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
    "AWSStepFunctionsFullAccess": ("states:*",),
    "AmazonRDSDataFullAccess": ("rds-data:*", "secretsmanager:CreateSecret", "secretsmanager:ListSecrets",
                                "secretsmanager:GetRandomPassword", "tag:GetResources"),
    "AmazonRDSReadOnlyAccess": ("rds:Describe*", "rds:ListTagsForResource", "cloudwatch:GetMetricStatistics",
                                "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "logs:DescribeLogStreams",
                                "logs:GetLogEvents"),
    "IAMFullAccess": ("iam:*",),
    "IAMReadOnlyAccess": ("iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*",
                          "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"),
    "SecretsManagerReadWrite": ("secretsmanager:*", "kms:DescribeKey", "kms:ListAliases", "kms:ListKeys", "lambda:ListFunctions",
                                "rds:DescribeDBInstances", "rds:DescribeDBClusters", "tag:GetResources"),
    "AmazonSSMReadOnlyAccess": ("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AmazonSSMFullAccess": ("ssm:*", "cloudwatch:PutMetricData", "logs:*", "ec2:DescribeInstanceStatus"),
}  # fmt: skip
_PASSES = {  # policies that hand roles over, to these services
    "AWSLambda_FullAccess": ("lambda.amazonaws.com",),
    "AmazonDynamoDBFullAccess": ("application-autoscaling.amazonaws.com", "dax.amazonaws.com"),
    "AmazonEventBridgeFullAccess": ("events.amazonaws.com", "scheduler.amazonaws.com", "pipes.amazonaws.com"),
}


def document(name: str) -> str | None:
    """The document of a policy of AWS's, by name; None for one that is not carried."""
    if name in ("PowerUserAccess", "ReadOnlyAccess"):
        return json.dumps({"Version": "2012-10-17", "Statement": _WIDE[name]})
    actions = _ALLOWS.get(name)
    if actions is None:
        return None
    statements: list[object] = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
    if name == "AWSLambdaExecute":
        statements = [
            {"Effect": "Allow", "Action": ["logs:*"], "Resource": "arn:aws:logs:*:*:*"},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::*"},
        ]
    if name in _PASSES:
        condition = {"StringEquals": {"iam:PassedToService": list(_PASSES[name])}}
        statements.append({"Effect": "Allow", "Action": _PASS, "Resource": "*", "Condition": condition})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


_WIDE: dict[str, list[object]] = {
    "PowerUserAccess": [
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["account:GetAccountInformation", "account:GetPrimaryEmail", "account:ListRegions",
                       "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles",
                       "organizations:DescribeEffectivePolicy", "organizations:DescribeOrganization"],
            "Resource": "*",
        },
    ],
    "ReadOnlyAccess": [
        {
            "Effect": "Allow",
            "Action": ["apigateway:GET", "cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*",
                       *_READ_METRICS, "dynamodb:BatchGet*", "dynamodb:Describe*", "dynamodb:Get*", "dynamodb:List*",
                       "dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan", "events:Describe*", "events:List*",
                       "events:Test*", "iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*", "kinesis:Describe*",
                       "kinesis:Get*", "kinesis:List*", "lambda:Get*", "lambda:List*", *_READ_LOGS, "rds:Describe*", "rds:List*",
                       "s3:DescribeJob", "s3:Get*", "s3:List*", "sns:Check*", "sns:Get*", "sns:List*", "sqs:Get*", "sqs:List*",
                       "sqs:Receive*", "states:Describe*", "states:Get*", "states:List*", "sts:GetAccessKeyInfo",
                       "sts:GetCallerIdentity", "sts:GetSessionToken"],
            "Resource": "*",
        }
    ],
}  # fmt: skip
