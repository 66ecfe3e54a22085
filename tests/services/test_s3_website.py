"""S3's websites over real sockets: pages, errors, redirects, and who may see them."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

INDEX = {"IndexDocument": {"Suffix": "index.html"}}
FULL = {**INDEX, "ErrorDocument": {"Key": "oops.html"}}


class Site:
    """A bucket with some pages; `public` lets anyone read them."""

    def __init__(self, aws: Any) -> None:
        self.s3 = aws("s3")
        self.s3.create_bucket(Bucket="site")
        for key in ("index.html", "docs/index.html", "docs/a b.html", "oops.html"):
            self.s3.put_object(Bucket="site", Key=key, Body=f"<p>{key}".encode(), ContentType="text/html")

    def public(self, *statements: dict[str, Any]) -> None:
        self.s3.delete_public_access_block(Bucket="site")
        anyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/*"}
        policy = json.dumps({"Statement": [anyone, *statements]})
        self.s3.put_bucket_policy(Bucket="site", Policy=policy)

    def website(self, **configuration: Any) -> None:
        self.s3.put_bucket_website(Bucket="site", WebsiteConfiguration=configuration)

    def get(self, path: str, method: str = "GET", base: str = "/_aws/s3-website/site", **headers: str) -> Any:
        """(status, body, headers); names of headers are given with `_`."""
        connection = http.client.HTTPConnection(urlsplit(self.s3.meta.endpoint_url).netloc, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, base + path, headers=named)
        answer = connection.getresponse()
        found = (answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()})
        connection.close()
        return found

    def location(self, path: str) -> tuple[int, str]:
        status, _, headers = self.get(path)
        return status, headers["location"]


@pytest.fixture
def site(aws: Any) -> Site:
    return Site(aws)


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_configuration_is_kept_and_removed(site: Site) -> None:
    assert refused(lambda: site.s3.get_bucket_website(Bucket="site"))[0] == "NoSuchWebsiteConfiguration"
    rule = {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/"}}
    site.website(**FULL, RoutingRules=[rule])
    got = site.s3.get_bucket_website(Bucket="site")
    del got["ResponseMetadata"]
    assert got == {**FULL, "RoutingRules": [rule]}
    site.s3.delete_bucket_website(Bucket="site")
    assert refused(lambda: site.s3.get_bucket_website(Bucket="site"))[0] == "NoSuchWebsiteConfiguration"
    status, body, headers = site.get("/")
    assert status == 404 and "<li>Code: NoSuchWebsiteConfiguration</li>" in body
    assert headers["x-amz-error-code"] == "NoSuchWebsiteConfiguration"


def test_pages_and_index_documents_are_served_with_their_headers(site: Site) -> None:
    site.public()
    site.website(**INDEX)
    status, body, headers = site.get("/")
    assert (status, body, headers["content-type"]) == (200, "<p>index.html", "text/html")
    assert headers["etag"] and headers["last-modified"] and headers["content-length"] == "13"
    assert site.get("")[1] == "<p>index.html"
    assert site.get("/docs/")[1] == "<p>docs/index.html"
    assert site.get("/docs/a%20b.html")[1] == "<p>docs/a b.html"
    assert site.get("/", If_None_Match=headers["etag"])[:2] == (304, "")
    status, body, ranged = site.get("/", Range="bytes=3-7")
    assert (status, body, ranged["content-range"]) == (206, "index", "bytes 3-7/13")
    status, body, head = site.get("/", "HEAD")
    assert (status, body, head["content-length"]) == (200, "", "13")
    assert site.location("/docs") == (302, "/_aws/s3-website/site/docs/")


@pytest.mark.parametrize(
    "host",
    [
        "site.s3-website.localhost",
        "site.s3-website-us-east-1.amazonaws.com",
        "site.s3-website.eu-central-1.amazonaws.com",
    ],
)
def test_a_website_has_hosts_of_its_own(site: Site, host: str) -> None:
    site.public()
    site.website(**INDEX)
    assert site.get("/docs/", base="", Host=f"{host}:4566")[:2] == (200, "<p>docs/index.html")
    assert site.get("/docs", base="", Host=host)[2]["location"] == "/docs/"


def test_a_bucket_with_dots_in_its_name_is_a_website_too(site: Site) -> None:
    site.s3.create_bucket(Bucket="www.example.com")
    redirect = {"HostName": "example.com", "Protocol": "https"}
    site.s3.put_bucket_website(Bucket="www.example.com", WebsiteConfiguration={"RedirectAllRequestsTo": redirect})
    status, _, headers = site.get("/a%20b", base="", Host="www.example.com.s3-website.localhost")
    assert (status, headers["location"]) == (301, "https://example.com/a%20b")


def test_large_files_are_served_whole(site: Site) -> None:
    site.public()
    site.website(**INDEX)
    site.s3.put_object(Bucket="site", Key="large", Body=b"x" * 300_000)
    assert len(site.get("/large")[1]) == 300_000


def test_what_the_policy_does_not_let_anyone_read_is_forbidden(site: Site) -> None:
    site.website(**INDEX)
    status, body, _ = site.get("/")
    assert status == 403 and "<li>Code: AccessDenied</li>" in body
    site.public({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": "arn:aws:s3:::site/docs/*"})
    assert site.get("/")[0] == 200
    assert site.get("/docs/")[0] == 403
    switches = {"RestrictPublicBuckets": True}
    site.s3.put_public_access_block(Bucket="site", PublicAccessBlockConfiguration=switches)
    assert site.get("/")[0] == 403


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": "arn:aws:iam::000000000000:root"}},
        {"Principal": {"Service": "cloudfront.amazonaws.com"}},
        {"Action": "s3:ListBucket"},
        {"Resource": "arn:aws:s3:::site/other/*"},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_a_statement_for_others_opens_nothing(site: Site, change: Any) -> None:
    site.website(**INDEX)
    site.s3.delete_public_access_block(Bucket="site")
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/*"}
    site.s3.put_bucket_policy(Bucket="site", Policy=json.dumps({"Statement": [{**anyone, **change}]}))
    assert site.get("/")[0] == 403
    site.s3.put_bucket_policy(Bucket="site", Policy=json.dumps({"Statement": anyone}))
    assert site.get("/")[0] == 200


def test_errors_have_the_error_document_with_their_status(site: Site) -> None:
    site.public({"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/docs/*"})
    site.website(**FULL)
    assert site.get("/none")[:2] == (404, "<p>oops.html")
    assert site.get("/docs/")[:2] == (403, "<p>oops.html")
    site.s3.delete_object(Bucket="site", Key="oops.html")
    status, body, _ = site.get("/none")
    assert status == 404 and "<li>Code: NoSuchKey</li>" in body
    assert "An Error Occurred While Attempting to Retrieve a Custom Error Document" in body
    assert site.get("/none", base="/_aws/s3-website/nobody")[0] == 404


def test_only_get_and_head_are_for_websites(site: Site) -> None:
    site.public()
    site.website(**INDEX)
    for method in ("PUT", "POST", "DELETE", "OPTIONS"):
        status, body, _ = site.get("/", method)
        assert status == 405 and "MethodNotAllowed" in body


def test_routing_rules_redirect_by_prefix_and_by_error(site: Site) -> None:
    site.public()
    rules = [
        {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "docs/"}},
        {
            "Condition": {"KeyPrefixEquals": "gone.html"},
            "Redirect": {"ReplaceKeyWith": "x/y.html", "HttpRedirectCode": "302"},
        },
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "app/"},
            "Redirect": {"HostName": "other.example", "Protocol": "https", "ReplaceKeyPrefixWith": "#!/"},
        },
        {"Condition": {"HttpErrorCodeReturnedEquals": "404"}, "Redirect": {"ReplaceKeyWith": "index.html"}},
    ]
    site.website(**FULL, RoutingRules=rules)
    here = f"{site.s3.meta.endpoint_url}/_aws/s3-website/site"
    assert site.location("/old/a%20b.html") == (301, f"{here}/docs/a%20b.html")
    assert site.location("/gone.html") == (302, f"{here}/x/y.html")
    assert site.location("/app/some") == (301, "https://other.example/#!/some")
    assert site.location("/none") == (301, f"{here}/index.html")
    assert site.get("/docs/")[0] == 200


def test_an_object_may_be_a_redirect(site: Site) -> None:
    site.public()
    site.website(**INDEX)
    site.s3.put_object(Bucket="site", Key="moved", WebsiteRedirectLocation="/docs/")
    site.s3.put_object(Bucket="site", Key="away", WebsiteRedirectLocation="https://other.example/")
    assert site.location("/moved") == (301, "/_aws/s3-website/site/docs/")
    assert site.location("/away") == (301, "https://other.example/")
    assert site.s3.head_object(Bucket="site", Key="away")["WebsiteRedirectLocation"] == "https://other.example/"
    upload = site.s3.create_multipart_upload(Bucket="site", Key="parts", WebsiteRedirectLocation="/x")["UploadId"]
    part = site.s3.upload_part(Bucket="site", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    site.s3.complete_multipart_upload(Bucket="site", Key="parts", UploadId=upload, MultipartUpload=parts)
    assert site.location("/parts")[0] == 301
    site.s3.copy_object(Bucket="site", Key="away", CopySource="site/away", WebsiteRedirectLocation="/y")
    assert site.location("/away")[1].endswith("/y")
    code, _ = refused(lambda: site.s3.put_object(Bucket="site", Key="a", WebsiteRedirectLocation="ftp://x"))
    assert code == "InvalidRedirectLocation"
    site.s3.put_object(Bucket="site", Key="a", WebsiteRedirectLocation="/" + "x" * 2047)
    code, _ = refused(lambda: site.s3.put_object(Bucket="site", Key="a", WebsiteRedirectLocation="/" + "x" * 2048))
    assert code == "InvalidRedirectLocation"


def test_pages_of_other_origins_go_by_the_buckets_rules(site: Site) -> None:
    site.public()
    site.website(**INDEX)
    assert "access-control-allow-origin" not in site.get("/", Origin="http://app")[2]
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://app"]}
    site.s3.put_bucket_cors(Bucket="site", CORSConfiguration={"CORSRules": [rule]})
    assert site.get("/", Origin="http://app")[2]["access-control-allow-origin"] == "http://app"
    status, _, headers = site.get("/", "OPTIONS", Origin="http://app", Access_Control_Request_Method="GET")
    assert (status, headers["access-control-allow-methods"]) == (200, "GET")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({}, "A value for IndexDocument Suffix must be provided"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "The IndexDocument Suffix is not well formed"),
        ({**INDEX, "RedirectAllRequestsTo": {"HostName": "x"}}, "cannot be provided in conjunction"),
        ({"RedirectAllRequestsTo": {"HostName": "x", "Protocol": "ftp"}}, "Protocol|protocol"),
        ({**INDEX, "RoutingRules": [{"Redirect": {"HttpRedirectCode": "300"}}]}, "redirect code .300. is not valid"),
        (
            {**INDEX, "RoutingRules": [{"Condition": {"HttpErrorCodeReturnedEquals": "302"}, "Redirect": {"HostName": "x"}}]},
            "error code .302. is not valid",
        ),
        (
            {**INDEX, "RoutingRules": [{"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}]},
            "ReplaceKeyPrefix or ReplaceKey but not both",
        ),
    ],
)  # fmt: skip
def test_configurations_are_checked(site: Site, configuration: Any, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        site.website(**configuration)


def test_fifty_routing_rules_and_no_more(site: Site) -> None:
    rules = [{"Condition": {"KeyPrefixEquals": f"{number}/"}, "Redirect": {"HostName": "x"}} for number in range(51)]
    site.website(**INDEX, RoutingRules=rules[:50])
    assert refused(lambda: site.website(**INDEX, RoutingRules=rules))[0] == "InvalidRequest"


def test_outlying_settings_are_shown_as_aws_shows_them(site: Site) -> None:
    s3 = site.s3
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket="site")
    s3.put_bucket_accelerate_configuration(Bucket="site", AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket="site")["Status"] == "Enabled"
    s3.create_bucket(Bucket="a.b.c")
    dotted = {"Bucket": "a.b.c", "AccelerateConfiguration": {"Status": "Enabled"}}
    assert refused(lambda: s3.put_bucket_accelerate_configuration(**dotted))[0] == "InvalidRequest"
    s3.put_bucket_request_payment(Bucket="site", RequestPaymentConfiguration={"Payer": "BucketOwner"})
    assert s3.get_bucket_request_payment(Bucket="site")["Payer"] == "BucketOwner"
    paid = {"Bucket": "site", "RequestPaymentConfiguration": {"Payer": "Requester"}}
    assert refused(lambda: s3.put_bucket_request_payment(**paid))[0] == "NotImplemented"
    s3.put_bucket_logging(Bucket="site", BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="site")
    enabled = {"LoggingEnabled": {"TargetBucket": "site", "TargetPrefix": ""}}
    assert refused(lambda: s3.put_bucket_logging(Bucket="site", BucketLoggingStatus=enabled))[0] == "NotImplemented"
    assert refused(lambda: s3.get_bucket_replication(Bucket="site"))[0] == "ReplicationConfigurationNotFoundError"
    assert refused(lambda: s3.get_object_lock_configuration(Bucket="site"))[0] == "ObjectLockConfigurationNotFoundError"
