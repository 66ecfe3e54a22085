"""RDS's CloudFormation types with a real engine."""

import json

import pg8000.dbapi
import pytest
from botocore.exceptions import ClientError

PASSWORD = "horse-battery#1"
INSTANCE = {
    "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": "20", "MasterUsername": "shop",
    "MasterUserPassword": {"Ref": "Password"}, "DBName": "orders", "DBParameterGroupName": {"Ref": "Few"},
    "DBSubnetGroupName": {"Ref": "Nets"}, "BackupRetentionPeriod": 0, "PubliclyAccessible": "false",
    "VPCSecurityGroups": ["sg-1"], "Tags": [{"Key": "team", "Value": "blue"}],
}  # fmt: skip


def template(parameters, **settings):
    resources = {
        "Few": {
            "Type": "AWS::RDS::DBParameterGroup",
            "Properties": {"Family": "postgres18", "Description": "few connections", "Parameters": parameters},
        },
        "Nets": {
            "Type": "AWS::RDS::DBSubnetGroup",
            "Properties": {"DBSubnetGroupDescription": "two", "SubnetIds": ["subnet-1", "subnet-2"]},
        },
        "Db": {"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete", "Properties": {**INSTANCE, **settings}},
    }
    outputs = {
        "Name": {"Ref": "Db"},
        "Address": {"Fn::GetAtt": ["Db", "Endpoint.Address"]},
        "Port": {"Fn::GetAtt": ["Db", "Endpoint.Port"]},
        "Arn": {"Fn::GetAtt": ["Db", "DBInstanceArn"]},
        "Group": {"Ref": "Few"},
        "Nets": {"Ref": "Nets"},
    }
    return json.dumps(
        {
            "Parameters": {"Password": {"Type": "String", "NoEcho": True}},
            "Resources": resources,
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
    )


@pytest.fixture
def deploy(aws, clock):
    cfn = aws("cloudformation")

    def run(body, update=False):
        call = cfn.update_stack if update else cfn.create_stack
        call(StackName="s", TemplateBody=body, Parameters=[{"ParameterKey": "Password", "ParameterValue": PASSWORD}])
        clock.advance(60)
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        reasons = [
            one.get("ResourceStatusReason", "") for one in cfn.describe_stack_events(StackName="s")["StackEvents"]
        ]
        return stack["StackStatus"], {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}, reasons

    return run


def ask(outputs, sql):
    connection = pg8000.dbapi.connect(
        user="shop", password=PASSWORD, host=outputs["Address"], port=int(outputs["Port"]), database="orders"
    )
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()[0][0]
    finally:
        connection.close()


def test_a_stack_brings_a_database_changes_it_and_takes_it_away(aws, deploy, clock):
    rds = aws("rds")
    status, outputs, reasons = deploy(template({"max_connections": 20, "work_mem": "2048"}))
    assert status == "CREATE_COMPLETE", reasons
    assert outputs["Name"].startswith("s-db-")
    assert outputs["Arn"] == f"arn:aws:rds:us-east-1:000000000000:db:{outputs['Name']}"
    assert (ask(outputs, "SHOW max_connections"), ask(outputs, "SHOW work_mem")) == ("20", "2MB")
    (instance,) = rds.describe_db_instances()["DBInstances"]
    assert instance["DBSubnetGroup"]["DBSubnetGroupName"] == outputs["Nets"]
    assert {"Key": "team", "Value": "blue"} in instance["TagList"]

    changed = template({"work_mem": "3072"}, DBInstanceClass="db.t4g.small", Tags=[{"Key": "team", "Value": "red"}])
    status, outputs, reasons = deploy(changed, update=True)
    assert status == "UPDATE_COMPLETE", reasons
    (now,) = rds.describe_db_instances()["DBInstances"]
    assert (now["DbiResourceId"], now["DBInstanceClass"]) == (instance["DbiResourceId"], "db.t4g.small")
    assert {"Key": "team", "Value": "red"} in now["TagList"]
    assert ask(outputs, "SHOW work_mem") == "3MB"

    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(60)
    assert rds.describe_db_instances()["DBInstances"] == []
    assert rds.describe_db_subnet_groups()["DBSubnetGroups"] == []
    groups = [one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]]
    assert groups == ["default.postgres18"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"MultiAZ": "true"}, "MultiAZ"),
        ({"StorageEncrypted": True}, "StorageEncrypted"),
        ({"Engine": "mysql"}, "mysql"),
        ({"MasterUserPassword": "short"}, "shorter than 8"),
    ],
)
def test_what_is_not_honoured_fails_the_stack_by_name(aws, deploy, settings, reason):
    status, _, reasons = deploy(template({}, **settings))
    assert status == "ROLLBACK_COMPLETE"
    assert any(reason in text for text in reasons), reasons
    assert aws("rds").describe_db_instances()["DBInstances"] == []


def test_an_unknown_property_is_refused_before_anything_is_made(deploy):
    with pytest.raises(ClientError, match="MonitoringRoleArn"):
        deploy(template({}, MonitoringRoleArn="arn:aws:iam::000000000000:role/r"))


def test_an_instance_that_cannot_start_fails_the_stack_with_postgresqls_words(aws, deploy):
    status, _, reasons = deploy(template({"shared_buffers": "1000000000"}))
    assert status == "ROLLBACK_COMPLETE"
    assert any("shared memory" in text for text in reasons), reasons
    assert aws("rds").describe_db_instances()["DBInstances"] == []


SNAPSHOT = "s-snapshot-db-"


@pytest.mark.parametrize(
    ("policy", "kept"), [({}, 1), ({"DeletionPolicy": "Snapshot"}, 1), ({"DeletionPolicy": "Delete"}, 0)]
)
def test_a_database_leaves_a_last_snapshot_unless_its_policy_says_delete(aws, deploy, clock, policy, kept):
    body = json.loads(template({}))
    del body["Resources"]["Db"]["DeletionPolicy"]
    body["Resources"]["Db"].update(policy)
    status, _, reasons = deploy(json.dumps(body))
    assert status == "CREATE_COMPLETE", reasons
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(60)
    assert aws("rds").describe_db_instances()["DBInstances"] == []
    names = [one["DBSnapshotIdentifier"] for one in aws("rds").describe_db_snapshots()["DBSnapshots"]]
    assert [name.startswith(SNAPSHOT) for name in names] == [True] * kept


def test_another_port_does_not_replace_a_database(aws, deploy):
    deploy(template({}))
    (before,) = aws("rds").describe_db_instances()["DBInstances"]
    status, _, reasons = deploy(template({}, Port=before["Endpoint"]["Port"] + 1), update=True)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("DBPortNumber" in reason for reason in reasons), reasons
    (after,) = aws("rds").describe_db_instances()["DBInstances"]
    assert after["DbiResourceId"] == before["DbiResourceId"]
