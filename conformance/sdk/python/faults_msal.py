"""What each fault of Entra's does to MSAL Python: token endpoint, federated credentials, sign-in, discovery."""

import msal
import requests

from msal_client import TOLD, app, begun, federated, managed, signed_in, silently
from system import *

case = functools.partial(case, needs=TOLD)


def exchanged(client=None):
    return (client or federated()).acquire_token_for_client([api_scope()])


def refused(number, client=None):
    """The exchange of the managed identity's token is refused with this number."""
    result = exchanged(client)
    assert result.get("error_codes") == [number], result


@case("fault", "429 with `Retry-After`: not asked again before it is over")
def throttled():
    client = federated()
    with fault({"status": {"code": 429, "retry_after": 30}}, endpoint="token", times=1):
        first, asked = exchanged(client), count("token")
        assert "error" in first and exchanged(client) == first and count("token") == asked


@case("fault", "500 and 503 at the token endpoint are raised")
def unavailable():
    for code in (500, 503):
        with fault({"status": {"code": code}}, endpoint="token"), raises(Exception, str(code)):
            exchanged()


@case("fault", "an answer later than the client waits")
def slow():
    with fault({"latency": {"millis": 3000}}, endpoint="token"), raises(requests.Timeout):
        exchanged(app(CLIENT_SECRET, timeout=1))


@case("fault", "no answer at all")
def hanging():
    with fault("hang", endpoint="token"), raises(requests.Timeout):
        exchanged(app(CLIENT_SECRET, timeout=1))


@case("fault", "the connection reset, or ended in the middle of the answer")
def reset():
    for effect in ("reset", "truncate"):
        with fault(effect, endpoint="token"), raises(requests.RequestException):
            exchanged()


@case("fault", "a web page in place of JSON")
def not_json():
    with fault("not-json", endpoint="token"), raises(ValueError):
        exchanged()


@case("fault", "no `expires_in`: an hour is assumed")
def no_expires_in():
    client = federated()
    with fault({"drop-field": {"field": "expires_in"}}, endpoint="token", times=1):
        first = exchanged(client)
    assert exchanged(client)["access_token"] == first["access_token"], "it was cached all the same"


@case("fault", "no `refresh_token`: the person must sign in again when the hour is over")
def no_refresh_token():
    client = federated()
    with fault({"drop-field": {"field": "refresh_token"}}, endpoint="token", grant="authorization_code"):
        signed_in(client)
    assert silently(client, force_refresh=True) is None


@case("fault", "every refresh gives another refresh token, and the client keeps the last")
def rotated():
    client, seen = federated(), set()
    signed_in(client)
    for _ in range(3):
        assert "access_token" in silently(client, force_refresh=True)
        seen.update(entry["secret"] for entry in client.token_cache.search("RefreshToken"))
    assert len(seen) == 3, "each was the only one of its time"


@case("fault", "sessions revoked: AADSTS50173 at refresh; inactive for 90 days: AADSTS700082")
def revoked():
    client = federated()
    signed_in(client)
    with fault({"aadsts": {"number": 700082}}, endpoint="token", grant="refresh_token"):
        assert silently(client, force_refresh=True) is None
    client = federated()
    signed_in(client)
    control("POST", "revoke", {"user": ALICE})
    again = client.acquire_token_silent_with_error(
        [FACTS["api_scope"]], account=client.get_accounts()[0], force_refresh=True
    )
    assert again["error"] == "invalid_grant" and again["error_codes"] == [50173], again


@case("fault", "tokens of under five minutes of life are asked for again at every call")
def short_lived():
    imds()
    with fault({"lifetime": {"seconds": 240}}, endpoint="imds", resource="redis.azure.com"):
        managed("https://redis.azure.com")
        asked = count("imds")
        managed("https://redis.azure.com")
        assert count("imds") > asked


@case("fault", "`exp` − `iat` odd: the life is that of `expires_in`")
def odd_life():
    client = federated()
    with fault({"claim": {"token": "access", "name": "iat", "value": 1}}, endpoint="token"):
        first = exchanged(client)
    assert claims(first["access_token"])["iat"] == 1 and exchanged(client)["access_token"] == first["access_token"]


@case("fault", "another nonce in the ID token is refused")
def wrong_nonce():
    client = federated()
    flow = begun(client)
    parameters = sign_in(flow["auth_uri"])
    with fault({"claim": {"token": "id", "name": "nonce", "value": "another"}}, endpoint="token"):
        with raises(Exception, "nonce"):
            client.acquire_token_by_auth_code_flow(flow, parameters)


@case("fault", "more groups than a token holds: the overage claim stands in their place")
def group_overage():
    found = signed_in(federated(), "grace@contoso.example")["id_token_claims"]
    assert "groups" not in found and found["_claim_names"]["groups"], found


@case("fault", "keys rotated: a token of the older key is as good as before")
def rotated_keys():
    imds()
    old = managed(EXCHANGE)
    control("POST", "keys", {"action": "rotate"})
    assert "access_token" in exchanged(app({"client_assertion": old}))
    assert "access_token" in exchanged()


@case("fault", "the assertion's issuer, subject or its case, or audience is another; one number each")
def another_assertion():
    principal = FACTS["managed_identity_principal_id"]
    for claim, value, number in [
        ("iss", "https://elsewhere.example/v2.0", 700211), ("sub", NOBODY, 700213), ("sub", principal.upper(), 7002138),
        ("aud", "https://redis.azure.com", 7002121), ("xms_ficinfo", "chained", 700231), ("ver", "1.0", 700227),
        ("exp", 1_600_000_000, 700024),
    ]:
        # The identity's token is made anew for each rule.
        rule = {"claim": {"name": claim, "value": value}}
        with fault(rule, endpoint="imds", resource="AzureADTokenExchange"):
            refused(number)


