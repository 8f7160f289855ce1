"""redis-py with redis-entraid."""

import time

import msal
import redis
from redis.auth.token_manager import RetryPolicy, TokenManagerConfig
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError
from redis.retry import Retry
from redis.backoff import NoBackoff
from redis_entraid.cred_provider import (
    EntraIdCredentialsProvider,
    create_from_default_azure_credential,
    create_from_managed_identity,
)
from redis_entraid.identity_provider import ManagedIdentityIdType, ManagedIdentityType, ServicePrincipalProvider

from system import *

TOLD = "`ssl_ca_certs`"
TOLD_ALSO = "`ssl_ca_certs`; `ServicePrincipalProvider` around an MSAL client with `authority`, `instance_discovery=False`"


def patient(ratio=0.7):
    """Ten seconds for a token in place of 100 ms: a machine that builds and tests is slower than one that serves."""
    return TokenManagerConfig(ratio, 0, 10_000, RetryPolicy(3, 3))


def provider(ratio=0.7):
    return create_from_managed_identity(
        identity_type=ManagedIdentityType.USER_ASSIGNED,
        resource="https://redis.azure.com",
        id_type=ManagedIdentityIdType.CLIENT_ID,
        id_value=FACTS["managed_identity_client_id"],
        token_manager_config=patient(ratio),
    )


def principal(credential):
    """`create_from_service_principal` has the public cloud's authority in it; the class behind takes any client."""
    client = msal.ConfidentialClientApplication(
        FACTS["client_id"], authority=FACTS["authority"], client_credential=credential, instance_discovery=False
    )
    return EntraIdCredentialsProvider(ServicePrincipalProvider(client, [REDIS_SCOPE]), patient())


def connected(**options):
    return redis.Redis(
        host=FACTS["gate_host"], port=FACTS["gate_port"], ssl=True, ssl_ca_certs=FACTS["ca_path"], **options
    )


def once(**options):
    """A client that does not try again by itself."""
    return connected(credential_provider=provider(), retry=Retry(NoBackoff(), 0), **options)


def keeps(client, name):
    key = f"conformance:python:{name}"
    assert client.set(key, "kept") and client.get(key) == b"kept"


@case("managed identity", "App Service, RESP2", TOLD)
def resp2():
    app_service()
    keeps(connected(credential_provider=provider(), protocol=2), "2")


@case("managed identity", "IMDS, RESP3", TOLD)
def resp3():
    imds()
    keeps(connected(credential_provider=provider(), protocol=3), "3")


@case("workload identity", "`create_from_default_azure_credential`", TOLD)
def workload_identity():
    workload()
    credentials = create_from_default_azure_credential((REDIS_SCOPE,), token_manager_config=patient())
    keeps(connected(credential_provider=credentials), "workload")


@case("service principal", "client secret", TOLD_ALSO)
def service_principal():
    keeps(connected(credential_provider=principal(CLIENT_SECRET)), "principal")


@case("federated credential", "managed identity", TOLD_ALSO)
def federated_credential():
    imds()
    identity = msal.ManagedIdentityClient(
        msal.UserAssignedManagedIdentity(client_id=FACTS["managed_identity_client_id"]),
        http_client=__import__("requests").Session(),
    )
    assertion = {"client_assertion": lambda: identity.acquire_token_for_client(resource=EXCHANGE)["access_token"]}
    keeps(connected(credential_provider=principal(assertion)), "federated")


@case("refresh", "AUTH again on the live connection", TOLD)
def again_on_the_live_connection():
    app_service()
    # 200 s of life and a ratio of 0.005: a new token every second. Under five minutes nothing is cached.
    with fault({"lifetime": {"seconds": 200}}, endpoint="app_service"):
        client = connected(credential_provider=provider(0.005), single_connection_client=True)
        before, number = count("redis"), client.client_id()
        for _ in range(50):
            time.sleep(0.2)
            assert client.ping()
            if count("redis") > before:
                break
        assert count("redis") > before and client.client_id() == number, "another AUTH, the same connection"


absent("sign-in", "[providers](https://github.com/redis/redis-py-entraid#readme): managed identity, service principal, default credential")
absent("silent", "no account, so nothing to be silent about")
absent("on behalf of", "no such provider")


