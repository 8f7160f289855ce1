"""azure-identity for Python."""

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    InteractiveBrowserCredential,
    ManagedIdentityCredential,
    OnBehalfOfCredential,
    WorkloadIdentityCredential,
)

from system import *

TOLD = "`authority=…`, `disable_instance_discovery=True`"


def managed():
    return ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"])


def options():
    return {"authority": host(), "disable_instance_discovery": True}


def at_a_browser():
    os.environ["BROWSER"] = f"{sys.executable} {os.path.join(os.path.dirname(__file__), 'person.py')} %s &"
    return InteractiveBrowserCredential(tenant_id=FACTS["tenant_id"], client_id=DESKTOP_APP, timeout=30, **options())


@case("managed identity", "App Service")
def managed_identity_app_service():
    app_service()
    is_identity(managed().get_token(REDIS_SCOPE).token)


@case("managed identity", "IMDS")
def managed_identity_imds():
    imds()
    is_identity(managed().get_token(REDIS_SCOPE).token)


@case("managed identity", "`DefaultAzureCredential`, App Service")
def default_chain():
    app_service()
    credential = DefaultAzureCredential(managed_identity_client_id=FACTS["managed_identity_client_id"])
    is_identity(credential.get_token(REDIS_SCOPE).token)


@case("workload identity")
def workload_identity():
    workload()
    is_app(WorkloadIdentityCredential().get_token(api_scope()).token)


@case("workload identity", "`DefaultAzureCredential`")
def workload_identity_by_default():
    workload()
    is_app(DefaultAzureCredential().get_token(api_scope()).token)


@case("service principal", "client secret", TOLD)
def client_secret():
    credential = ClientSecretCredential(FACTS["tenant_id"], FACTS["client_id"], CLIENT_SECRET, **options())
    is_app(credential.get_token(api_scope()).token)


@case("service principal", "`EnvironmentCredential`", "tenant `adfs` in `AZURE_TENANT_ID`")
def environment():
    os.environ.update(
        AZURE_TENANT_ID="adfs", AZURE_AUTHORITY_HOST=host(), AZURE_CLIENT_ID=FACTS["client_id"],
        AZURE_CLIENT_SECRET=CLIENT_SECRET,
    )
    is_app(EnvironmentCredential().get_token(api_scope()).token)


@case("federated credential", "managed identity", TOLD)
def federated_credential():
    imds()
    credential = ClientAssertionCredential(
        FACTS["tenant_id"], FACTS["client_id"], lambda: managed().get_token(EXCHANGE).token, **options()
    )
    is_app(credential.get_token(api_scope()).token)


@case("sign-in", "`InteractiveBrowserCredential`", TOLD)
def sign_in_code_pkce():
    token = claims(at_a_browser().get_token(FACTS["api_scope"]).token)
    assert token["scp"] == "access_as_user" and token["preferred_username"] == ALICE, token


@case("silent", "", TOLD)
def silent():
    credential = at_a_browser()
    first = credential.get_token(FACTS["api_scope"]).token
    asked = count("token")
    assert credential.get_token(FACTS["api_scope"]).token == first and count("token") == asked


@case("refresh", "", TOLD)
def refresh():
    credential = at_a_browser()
    # Under five minutes of life is none at all to MSAL.
    with fault({"lifetime": {"seconds": 200}}, endpoint="token", times=1):
        first = credential.get_token(FACTS["api_scope"]).token
    asked = count("authorize")
    again = credential.get_token(FACTS["api_scope"]).token
    assert again != first and count("authorize") == asked, "renewed without a person"


@case("on behalf of", "by federated credential", TOLD)
def on_behalf_of():
    imds()
    token = at_a_browser().get_token(FACTS["api_scope"]).token
    credential = OnBehalfOfCredential(
        FACTS["tenant_id"], FACTS["api_client_id"], user_assertion=token,
        client_assertion_func=lambda: managed().get_token(EXCHANGE).token, **options(),
    )
    result = claims(credential.get_token("api://downstream/read").token)
    assert result["scp"] == "read" and result["oid"] == claims(token)["oid"], result


@case("fault", "an identity that is not on this machine")
def unknown_identity():
    app_service()
    with raises(ClientAuthenticationError):
        ManagedIdentityCredential(client_id=NOBODY).get_token(REDIS_SCOPE)


@case("fault", "the projected token has expired: AADSTS700024")
def expired_workload_token():
    workload()
    with fault({"aadsts": {"number": 700024}}, endpoint="token", app="web-app"):
        with raises(ClientAuthenticationError, "AADSTS700024"):
            WorkloadIdentityCredential().get_token(api_scope())


if __name__ == "__main__":
    main("azure-identity (Python)")
