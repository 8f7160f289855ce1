//! Faults as data: what goes wrong, where, for whom and how often. One vocabulary for the seed file, the control
//! API, the sign-in page's menu and Rust tests.

mod effect;
mod reply;
mod trouble;

use std::sync::{Mutex, PoisonError};

use entrant_types::{Entropy, Fault, Retry, Whose};
use serde::{Deserialize, Serialize};

pub use effect::{Challenge, Effect, TokenKind};
pub(crate) use effect::{Signature, Struck};
pub(crate) use reply::{Abort, apply, broken};
pub(crate) use trouble::{Stage, TROUBLES, Trouble};

use crate::counters::Endpoint;
use crate::directory::{App, Identity, Person};

/// Rules at a time; a test sets a handful.
const LIMIT: usize = 1000;

/// One rule: an effect on the requests that all its selectors match. A rule without selectors matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Name of an endpoint, as the counters have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Name or client id of the app registration that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Name, client id or principal id of the managed identity that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// UPN or object id of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The resource asked for, or part of the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The grant type, such as `refresh_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// How many requests it strikes; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many matching requests it lets pass first.
    #[serde(default)]
    pub after: u32,
    /// Share of matching requests that it strikes, 0 to 1, drawn from the emulator's entropy; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What happens.
    pub effect: Effect,
}

impl FaultRule {
    /// A rule that strikes every request to `endpoint`.
    #[must_use]
    pub fn at(endpoint: Endpoint, effect: Effect) -> Self {
        Self {
            endpoint: Some(endpoint.name().to_owned()),
            app: None,
            identity: None,
            user: None,
            resource: None,
            grant: None,
            times: None,
            after: 0,
            probability: None,
            effect,
        }
    }

    /// The same rule for the next `times` matching requests only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The same rule for one grant type only.
    #[must_use]
    pub fn grant(mut self, grant: &str) -> Self {
        self.grant = Some(grant.to_owned());
        self
    }

    /// Why the rule could never mean anything, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(name) = &self.endpoint
            && Endpoint::by_name(name).is_none()
        {
            let known: Vec<&str> = Endpoint::ALL.iter().map(|endpoint| endpoint.name()).collect();
            return Some(format!("A fault names the endpoint '{name}'; there are {}.", known.join(", ")));
        }
        if self.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Some("A fault's probability is not between 0 and 1.".to_owned());
        }
        if let (Some(home), Some(at)) = (self.effect.home(), &self.endpoint)
            && home.name() != at
        {
            return Some(format!("This effect exists at the endpoint '{}' only.", home.name()));
        }
        self.effect.problem()
    }

    fn matches(&self, point: &Point<'_>) -> bool {
        let is = |selector: &Option<String>, names: &[String]| {
            selector.as_ref().is_none_or(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own)))
        };
        let app = point.app.map(|app| vec![app.name.clone(), app.client_id.to_string()]).unwrap_or_default();
        let identity = point.identity.map(|identity| {
            vec![identity.name.clone(), identity.client_id.to_string(), identity.principal.to_string()]
        });
        let user = point.user.map(|user| vec![user.upn.clone(), user.oid.to_string()]).unwrap_or_default();
        self.endpoint.as_ref().is_none_or(|name| name == point.endpoint.name())
            && self.effect.home().is_none_or(|home| home == point.endpoint)
            && is(&self.app, &app)
            && is(&self.identity, &identity.unwrap_or_default())
            && is(&self.user, &user)
            && self.resource.as_ref().is_none_or(|own| point.resource.is_some_and(|asked| asked.contains(own.as_str())))
            && self.grant.as_ref().is_none_or(|own| point.grant == Some(own.as_str()))
    }
}

/// A rule in force.
#[derive(Clone, Debug, Serialize)]
pub struct FaultStatus {
    /// Its number, to remove it by.
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// Requests that matched.
    pub matched: u64,
    /// Requests that it struck.
    pub struck: u64,
}

/// A request as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) app: Option<&'a App>,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) user: Option<&'a Person>,
    pub(crate) resource: Option<&'a str>,
    pub(crate) grant: Option<&'a str>,
}

impl Point<'_> {
    pub(crate) fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, app: None, identity: None, user: None, resource: None, grant: None }
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    rules: Vec<FaultStatus>,
}

impl Faults {
    pub(crate) fn add(&self, rule: FaultRule) -> Result<u64, Fault> {
        let refuse = |text: String| Fault::new(Whose::Caller, text, "Correct the rule.").retry(Retry::Never);
        if let Some(problem) = rule.problem() {
            return Err(refuse(problem));
        }
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.rules.len() >= LIMIT {
            return Err(refuse(format!("There are {LIMIT} rules already.")));
        }
        rules.next += 1;
        let id = rules.next;
        rules.rules.push(FaultStatus { id, rule, matched: 0, struck: 0 });
        Ok(id)
    }

    /// Removes one rule, or all of them; how many there were.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = rules.rules.len();
        rules.rules.retain(|rule| id.is_some_and(|id| rule.id != id));
        before - rules.rules.len()
    }

    pub(crate) fn all(&self) -> Vec<FaultStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rules.clone()
    }

    /// The effects on one request. Counts it.
    pub(crate) fn strike(&self, point: &Point<'_>, entropy: &dyn Entropy) -> Struck {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = Struck::default();
        for status in rules.rules.iter_mut().filter(|status| status.rule.matches(point)) {
            status.matched += 1;
            let waiting = status.matched <= u64::from(status.rule.after);
            let spent = status.rule.times.is_some_and(|times| status.struck >= u64::from(times));
            if waiting || spent || status.rule.probability.is_some_and(|share| entropy.fraction() >= share) {
                continue;
            }
            status.struck += 1;
            struck.0.push(status.rule.effect.clone());
        }
        struck
    }
}