def settled():
    """The web app has its own connection to this gate: what a fault did to it is over, so that the next one cannot meet it."""
    for _ in range(100):
        before = count("redis")
        time.sleep(0.3)
        with contextlib.suppress(urllib.error.HTTPError):
            with urllib.request.urlopen(f"{FACTS['admin_url']}/readiness", timeout=5):
                if count("redis") == before:
                    return
    raise AssertionError("the web app did not come back")


@case("fault", "the client id as user name", TOLD)
def client_id_as_user():
    app_service()
    _, token = provider().get_credentials()
    with raises(AuthenticationError, "invalid username-password pair"):
        connected(username=FACTS["managed_identity_client_id"], password=token).ping()


@case("fault", "an object id that nobody has", TOLD)
def unknown_object_id():
    app_service()
    _, token = provider().get_credentials()
    with raises(AuthenticationError, "invalid username-password pair"):
        connected(username=NOBODY, password=token).ping()


@case("fault", "a good AUTH refused once, then accepted", TOLD)
def refused_once():
    app_service()
    client = once()
    with fault({"refuse-auth": {}}, endpoint="redis", times=1):
        with raises(AuthenticationError, "invalid username-password pair"):
            client.ping()
        assert client.ping()


@case("fault", "the access policy deleted: out at once, in again when it is back", TOLD)
def policy_deleted():
    app_service()
    client = once()
    assert client.ping()
    assert control("POST", "redis", {"action": "delete-policy", "who": "web-app-identity"})["affected"] == 1
    with raises((AuthenticationError, ConnectionError)):
        client.ping()
    with raises(AuthenticationError, "invalid username-password pair"):
        once().ping()
    assert control("POST", "redis", {"action": "restore-policy", "who": "web-app-identity"})["affected"] == 1
    # The gate has to make the user at its Redis again.
    for _ in range(50):
        with contextlib.suppress(AuthenticationError, ConnectionError, redis.exceptions.ResponseError):
            if once().ping():
                return settled()
        time.sleep(0.1)
    raise AssertionError("never let in again")


@case("fault", "access revoked: the connection ends, the next command has a new one", TOLD)
def revoked():
    app_service()
    client = once()
    number = client.client_id()
    assert control("POST", "redis", {"action": "disconnect", "who": "web-app-identity"})["affected"] >= 1
    # The pool sees that a connection has ended before it hands it out, unless it ends at that very moment.
    for _ in range(50):
        with contextlib.suppress(ConnectionError):
            if client.client_id() != number:
                return settled()
        time.sleep(0.1)
    raise AssertionError("still on the old connection")


@case("fault", "failover: every connection ends, the first AUTH after it too; the client's retries hide it", TOLD)
def failover():
    app_service()
    client = connected(credential_provider=provider(), retry=Retry(NoBackoff(), 5))
    assert client.ping()
    with fault("reset", endpoint="redis", times=1):
        assert control("POST", "redis", {"action": "disconnect"})["affected"] >= 1
        assert client.ping()
    settled()


@case("fault", "the connection dropped at AUTH", TOLD)
def dropped_at_auth():
    app_service()
    with fault("reset", endpoint="redis", identity="web-app-identity"):
        with raises(ConnectionError):
            once().ping()
    settled()


@case("fault", "AUTH slower than the client waits", TOLD)
def slow_auth():
    app_service()
    client = once(socket_timeout=1)
    with fault({"latency": {"millis": 3000}}, endpoint="redis"):
        with raises(TimeoutError):
            client.ping()
    assert once().ping()
    settled()


@case("fault", "a failing AUTH without a reply on a live connection", TOLD)
def silent_refusal():
    app_service()
    client = once(socket_timeout=5, single_connection_client=True)
    assert client.ping()
    _, token = provider().get_credentials()
    with fault({"refuse-auth": {"silent": True}}, endpoint="redis"):
        with raises(TimeoutError):
            client.execute_command("AUTH", FACTS["managed_identity_principal_id"], token)


@case("fault", "a token without `oid`: no user name to log in by", TOLD)
def no_object_id():
    app_service()
    with fault({"claim": {"name": "oid"}}, endpoint="app_service"):
        with raises(Exception):
            once().ping()


if __name__ == "__main__":
    main("redis + redis-entraid (Python)")
