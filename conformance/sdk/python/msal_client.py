"""MSAL Python."""

import msal
import requests

from system import *


def managed(resource):
    client = msal.ManagedIdentityClient(
        msal.UserAssignedManagedIdentity(client_id=FACTS["managed_identity_client_id"]), http_client=requests.Session()
    )
    result = client.acquire_token_for_client(resource=resource)
    assert "access_token" in result, result
    return result["access_token"]


def app(credential, cache=None):
    return msal.ConfidentialClientApplication(
        FACTS["client_id"],
        authority=FACTS["authority"],
        client_credential=credential,
        instance_discovery=False,
        token_cache=cache,
    )


def federated():
    imds()
    return app({"client_assertion": lambda: managed(EXCHANGE)})


def signed_in(client):
    flow = client.initiate_auth_code_flow([FACTS["api_scope"]], redirect_uri=redirect_uri())
    result = client.acquire_token_by_auth_code_flow(flow, sign_in(flow["auth_uri"]))
    assert "access_token" in result, result
    return result


TOLD = "`authority`, `instance_discovery=False`"


@case("managed identity, App Service")
def managed_identity_app_service():
    app_service()
    is_identity(managed("https://redis.azure.com"))


@case("managed identity, IMDS")
def managed_identity_imds():
    imds()
    is_identity(managed("https://redis.azure.com"))


@case("client secret", TOLD)
def client_secret():
    result = app(CLIENT_SECRET).acquire_token_for_client([f"api://{FACTS['api_client_id']}/.default"])
    assert claims(result["access_token"])["azp"] == FACTS["client_id"], result


@case("managed identity as federated credential", TOLD)
def federated_credential():
    result = federated().acquire_token_for_client([f"api://{FACTS['api_client_id']}/.default"])
    assert claims(result["access_token"])["azp"] == FACTS["client_id"], result


@case("sign-in with code and PKCE, by federated credential", TOLD)
def sign_in_code_pkce():
    result = signed_in(federated())
    assert claims(result["access_token"])["scp"] == "access_as_user", result
    assert result["id_token_claims"]["preferred_username"] == "alice@contoso.example", result


@case("silent: from the cache", TOLD)
def silent():
    client = federated()
    first = signed_in(client)
    again = client.acquire_token_silent([FACTS["api_scope"]], account=client.get_accounts()[0])
    assert again["access_token"] == first["access_token"]


@case("refresh", TOLD)
def refresh():
    client = federated()
    first = signed_in(client)
    again = client.acquire_token_silent([FACTS["api_scope"]], account=client.get_accounts()[0], force_refresh=True)
    assert "access_token" in again and again["access_token"] != first["access_token"], again


@case("fault: a token for another resource as assertion", TOLD)
def wrong_assertion():
    imds()
    client = app({"client_assertion": lambda: managed("https://redis.azure.com")})
    result = client.acquire_token_for_client([f"api://{FACTS['api_client_id']}/.default"])
    assert result["error"] == "invalid_client" and "AADSTS700" in result["error_description"], result


main("msal (Python)")
