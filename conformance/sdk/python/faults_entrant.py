"""What faults do to Entrant's own web app and command line: what other libraries let pass is refused here."""

import subprocess

from system import *

case = functools.partial(case, needs="nothing")
BINARY = os.environ.get("ENTRANT_BIN", "entrant")


def signed_in(trouble=None):
    """The page that a person sees after signing in with something wrong."""
    session = browser()
    page = session.get(f"{FACTS['web_url']}/login", timeout=20)
    return session, choose(session, page, ALICE, trouble, follow=True)


def home(session):
    return session.get(FACTS["web_url"], timeout=20).text


def refused(trouble):
    session, page = signed_in(trouble)
    assert page.status_code >= 400 and "What to do" in page.text, f"{trouble}: {page.status_code} {page.text[:800]}"
    # Only what was ordered is wrong with it.
    assert ("belongs to another browser" in page.text) == trouble.endswith("-state"), f"{trouble}: {page.text[:800]}"
    assert "Signed in as" not in home(session), trouble


@case("fault", "an ID token for another client, of another issuer or tenant, with another nonce: refused")
def wrong_claims():
    for trouble in ("wrong-audience", "wrong-issuer", "wrong-tenant", "wrong-nonce", "no-subject"):
        refused(trouble)


@case("fault", "an ID token of the past or of the future: refused")
def wrong_times():
    for trouble in ("expired", "not-yet"):
        refused(trouble)


@case("fault", "an ID token without signature, with a broken one, of an unpublished key: refused")
def wrong_signatures():
    for trouble in ("unsigned", "bad-signature", "unpublished-key"):
        refused(trouble)


@case("fault", "another state or code on the way back: refused")
def wrong_answer():
    for trouble in ("wrong-state", "no-state", "wrong-code"):
        refused(trouble)


def key_floor_passes():
    """A key that is not known makes the keys be fetched again, but not at once after the last time."""
    control("POST", "clock", {"step_seconds": 400})


@case("fault", "the keys change between two sign-ins: the new ones are fetched, late if need be, and nobody notices")
def keys_rotated():
    signed_in()
    for late in (0, 1500):
        key_floor_passes()
        control("POST", "keys", {"action": "rotate"})
        with fault({"latency": {"millis": late}}, endpoint="keys"):
            session, _ = signed_in()
        assert "Signed in as" in home(session)


@case("fault", "keys that cannot be had (500, or an empty list): a token of a new key is not believed")
def no_keys():
    for effect in ({"status": {"code": 500}}, {"set-field": {"field": "keys", "value": []}}):
        key_floor_passes()
        control("POST", "keys", {"action": "rotate"})
        with fault(effect, endpoint="keys"):
            session, page = signed_in()
        assert page.status_code >= 400 and "Signed in as" not in home(session), effect
    key_floor_passes()
    session, _ = signed_in()
    assert "Signed in as" in home(session)


@case("fault", "the API refuses a good token, wants claims, forbids: each is a page that says what to do")
def api_refuses():
    wanted = json.dumps({"access_token": {"nbf": {"essential": True, "value": "1"}}})
    for challenge, says in [
        ({"error": "invalid_token"}, ""), ({"error": "insufficient_scope"}, ""),
        ({"error": "insufficient_claims", "claims": wanted}, ""),
    ]:
        session, _ = signed_in()
        with fault({"challenge": challenge}, endpoint="api"):
            page = session.get(f"{FACTS['web_url']}/call-api", timeout=20)
        assert "access_as_user" not in page.text and says in page.text, (challenge, page.text[:800])


@case("fault", "an access token that has expired, is of another key or not signed: the API says 401")
def api_judges():
    import requests

    from msal_client import federated, signed_in as by_msal

    for effect in ({"shift-times": {"token": "access", "seconds": -7200}}, {"alg-none": {"token": "access"}},
                   {"bad-signature": {"token": "access"}}, {"no-kid": {"token": "access"}},
                   {"claim": {"token": "access", "name": "aud", "value": "another"}}):
        with fault(effect, endpoint="token", grant="authorization_code"):
            token = by_msal(federated())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{FACTS['api_url']}/api/claims", headers=bearer, timeout=10)
        assert answer.status_code == 401 and "invalid_token" in answer.headers["WWW-Authenticate"], (effect, answer.text)


@case("fault", "more than twenty federated credentials: `entrant emulator check` says so")
def too_many_credentials():
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as seed:
        seed.write('[[app]]\nname = "web-app"\n')
        for number in range(21):
            seed.write(f'[[app.fic]]\nname = "fic-{number}"\nissuer = "https://i.example"\nsubject = "s{number}"\n')
        seed.flush()
        ended = subprocess.run([BINARY, "emulator", "check", seed.name], capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0 and "20" in ended.stdout + ended.stderr, ended


if __name__ == "__main__":
    main("Entrant")
