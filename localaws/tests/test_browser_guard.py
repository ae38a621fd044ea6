"""Requests of web pages are rejected, requests of AWS tools accepted."""

import http.client
from urllib.parse import urlsplit

import pytest

from localaws.browser_guard import is_from_web_page
from localaws.testing import Laptop

CREATE_USER = (
    "/?Action=CreateUser&Version=2010-05-08&UserName=intruder"
    "&X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fiam%2Faws4_request"
)

PAGES = {
    "a form of another page": {"Origin": "https://evil.example", "Content-Type": "text/plain"},
    "an image of another page": {"Sec-Fetch-Site": "cross-site"},
    "a name that resolves to loopback": {"Host": "evil.example"},
    "a name that contains the loopback address": {"Host": "127.0.0.1.evil.example"},
}


@pytest.mark.parametrize("page", PAGES)
def test_requests_of_web_pages_are_rejected(laptop: Laptop, page: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(laptop.endpoint_url).netloc)
    connection.request("GET" if "image" in page else "POST", CREATE_USER, headers=PAGES[page])
    answer = connection.getresponse()
    assert (answer.status, b"not of web pages" in answer.read()) == (403, True)
    connection.close()
    users = laptop.client("iam").list_users()["Users"]
    assert "intruder" not in [user["UserName"] for user in users]


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "bucket.localhost:4566"])
def test_requests_of_aws_tools_are_accepted(host: str) -> None:
    assert not is_from_web_page({"host": host, "authorization": "AWS4-HMAC-SHA256 …"})
