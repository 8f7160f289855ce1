"""What each fault of the identity endpoints does to azure-identity for Python."""

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from azure_identity_client import managed
from system import *

AT_ONCE = {"retry_total": 0}


def asked():
    return managed().get_token(REDIS_SCOPE)


def fails(*kinds):
    return raises(kinds or (ClientAuthenticationError, CredentialUnavailableError))


@case("fault", "404 while IMDS is updated, 410, 429, 500, 503: asked again, and then it works")
def passing_troubles():
    imds()
    for code in (404, 410, 429, 500, 503):
        with fault({"status": {"code": code}}, endpoint="imds", times=1):
            is_identity(asked().token)


@case("fault", "410 for as long as the client is patient: the error reaches the app")
def gone():
    imds()
    with fault({"status": {"code": 410}}, endpoint="imds"), fails():
        ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"], **AT_ONCE).get_token(REDIS_SCOPE)


@case("fault", "an endpoint that never answers: given up after the client's own time")
def silent_endpoint():
    imds()
    with fault("hang", endpoint="imds"), fails(Exception):
        credential = ManagedIdentityCredential(client_id=FACTS["managed_identity_client_id"], read_timeout=1, **AT_ONCE)
        credential.get_token(REDIS_SCOPE)


@case("fault", "nobody listens at the identity endpoint")
def refused_connection():
    os.environ.update(IDENTITY_ENDPOINT="http://127.0.0.1:1/msi/token", IDENTITY_HEADER="x")
    with fails(Exception):
        ManagedIdentityCredential(**AT_ONCE).get_token(REDIS_SCOPE)


@case("fault", "the header of another host: refused, as a request without `Metadata: true` is")
def wrong_header():
    app_service()
    os.environ["IDENTITY_HEADER"] = "another"
    with fails(Exception):
        asked()


@case("fault", "an identity's token without `expires_on`")
def no_expires_on():
    app_service()
    with fault({"drop-field": {"field": "expires_on"}}, endpoint="app_service"), fails(Exception):
        asked()


@case("fault", "`expires_on` in the past: handed out once, asked for again at the next call")
def past_expires_on():
    app_service()
    credential = managed()
    with fault({"set-field": {"field": "expires_on", "value": "1600000000"}}, endpoint="app_service"):
        for _ in range(2):
            with contextlib.suppress(ClientAuthenticationError):
                credential.get_token(REDIS_SCOPE)
    requests = count("app_service")
    is_identity(credential.get_token(REDIS_SCOPE).token)
    assert count("app_service") == requests + 1, "nothing of it was cached"


if __name__ == "__main__":
    main("azure-identity (Python)")
