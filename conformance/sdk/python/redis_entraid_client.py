"""redis-py with redis-entraid."""

import redis
from redis.exceptions import AuthenticationError
from redis_entraid.cred_provider import create_from_managed_identity
from redis_entraid.identity_provider import ManagedIdentityIdType, ManagedIdentityType

from system import *


def provider():
    return create_from_managed_identity(
        identity_type=ManagedIdentityType.USER_ASSIGNED,
        resource="https://redis.azure.com",
        id_type=ManagedIdentityIdType.CLIENT_ID,
        id_value=FACTS["managed_identity_client_id"],
    )


def connected(**options):
    return redis.Redis(
        host=FACTS["gate_host"], port=FACTS["gate_port"], ssl=True, ssl_ca_certs=FACTS["ca_path"], **options
    )


@case("SET and GET through the gate, RESP2", "`ssl_ca_certs`")
def resp2():
    app_service()
    client = connected(credential_provider=provider(), protocol=2)
    assert client.set("conformance:python:2", "kept") and client.get("conformance:python:2") == b"kept"


@case("SET and GET through the gate, RESP3", "`ssl_ca_certs`")
def resp3():
    imds()
    client = connected(credential_provider=provider(), protocol=3)
    assert client.set("conformance:python:3", "kept") and client.get("conformance:python:3") == b"kept"


@case("fault: the client id as user name", "`ssl_ca_certs`")
def client_id_as_user():
    app_service()
    _, token = provider().get_credentials()
    try:
        connected(username=FACTS["managed_identity_client_id"], password=token).ping()
    except AuthenticationError as error:
        assert "invalid username-password pair" in str(error), error
        return
    raise AssertionError("the client id was let in")


main("redis + redis-entraid (Python)")
