"""Creates the secrets that lead clients to their database: one for each region, with the endpoint of the home region's server.
Usage: led.py WORLD AWS LOCALSTACK. Prints their name.
"""

import json
import sys
import urllib.request
import uuid

REGIONS = {"west": "us-west-2", "east": "us-east-1"}
NAME = "shop/app"


def ask(endpoint: str, account: str, region: str, operation: str, body: dict) -> dict:
    """LocalStack reads account, region and service from the signature, but does not verify it."""
    scope = f"{account}/20260101/{region}/secretsmanager/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"secretsmanager.{operation}",
    }
    with urllib.request.urlopen(urllib.request.Request(endpoint, json.dumps(body).encode(), headers), timeout=5) as answer:
        return json.load(answer)


def read(endpoint: str, account: str, region: str) -> dict:
    """What a client reads from its secret."""
    return json.loads(ask(endpoint, account, region, "GetSecretValue", {"SecretId": NAME})["SecretString"])


def main() -> None:
    with open(sys.argv[1]) as file, open(sys.argv[2]) as other:
        world, account = json.load(file), json.load(other)["account"]
    with open(world["logins"]["app"]) as file:
        login = json.load(file)
    host, port = world["regions"][world["home"]]["endpoint"].split("/")[0].split(":")
    text = json.dumps(login | {"dbname": world["database"], "host": host, "port": int(port), "owner": "the shop"})
    for region in REGIONS.values():
        ask(sys.argv[3], account, region, "CreateSecret", {"Name": NAME, "SecretString": text, "ClientRequestToken": str(uuid.uuid4())})
    print(NAME)


if __name__ == "__main__":
    main()
