"""moto: what is put into S3 through AWS's own client can be read back."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from services.moto import MotoServer

REGION = "eu-central-1"


def test_s3_put_and_get(moto: MotoServer) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=moto.endpoint_url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    s3.create_bucket(Bucket="services-test", CreateBucketConfiguration={"LocationConstraint": REGION})
    body = bytes(range(256)) * 100
    s3.put_object(Bucket="services-test", Key="t/0/a.avro", Body=body, Metadata={"offset": "7"})
    got = s3.get_object(Bucket="services-test", Key="t/0/a.avro")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"offset": "7"}
    listed = s3.list_objects_v2(Bucket="services-test", Prefix="t/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["t/0/a.avro"]
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="services-test", Key="t/0/b.avro")
    s3.close()
