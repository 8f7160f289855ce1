"""The running system, and the few lines that every case shares."""

import base64
import functools
import html.parser
import json
import os
import sys
import traceback
import urllib.parse

FACTS = json.load(open(os.environ["ENTRANT_READY"])) if "ENTRANT_READY" in os.environ else {}
REDIS_SCOPE = "https://redis.azure.com/.default"
EXCHANGE = "api://AzureADTokenExchange"
# The emulator's own, of its default seed; it opens nothing else.
CLIENT_SECRET = "emulator-only-secret-of-web-app"
CASES = {}


def case(name, needs="environment only"):
    """Registers a function as a case; `needs` says what the client must be told beyond the ordinary."""

    def register(function):
        CASES[function.__name__] = (name, needs, function)
        return function

    return register


def app_service():
    """The variables that App Service sets."""
    os.environ["IDENTITY_ENDPOINT"] = FACTS["identity_endpoint"]
    os.environ["IDENTITY_HEADER"] = FACTS["identity_header"]


def imds():
    """Where the metadata address is, as pod identity overrides it."""
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = FACTS["imds_url"]


def trust():
    """The CA of the emulator, for `requests` and for everything else."""
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = FACTS["ca_path"]


def claims(token):
    """The claims of a token, unverified: a test looks at what it was given."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def is_identity(token):
    """The token speaks of the user-assigned identity, by its principal id."""
    assert claims(token)["oid"] == FACTS["managed_identity_principal_id"], claims(token)


class Forms(html.parser.HTMLParser):
    """The forms of a page with their fields and buttons."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append((attributes.get("action", ""), attributes.get("method", "get").lower(), []))
        elif tag in ("input", "button") and self.forms and attributes.get("name"):
            self.forms[-1][2].append((tag, attributes["name"], attributes.get("value", "")))


def sign_in(url, who="alice@contoso.example"):
    """Picks an account on the emulator's page and returns the parameters that come back to the app."""
    import requests

    session = requests.Session()
    page = session.get(url, timeout=10, allow_redirects=False)
    if page.status_code == 200:
        forms = Forms()
        forms.feed(page.text)
        action, method, fields = next(form for form in forms.forms if any(who in value for _, _, value in form[2]))
        # A form sends its inputs and the one button that was pressed.
        data = {name: value for tag, name, value in fields if tag == "input" or who in value}
        target = urllib.parse.urljoin(page.url, action)
        page = session.request(method, target, data=data, timeout=10, allow_redirects=False)
    location = page.headers.get("Location", "")
    assert page.status_code in (302, 303) and "code=" in location, f"{page.status_code} {location} {page.text[:400]}"
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))


def main(client):
    """`--list` prints the cases as JSON lines; a case's name runs it."""
    if sys.argv[1:] == ["--list"]:
        for key, (name, needs, _) in CASES.items():
            print(json.dumps({"client": client, "case": key, "name": name, "needs": needs}))
        return
    trust()
    try:
        CASES[sys.argv[1]][2]()
    except Exception:
        traceback.print_exc()
        sys.exit(1)


@functools.cache
def redirect_uri():
    """Registered for any port of localhost."""
    return "http://localhost:5000/getAToken"
