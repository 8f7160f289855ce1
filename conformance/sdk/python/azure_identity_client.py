"""azure-identity for Python."""

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
)

from system import *


def managed():
    return ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"])


def host():
    return FACTS["authority"].rsplit("/", 1)[0]


def api_scope():
    return f"api://{FACTS['api_client_id']}/.default"


TOLD = "`authority=…`, `disable_instance_discovery=True`"


@case("managed identity, App Service")
def managed_identity_app_service():
    app_service()
    is_identity(managed().get_token(REDIS_SCOPE).token)


@case("managed identity, IMDS")
def managed_identity_imds():
    imds()
    is_identity(managed().get_token(REDIS_SCOPE).token)


@case("default chain, App Service")
def default_chain():
    app_service()
    credential = DefaultAzureCredential(managed_identity_client_id=FACTS["managed_identity_client_id"])
    is_identity(credential.get_token(REDIS_SCOPE).token)


@case("client secret", TOLD)
def client_secret():
    credential = ClientSecretCredential(
        FACTS["tenant_id"], FACTS["client_id"], CLIENT_SECRET, authority=host(), disable_instance_discovery=True
    )
    assert claims(credential.get_token(api_scope()).token)["azp"] == FACTS["client_id"]


@case("environment", "tenant `adfs` in `AZURE_TENANT_ID`")
def environment():
    os.environ.update(
        AZURE_TENANT_ID="adfs", AZURE_AUTHORITY_HOST=host(), AZURE_CLIENT_ID=FACTS["client_id"],
        AZURE_CLIENT_SECRET=CLIENT_SECRET,
    )
    assert claims(EnvironmentCredential().get_token(api_scope()).token)["azp"] == FACTS["client_id"]


@case("managed identity as federated credential", TOLD)
def federated_credential():
    imds()
    credential = ClientAssertionCredential(
        FACTS["tenant_id"], FACTS["client_id"], lambda: managed().get_token(EXCHANGE).token, authority=host(),
        disable_instance_discovery=True,
    )
    assert claims(credential.get_token(api_scope()).token)["azp"] == FACTS["client_id"]


@case("fault: an identity that is not on this machine")
def unknown_identity():
    app_service()
    try:
        ManagedIdentityCredential(client_id="00000000-0000-4000-8000-000000000000").get_token(REDIS_SCOPE)
    except ClientAuthenticationError:
        return
    raise AssertionError("a token for nobody")


main("azure-identity (Python)")
