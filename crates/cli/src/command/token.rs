//! `entrant token`: acquire with any credential source, say where it came from, show its claims.

use std::time::Duration;

use entrant_credential::{Snapshot, Source};
use entrant_proto::jose::UnverifiedJwt;
use entrant_types::{AccessToken, Fault, Scope, Timestamp, Whose};
use serde_json::{Value, json};

use crate::ending::{self, Ending};
use crate::identity;
use crate::lifecycle::Lifecycle;
use crate::settings::{Settings, bad};
use crate::surroundings::Surroundings;
use crate::variable;

/// Above the limit of every source: a person with a slow `az` still gets its answer.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// How the token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Human,
    Json,
    /// The token itself and nothing else.
    Raw,
}

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let form = match (settings.on(&variable::JSON), settings.on(&variable::RAW)) {
        (true, true) => return Err(bad("--json and --raw contradict each other.", "Give one of them.")),
        (true, false) => Form::Json,
        (false, true) => Form::Raw,
        (false, false) => Form::Human,
    };
    let around = Surroundings::of(settings)?;
    let kind = identity::kind(settings)?;
    let source = identity::source(settings, &around, kind)?;
    let scope = Scope::new(settings.required(&variable::SCOPE)?);
    if settings.on(&variable::WATCH) {
        let lifecycle = Lifecycle::new();
        let keeper = identity::keep(source.clone(), scope.clone(), &around, &lifecycle);
        lifecycle.drive("watch", watch(keeper.subscribe(), source, scope, around, form));
        return Ok(lifecycle.run().await);
    }
    let fetched = tokio::time::timeout(FETCH_LIMIT, source.fetch(&scope)).await.map_err(|_| {
        let what = format!("The source {kind} gave no token within {} s.", FETCH_LIMIT.as_secs());
        Fault::new(Whose::Network, what, "Check that its endpoint can be reached from this machine.")
    })?;
    let token = fetched.into_result(source.name()).map_err(|mut fault| {
        fault.what = format!("The {} gave no token: {}", kind.words(), fault.what);
        fault
    })?;
    let now = around.outside.clock.now();
    ending::print(&show(&token, source.name(), &scope, now, form));
    Ok(Ending::Done)
}

/// Shows every new token and every new failure.
async fn watch(
    mut snapshots: tokio::sync::watch::Receiver<Snapshot>,
    source: std::sync::Arc<dyn Source>,
    scope: Scope,
    around: Surroundings,
    form: Form,
) {
    let (mut generation, mut fault) = (0, None);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Some(token) = snapshot.token.as_ref().filter(|_| snapshot.generation != generation) {
            generation = snapshot.generation;
            ending::print(&show(token, source.name(), &scope, around.outside.clock.now(), form));
        }
        if snapshot.last_fault != fault {
            fault = snapshot.last_fault;
            if let Some(fault) = &fault {
                ending::say(&ending::describe(fault));
            }
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn show(token: &AccessToken, source: &str, scope: &Scope, now: Timestamp, form: Form) -> String {
    if form == Form::Raw {
        return format!("{}\n", token.secret.expose());
    }
    // Not every token is a JWT that its client may read; that is no error.
    let read = UnverifiedJwt::parse(token.secret.expose()).ok();
    let claims = read.as_ref().map(UnverifiedJwt::unverified_claims);
    let left = token.lifetime.left(now).as_secs();
    if form == Form::Json {
        let shown = json!({
            "source": source,
            "scope": scope.as_str(),
            "expires": token.lifetime.expires.to_string(),
            "expires_in": left,
            "refresh_at": token.lifetime.refresh_at.map(|moment| moment.to_string()),
            "claims": claims,
        });
        return format!("{shown:#}\n");
    }
    let mut text =
        format!("scope    {scope}\nsource   {source}\nexpires  {} (in {})\n", token.lifetime.expires, span(left));
    if let Some(moment) = token.lifetime.refresh_at {
        text.push_str(&format!("refresh  {moment} (asked for by the issuer)\n"));
    }
    match claims {
        None => text.push_str("claims   (not a JWT)\n"),
        Some(claims) => {
            text.push_str("claims   (as sent; only the resource can verify them)\n");
            let width = claims.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in claims {
                text.push_str(&format!("  {name:<width$}  {}\n", plain(name, value)));
            }
        }
    }
    text
}

/// A claim for people: moments as moments, texts without quotes.
fn plain(name: &str, value: &Value) -> String {
    match (name, value) {
        ("exp" | "iat" | "nbf" | "auth_time", Value::Number(number)) => {
            number.as_i64().map_or_else(|| number.to_string(), |seconds| Timestamp::from_secs(seconds).to_string())
        }
        // Escaped, since a terminal obeys control characters.
        (_, Value::String(text)) => text.escape_debug().to_string(),
        (_, other) => other.to_string(),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use entrant_types::{Lifetime, Secret};

    use super::*;

    fn token() -> AccessToken {
        // {"alg":"RS256"} . {"aud":"a\u001b[2J","exp":4102444800} . signature
        let text = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhXHUwMDFiWzJKIiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
        let lifetime =
            Lifetime { received: Timestamp::from_secs(0), refresh_at: None, expires: Timestamp::from_secs(3600) };
        AccessToken { secret: Secret::from(text), lifetime }
    }

    #[test]
    fn only_raw_shows_the_token_itself() {
        let scope = Scope::new("https://redis.azure.com/.default");
        for form in [Form::Human, Form::Json] {
            let shown = show(&token(), "app-service", &scope, Timestamp::from_secs(0), form);
            entrant_testkit::assert_no_secret("the output", &shown, &[&token().secret]);
            assert!(shown.contains("app-service") && shown.contains("1970-01-01T01:00:00Z"), "{shown}");
        }
        let raw = show(&token(), "app-service", &scope, Timestamp::from_secs(0), Form::Raw);
        assert_eq!(raw.trim_end(), token().secret.expose());
    }

    #[test]
    fn a_claim_cannot_command_the_terminal() {
        let shown = show(&token(), "s", &Scope::new("x"), Timestamp::from_secs(0), Form::Human);
        assert!(!shown.contains('\u{1b}') && shown.contains("2100-01-01T00:00:00Z"), "{shown}");
    }
}
