"""The running system, and the few lines that every case shares."""

import base64
import contextlib
import functools
import html.parser
import json
import os
import signal
import sys
import tempfile
import traceback
import urllib.error
import urllib.parse
import urllib.request

FACTS = json.load(open(os.environ["ENTRANT_READY"])) if "ENTRANT_READY" in os.environ else {}
REDIS_SCOPE = "https://redis.azure.com/.default"
EXCHANGE = "api://AzureADTokenExchange"
ALICE = "alice@contoso.example"
NOBODY = "00000000-0000-4000-8000-000000000000"
# The emulator's own, of the seed; they open nothing else.
CLIENT_SECRET = "emulator-only-secret-of-web-app"
API_SECRET = "emulator-only-secret-of-protected-api"
DESKTOP_APP = "00000000-0000-4000-8000-00000000de5c"
# No case takes longer than a few seconds; the slowest clients retry for twenty before they give up.
LIMIT_SECONDS = 60
CASES = {}
ABSENT = {}


def case(capability, variant="", needs="environment only"):
    """Registers a function as a case of a column of the matrix; `needs` is what the client must be told beyond the
    ordinary."""

    def register(function):
        # A script that imports another one does not run its cases.
        if function.__module__ == "__main__":
            CASES[function.__name__] = (capability, variant, needs, function)
        return function

    return register


def absent(capability, why):
    """The package has no such thing; `why` says where that can be read."""
    if sys._getframe(1).f_globals["__name__"] == "__main__":
        ABSENT[capability] = why


def app_service():
    """The variables that App Service sets."""
    os.environ["IDENTITY_ENDPOINT"] = FACTS["identity_endpoint"]
    os.environ["IDENTITY_HEADER"] = FACTS["identity_header"]


def imds():
    """Where the metadata address is, as pod identity overrides it."""
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = FACTS["imds_url"]


def workload():
    """The variables that the webhook of AKS workload identity sets."""
    os.environ.update(
        AZURE_AUTHORITY_HOST=host(), AZURE_TENANT_ID=FACTS["tenant_id"], AZURE_CLIENT_ID=FACTS["client_id"],
        AZURE_FEDERATED_TOKEN_FILE=token_file(),
    )


def token_file():
    """The projected token of a service account, beside the CA."""
    return os.path.join(os.path.dirname(FACTS["ca_path"]), "workload-identity-token")


def host():
    return FACTS["authority"].rsplit("/", 1)[0]


def api_scope():
    return f"api://{FACTS['api_client_id']}/.default"


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


def is_app(token):
    """The token speaks of the web app."""
    assert claims(token)["azp"] == FACTS["client_id"], claims(token)


def control(method, path, body=None):
    """The emulator's control API."""
    request = urllib.request.Request(
        f"{FACTS['console_url']}/control/{path}", method=method, headers={"content-type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path} {body}: {error.code} {error.read()}") from None
    return json.loads(text) if text else None


@contextlib.contextmanager
def fault(effect, **rule):
    """A fault rule in force; it must strike at least once."""
    number = control("POST", "faults", {"effect": effect, **rule})["id"]
    yield
    struck = next(status["struck"] for status in control("GET", "faults") if status["id"] == number)
    control("DELETE", f"faults/{number}")
    assert struck, f"{effect} met nobody"


def count(endpoint):
    """Requests that an endpoint has answered."""
    return control("GET", "counters")[endpoint]["answered"]


@contextlib.contextmanager
def raises(kind, says=""):
    """Something of this kind is raised, and its text has these words in it."""
    try:
        yield
    except kind as error:
        assert says in f"{error!r} {error}", error
        return
    raise AssertionError(f"no {kind}")


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


def browser():
    """Cookies and redirects as a browser has them: for it, `localhost` is a secure place."""
    import requests

    class Jar(requests.cookies.RequestsCookieJar):
        def set_cookie(self, cookie, *arguments, **named):
            cookie.secure = False
            return super().set_cookie(cookie, *arguments, **named)

    session = requests.Session()
    session.cookies = Jar()
    return session


def choose(session, page, who, trouble=None, follow=False):
    """Picks an account on the emulator's page."""
    forms = Forms()
    forms.feed(page.text)
    action, method, fields = next(form for form in forms.forms if any(who in value for _, _, value in form[2]))
    # A form sends its inputs and the one button that was pressed.
    data = {name: value for tag, name, value in fields if tag == "input" or who in value}
    if trouble:
        data["trouble"] = trouble
    target = urllib.parse.urljoin(page.url, action)
    return session.request(method, target, data=data, timeout=20, allow_redirects=follow)


def answer_of(url, who=ALICE):
    """What the sign-in sends back to the app, or nothing if it stays on the page."""
    session = browser()
    page = session.get(url, timeout=10, allow_redirects=False)
    if page.status_code == 200:
        page = choose(session, page, who)
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.headers.get("Location", "")).query))


def sign_in(url, who=ALICE):
    """Picks an account on the emulator's page and returns the parameters that come back to the app."""
    parameters = answer_of(url, who)
    assert "code" in parameters, parameters
    return parameters


def main(client):
    """`--list` prints the cases, `--all` runs each in a process of its own and prints how it ended, as JSON lines; a
    case's name runs it here."""
    if sys.argv[1:] == ["--all"]:
        for capability, why in ABSENT.items():
            report(client=client, capability=capability, absent=why)
        for key, (capability, variant, needs, _) in CASES.items():
            failure = apart(key)
            report(client=client, case=key, capability=capability, variant=variant, needs=needs, failure=failure)
    elif sys.argv[1:] == ["--list"]:
        print("\n".join(CASES))
    else:
        trust()
        CASES[sys.argv[1]][3]()


def report(**what):
    print(json.dumps(what), flush=True)


def apart(key):
    """Runs a case in a process of its own: client libraries keep what they learnt for the life of a process."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(LIMIT_SECONDS)
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                trust()
                CASES[key][3]()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            return None
        control("DELETE", "faults")
        said.seek(0)
        text = said.read().decode(errors="replace")
        return f"{text}no end after {LIMIT_SECONDS} s" if os.WIFSIGNALED(status) else text


@functools.cache
def redirect_uri():
    """Registered for any port of localhost."""
    return "http://localhost:5000/getAToken"