@case("fault", "a system-assigned identity's token as assertion: AADSTS700222")
def system_assigned():
    imds()

    def of_the_host():
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
        return client.acquire_token_for_client(resource=EXCHANGE)["access_token"]

    refused(700222, app({"client_assertion": of_the_host}))


@case("fault", "the assertion's signature is broken, or of an unpublished key: AADSTS700027")
def bad_assertion_signature():
    for effect in ("bad-signature", "unpublished-key"):
        with fault({effect: {}}, endpoint="imds", resource="AzureADTokenExchange"):
            refused(700027)


@case("fault", "a federated credential that has not spread yet: AADSTS70021, then accepted")
def propagation():
    with fault({"aadsts": {"number": 70021}}, endpoint="token", times=1):
        refused(70021)
        # MSAL keeps a 400 for a minute; a client of its own asks again.
        assert "access_token" in exchanged()


@case("fault", "an app registration without any federated credential: AADSTS70025")
def no_federation():
    imds()
    client = msal.ConfidentialClientApplication(
        DESKTOP_APP, authority=FACTS["authority"], client_credential={"client_assertion": lambda: managed(EXCHANGE)},
        instance_discovery=False,
    )
    result = exchanged(client)
    assert "AADSTS70" in result["error_description"], result


def answered(who=ALICE, **options):
    """What a sign-in that does not succeed sends back."""
    client = federated()
    flow = begun(client, **options)
    return client.acquire_token_by_auth_code_flow(flow, answer_of(flow["auth_uri"], who))


@case("fault", "consent missing or declined, a second factor, Conditional Access: the error reaches the app")
def refused_at_sign_in():
    for number, error in [
        (65001, "consent_required"), (65004, "access_denied"), (50076, "interaction_required"), (53003, ""),
    ]:
        with fault({"aadsts": {"number": number, "claims": "{\"access_token\":{}}"}}, endpoint="authorize"):
            result = answered()
        assert f"AADSTS{number}" in result["error_description"] and error in result["error"], result


@case("fault", "a person who is not assigned (AADSTS50105), or disabled (AADSTS50057)")
def not_let_in():
    for who, number in [("mallory@contoso.example", 50105), ("dana@contoso.example", 50057)]:
        result = answered(who)
        assert f"AADSTS{number}" in result["error_description"], result


@case("fault", "`prompt=none` with nobody signed in: `login_required`")
def nobody_signed_in():
    result = answered(prompt="none")
    assert result["error"] == "login_required" and "AADSTS50058" in result["error_description"], result


@case("fault", "another state, or none, on the way back is refused before anything is sent")
def state_tampered():
    for value in ("another", None):
        client = federated()
        flow = begun(client)
        with fault({"redirect": {"parameter": "state", "value": value}}, endpoint="authorize"):
            parameters = answer_of(flow["auth_uri"])
        asked = count("token")
        with raises(ValueError, "state"):
            client.acquire_token_by_auth_code_flow(flow, parameters)
        assert count("token") == asked


@case("fault", "a code redeemed twice: AADSTS54005, and the tokens of the first time end too")
def code_replayed():
    client = federated()
    flow = begun(client)
    parameters = sign_in(flow["auth_uri"])
    assert "access_token" in client.acquire_token_by_auth_code_flow(flow, parameters)
    again = federated().acquire_token_by_auth_code_flow(flow, parameters)
    assert again["error_codes"] == [54005], again
    assert silently(client, force_refresh=True) is None


@case("fault", "a redirect URI that is not registered: a page, and nothing is sent back")
def redirect_mismatch():
    flow = federated().initiate_auth_code_flow([FACTS["api_scope"]], redirect_uri="http://localhost:5000/elsewhere")
    page = browser().get(flow["auth_uri"], timeout=10, allow_redirects=False)
    assert "AADSTS50011" in page.text and "Location" not in page.headers, page.text[:300]


@case("fault", "metadata: 404, of a tenant that does not exist, of another issuer")
def wrong_metadata():
    with fault({"status": {"code": 404}}, endpoint="metadata"), raises(ValueError, "authority configuration"):
        app(CLIENT_SECRET).acquire_token_for_client([api_scope()])
    with raises(ValueError, "authority configuration"):
        app(CLIENT_SECRET, authority=f"{host()}/{NOBODY}").acquire_token_for_client([api_scope()])
    with fault({"set-field": {"field": "issuer", "value": "https://elsewhere.example"}}, endpoint="metadata"):
        with raises(ValueError, "ssuer"):
            options = {"authority": None, "oidc_authority": f"{FACTS['authority']}/v2.0", "instance_discovery": None}
            app(CLIENT_SECRET, **options).acquire_token_for_client([api_scope()])


@case("fault", "instance discovery says that the host is none of Microsoft's: AADSTS50049")
def instance_discovery():
    at = f"{host()}/common/discovery/instance"
    with fault({"aadsts": {"number": 50049}}, endpoint="discovery"), raises(ValueError, "invalid_instance"):
        app(CLIENT_SECRET, instance_discovery=at).acquire_token_for_client([api_scope()])


@case("fault", "an app-only token on behalf of nobody: AADSTS7000113")
def app_only_on_behalf_of():
    token = exchanged()["access_token"]
    api = msal.ConfidentialClientApplication(
        FACTS["api_client_id"], authority=FACTS["authority"], client_credential=API_SECRET, instance_discovery=False
    )
    result = api.acquire_token_on_behalf_of(token, ["api://downstream/read"])
    assert result["error_codes"] == [7000113], result


if __name__ == "__main__":
    main("msal (Python)")
