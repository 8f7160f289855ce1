"""MSAL Python."""

import msal
import requests

from system import *

TOLD = "`authority`, `instance_discovery=False`"


def managed(resource):
    client = msal.ManagedIdentityClient(
        msal.UserAssignedManagedIdentity(client_id=FACTS["managed_identity_client_id"]), http_client=requests.Session()
    )
    result = client.acquire_token_for_client(resource=resource)
    assert "access_token" in result, result
    return result["access_token"]


def app(credential, cache=None, **options):
    options = {"authority": FACTS["authority"], "instance_discovery": False, **options}
    return msal.ConfidentialClientApplication(
        FACTS["client_id"], client_credential=credential, token_cache=cache, **options
    )


def federated():
    imds()
    return app({"client_assertion": lambda: managed(EXCHANGE)})


def begun(client, **options):
    return client.initiate_auth_code_flow([FACTS["api_scope"]], redirect_uri=redirect_uri(), **options)


def signed_in(client, who=ALICE):
    flow = begun(client)
    result = client.acquire_token_by_auth_code_flow(flow, sign_in(flow["auth_uri"], who))
    assert "access_token" in result, result
    return result


def silently(client, **options):
    return client.acquire_token_silent([FACTS["api_scope"]], account=client.get_accounts()[0], **options)


@case("managed identity", "App Service")
def managed_identity_app_service():
    app_service()
    is_identity(managed("https://redis.azure.com"))


@case("managed identity", "IMDS")
def managed_identity_imds():
    imds()
    is_identity(managed("https://redis.azure.com"))


@case("workload identity", "the token file as `client_assertion`", TOLD)
def workload_identity():
    client = app({"client_assertion": lambda: open(token_file()).read()})
    is_app(client.acquire_token_for_client([api_scope()])["access_token"])


@case("service principal", "client secret", TOLD)
def client_secret():
    is_app(app(CLIENT_SECRET).acquire_token_for_client([api_scope()])["access_token"])


@case("federated credential", "managed identity", TOLD)
def federated_credential():
    is_app(federated().acquire_token_for_client([api_scope()])["access_token"])


@case("sign-in", "by federated credential", TOLD)
def sign_in_code_pkce():
    result = signed_in(federated())
    assert claims(result["access_token"])["scp"] == "access_as_user", result
    assert result["id_token_claims"]["preferred_username"] == ALICE, result


@case("silent", "", TOLD)
def silent():
    client = federated()
    first = signed_in(client)
    assert silently(client)["access_token"] == first["access_token"]


@case("refresh", "", TOLD)
def refresh():
    client = federated()
    first = signed_in(client)
    again = silently(client, force_refresh=True)
    assert "access_token" in again and again["access_token"] != first["access_token"], again


@case("on behalf of", "by federated credential", TOLD)
def on_behalf_of():
    token = signed_in(federated())["access_token"]
    api = msal.ConfidentialClientApplication(
        FACTS["api_client_id"], authority=FACTS["authority"], instance_discovery=False,
        client_credential={"client_assertion": lambda: managed(EXCHANGE)},
    )
    result = api.acquire_token_on_behalf_of(token, ["api://downstream/read"])
    assert claims(result["access_token"])["scp"] == "read", result
    assert claims(result["access_token"])["oid"] == claims(token)["oid"]


@case("fault", "a token for another resource as assertion", TOLD)
def wrong_assertion():
    imds()
    client = app({"client_assertion": lambda: managed("https://redis.azure.com")})
    result = client.acquire_token_for_client([api_scope()])
    assert result["error"] == "invalid_client" and "AADSTS700" in result["error_description"], result


@case("fault", "Conditional Access at refresh: the claims to ask for reach the app", TOLD)
def blocked_at_refresh():
    client = federated()
    signed_in(client)
    with fault({"aadsts": {"number": 53003, "claims": "{\"access_token\":{}}"}}, endpoint="token", times=1):
        result = client.acquire_token_silent_with_error(
            [FACTS["api_scope"]], account=client.get_accounts()[0], force_refresh=True
        )
    assert result["error_codes"] == [53003] and result["claims"], result


if __name__ == "__main__":
    main("msal (Python)")
