//! Access tokens: what is accepted, what is refused and by which name.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod support;

use entrant_types::emulation::World;
use entrant_types::{ClientId, TenantId};
use entrant_validate::{IssuerRule, KeySet, Policy, Rejected, Requirement, Tenants, Validator};
use serde_json::{Value, json};
use support::*;

fn policy() -> Policy {
    let issuers = vec![IssuerRule::new(v2_issuer(TENANT)), IssuerRule::new(format!("{BASE}/{TENANT}/"))];
    let tenants = Tenants::Only(vec![TENANT.parse().unwrap()]);
    Policy::new(World::Emulator, issuers, vec![API.to_owned(), format!("api://{API}")], tenants)
}

fn validator(issuer: &Issuer, policy: Policy) -> Validator {
    Validator::new(policy, KeySet::new(JWKS, &issuer.stage.outside()), issuer.stage.outside().clock)
}

async fn reason(policy: Policy, token: &str) -> &'static str {
    let issuer = Issuer::new();
    validator(&issuer, policy).validate(token).await.map_or_else(|rejected| rejected.reason(), |_| "ok")
}

async fn reason_of(claims: Value) -> &'static str {
    reason(policy(), &sign(&claims)).await
}

#[tokio::test]
async fn a_good_token_says_who_may_do_what() {
    let issuer = Issuer::new();
    let claims = with(access_claims(), json!({"roles": ["Admin"]}));
    let verified = validator(&issuer, policy()).validate(&sign(&claims)).await.unwrap();
    assert_eq!(verified.tenant_id(), Some(TENANT.parse().unwrap()));
    assert_eq!(verified.object_id(), Some(ALICE.parse().unwrap()));
    assert_eq!(verified.client_id(), Some(CLIENT.parse().unwrap()));
    assert_eq!(verified.scopes(), ["access_as_user", "other"]);
    assert!(verified.has_role("Admin") && !verified.has_role("admin"));
    assert_eq!(verified.expires().secs(), now() + 3600);
    assert!(!format!("{verified:?}").contains("Alice"), "names do not belong in logs");
}

#[tokio::test]
async fn a_v1_token_is_good_where_its_issuer_and_audience_are_configured() {
    let changes = json!({
        "iss": format!("{BASE}/{TENANT}/"), "aud": format!("api://{API}"), "ver": "1.0",
        "appid": CLIENT, "appidacr": "2", "azp": null, "azpacr": null,
    });
    assert_eq!(reason_of(with(access_claims(), changes)).await, "ok");
}

#[tokio::test]
async fn every_broken_claim_is_refused_by_its_own_name() {
    let cases = [
        (json!({"iss": v2_issuer(OTHER_TENANT)}), "issuer"),
        (json!({"iss": "https://localhost.evil.example/v2.0"}), "issuer"),
        (json!({"iss": null}), "malformed"),
        (json!({"iss": 7}), "malformed"),
        (json!({"tid": OTHER_TENANT}), "tenant"),
        (json!({"tid": null}), "tenant"),
        (json!({"tid": "contoso.example"}), "tenant"),
        (json!({"aud": CLIENT}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": format!("{API} ")}), "audience"),
        (json!({"aud": ["other", API]}), "ok"),
        (json!({"exp": now() - 61}), "expired"),
        (json!({"exp": now() - 59}), "ok"),
        (json!({"exp": null}), "malformed"),
        (json!({"exp": "1"}), "malformed"),
        (json!({"exp": -1}), "malformed"),
        (json!({"exp": 1e300}), "malformed"),
        (json!({"exp": u64::MAX}), "malformed"),
        (json!({"exp": [now() + 3600]}), "malformed"),
        (json!({"nbf": now() + 120}), "not_yet_valid"),
        (json!({"nbf": now() + 59}), "ok"),
        (json!({"iat": now() + 120}), "not_yet_valid"),
        (json!({"xms_emulator": null}), "world"),
        (json!({"azp": null}), "id_token"),
        (json!({"scp": null, "nonce": "n-1"}), "id_token"),
        (json!({"scp": null, "at_hash": "h"}), "id_token"),
        (json!({"scp": null}), "ok"),
    ];
    for (changes, expected) in cases {
        let text = changes.to_string();
        assert_eq!(reason_of(with(access_claims(), changes)).await, expected, "{text}");
    }
}

#[tokio::test]
async fn an_id_token_is_no_bearer_token() {
    assert_eq!(reason_of(with(id_claims(), json!({"aud": API}))).await, "id_token");
    assert_eq!(reason_of(with(id_claims(), json!({"aud": API, "azp": CLIENT, "roles": ["Admin"]}))).await, "id_token");
}

#[tokio::test]
async fn every_forged_signature_is_refused() {
    let claims = access_claims();
    let kid = KEY.kid();
    let good = sign(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let header = |alg: &str| json!({"typ": "JWT", "alg": alg, "kid": kid});
    // Key confusion: an HMAC whose secret is the issuer's public key, in the forms in which tools try it.
    let hmac = |secret: &[u8], header: &Value| {
        let text = raw(header, &claims, b"");
        let text = text.trim_end_matches('.').to_owned();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        raw(header, &claims, tag.as_ref())
    };
    let jwk = KEY.jwk();
    let cases = [
        ("another key under the same kid", sign_with(&OTHER_KEY, json!({"kid": kid}), &claims), "signature"),
        (
            "a changed claim",
            {
                let admin = with(claims.clone(), json!({"roles": ["Admin"]}));
                let changed = raw(&header("RS256"), &admin, b"");
                format!("{}.{signature}", changed.trim_end_matches('.'))
            },
            "signature",
        ),
        ("no signature", format!("{signed}."), "signature"),
        ("a null signature", raw(&header("RS256"), &claims, &[0; 256]), "signature"),
        ("alg none", raw(&header("none"), &claims, b""), "algorithm"),
        ("alg None", raw(&header("None"), &claims, b""), "algorithm"),
        ("alg nOnE with the good signature", raw(&header("nOnE"), &claims, b"x"), "algorithm"),
        ("empty alg", raw(&header(""), &claims, b""), "algorithm"),
        ("HS256 with the modulus", hmac(jwk.n.as_bytes(), &header("HS256")), "algorithm"),
        ("HS256 named RS256", hmac(jwk.n.as_bytes(), &header("RS256")), "signature"),
        ("RS384", raw(&header("RS384"), &claims, &[1; 256]), "algorithm"),
        ("PS256", raw(&header("PS256"), &claims, &[1; 256]), "algorithm"),
        ("ES256 psychic", raw(&header("ES256"), &claims, &[0; 64]), "algorithm"),
        ("no kid", raw(&json!({"alg": "RS256"}), &claims, &[1; 256]), "unknown_key"),
        ("a kid that is a path", raw(&json!({"alg": "RS256", "kid": "../../dev/null"}), &claims, b""), "unknown_key"),
        ("a kid that is SQL", raw(&json!({"alg": "RS256", "kid": "x' UNION SELECT 'k"}), &claims, b""), "unknown_key"),
        (
            "its own key in the header",
            { sign_with(&OTHER_KEY, json!({"jwk": OTHER_KEY.jwk(), "jku": "https://localhost:1/keys"}), &claims) },
            "unknown_key",
        ),
        ("crit", sign_with(&KEY, json!({"crit": ["exp"]}), &claims), "malformed"),
        ("five parts", "e30.e30.e30.e30.e30".to_owned(), "malformed"),
        ("two signatures", format!("{good}.{signature}"), "malformed"),
        ("a blank in front", format!(" {good}"), "malformed"),
        ("nothing", String::new(), "malformed"),
        ("huge", format!("{signed}.{}", "A".repeat(20_000)), "too_large"),
    ];
    assert_eq!(reason(policy(), &good).await, "ok");
    for (name, token, expected) in cases {
        assert_eq!(reason(policy(), &token).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_token_changed_in_any_one_character_is_refused() {
    let issuer = Issuer::new();
    let validator = validator(&issuer, policy());
    let good = sign(&access_claims());
    validator.validate(&good).await.unwrap();
    for (place, letter) in good.char_indices() {
        let other = if letter == 'A' { "B" } else { "A" };
        let mut changed = good.clone();
        changed.replace_range(place..=place, other);
        assert!(validator.validate(&changed).await.is_err(), "changed at {place}");
    }
    for end in 0..good.len() {
        assert!(validator.validate(&good[..end]).await.is_err(), "cut at {end}");
    }
    assert_eq!(issuer.fetches(), 2, "changed key ids make it look again once");
}

#[tokio::test]
async fn what_can_be_refused_without_a_key_costs_no_request() {
    let issuer = Issuer::new();
    let validator = validator(&issuer, policy());
    for number in 0..100 {
        let claims = with(access_claims(), json!({"exp": 1, "kid": number}));
        let token = raw(&json!({"alg": "RS256", "kid": format!("k{number}")}), &claims, b"x");
        assert!(validator.validate(&token).await.is_err());
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn the_two_worlds_refuse_each_other() {
    let azure = Policy { world: World::Azure, ..policy() };
    assert_eq!(reason(azure.clone(), &sign(&access_claims())).await, "world");
    let unmarked = with(access_claims(), json!({"xms_emulator": null}));
    assert_eq!(reason(azure.clone(), &sign(&unmarked)).await, "ok");
    let emulator_key = raw(&json!({"alg": "RS256", "kid": "emulator-1"}), &unmarked, b"x");
    assert_eq!(reason(azure, &emulator_key).await, "world");
}

#[tokio::test]
async fn a_templated_issuer_admits_the_configured_tenants_only() {
    let template = |tenants: Tenants| Policy {
        issuers: vec![IssuerRule::new(format!("{BASE}/{{tenantid}}/v2.0"))],
        tenants,
        ..policy()
    };
    let other: TenantId = OTHER_TENANT.parse().unwrap();
    let from_other = with(access_claims(), json!({"iss": v2_issuer(OTHER_TENANT), "tid": OTHER_TENANT}));
    let mixed = with(access_claims(), json!({"iss": v2_issuer(OTHER_TENANT)}));
    let literal = with(access_claims(), json!({"iss": format!("{BASE}/{{tenantid}}/v2.0")}));
    assert_eq!(reason(template(Tenants::Only(vec![other])), &sign(&from_other)).await, "ok");
    assert_eq!(reason(template(Tenants::Any), &sign(&from_other)).await, "ok");
    assert_eq!(reason(template(Tenants::Any), &sign(&access_claims())).await, "ok");
    assert_eq!(reason(template(Tenants::Only(vec![other])), &sign(&access_claims())).await, "tenant");
    assert_eq!(reason(template(Tenants::Only(Vec::new())), &sign(&access_claims())).await, "tenant");
    assert_eq!(reason(template(Tenants::Any), &sign(&mixed)).await, "issuer");
    assert_eq!(reason(template(Tenants::Any), &sign(&literal)).await, "issuer");
}

#[tokio::test]
async fn a_key_of_one_tenant_signs_for_no_other() {
    let issuer = Issuer::new();
    let mut jwk = KEY.jwk();
    jwk.issuer = Some(v2_issuer(OTHER_TENANT));
    *issuer.published.lock().unwrap() = vec![jwk];
    let refused = validator(&issuer, policy()).validate(&sign(&access_claims())).await;
    assert_eq!(refused.unwrap_err().reason(), "unknown_key");
}

#[tokio::test]
async fn a_missing_permission_is_403_and_a_bad_token_401() {
    let needs = |requirement: Requirement| policy().require(requirement);
    let token = sign(&access_claims());
    assert_eq!(reason(needs(Requirement::scopes(["access_as_user"])), &token).await, "ok");
    let issuer = Issuer::new();
    let refused = validator(&issuer, needs(Requirement::scopes(["access_as_user", "write"]))).validate(&token).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused, Rejected::Scope { missing: "write".to_owned() });
    assert_eq!(refused.status(), 403);
    assert!(refused.challenge().contains(r#"error="insufficient_scope""#), "{}", refused.challenge());
    assert!(refused.challenge().contains(r#"scope="write""#), "{}", refused.challenge());
    assert_eq!(Rejected::Signature.status(), 401);
    assert_eq!(Rejected::Signature.to_fault().codes[0].to_string(), "signature");
}

#[tokio::test]
async fn roles_and_client_applications_can_be_required() {
    let client: ClientId = CLIENT.parse().unwrap();
    let stranger: ClientId = API.parse().unwrap();
    let app_only = with(access_claims(), json!({"scp": null, "roles": ["Reader"]}));
    let person = with(access_claims(), json!({"scp": "other", "roles": ["Reader"]}));
    let roles = Requirement { roles: vec!["Reader".to_owned()], ..Requirement::default() };
    let either = Requirement { scopes: vec!["access_as_user".to_owned()], ..roles.clone() };
    let only = |id: ClientId| Requirement { clients: vec![id], ..Requirement::default() };
    let cases = [
        (roles.clone(), &app_only, "ok"),
        (roles, &access_claims(), "role"),
        (either.clone(), &app_only, "ok"),
        (either.clone(), &access_claims(), "ok"),
        // A person's own role does not stand in for the permission that the application lacks.
        (either, &person, "scope"),
        (only(client), &access_claims(), "ok"),
        (only(stranger), &access_claims(), "client"),
    ];
    for (requirement, claims, expected) in cases {
        assert_eq!(reason(policy().require(requirement.clone()), &sign(claims)).await, expected, "{requirement:?}");
    }
}

#[tokio::test]
async fn a_token_seen_again_still_expires() {
    let issuer = Issuer::new();
    let validator = validator(&issuer, policy());
    let token = sign(&access_claims());
    for _ in 0..3 {
        validator.validate(&token).await.unwrap();
    }
    issuer.stage.clock.advance(std::time::Duration::from_secs(3600 + 60));
    assert_eq!(validator.validate(&token).await.unwrap_err().reason(), "expired");
}

#[tokio::test]
async fn a_token_seen_again_falls_with_its_key() {
    let issuer = Issuer::new();
    let validator = validator(&issuer, policy());
    let token = sign(&with(access_claims(), json!({"exp": now() + 100_000})));
    validator.validate(&token).await.unwrap();
    issuer.publish(&[&OTHER_KEY]);
    issuer.stage.clock.advance(std::time::Duration::from_secs(61));
    // Somebody's token with the new key makes us look; the withdrawn key's verdicts fall.
    let newer = sign_with(&OTHER_KEY, json!({}), &access_claims());
    validator.validate(&newer).await.unwrap();
    assert_eq!(validator.validate(&token).await.unwrap_err().reason(), "unknown_key");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_stranger_s_text_in_a_refusal_is_short_and_printable() {
    let issuer = Issuer::new();
    let claims =
        with(access_claims(), json!({"iss": format!("https://x/\r\nset-cookie: a=\"b\"{}", "y".repeat(5000))}));
    let refused = validator(&issuer, policy()).validate(&sign(&claims)).await.unwrap_err();
    let challenge = refused.challenge();
    assert!(challenge.len() < 600 && challenge.chars().all(|c| matches!(c, ' '..='~')), "{challenge}");
    assert_eq!(challenge.matches('"').count(), 4, "{challenge}");
    assert!(!refused.to_fault().to_string().contains('\n'));
}

#[tokio::test]
async fn the_claims_of_a_token_seen_before_are_worth_nothing_under_another_signature() {
    let issuer = Issuer::new();
    let validator = validator(&issuer, policy());
    let good = sign(&access_claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    validator.validate(&good).await.unwrap();
    let other = sign(&with(access_claims(), json!({"sub": "other"})));
    let foreign = other.rsplit_once('.').unwrap().1;
    let shorter = &signature[..signature.len() - 1];
    for forged in [foreign, shorter, "", "AAAA"] {
        let refused = validator.validate(&format!("{signed}.{forged}")).await.unwrap_err();
        assert!(matches!(refused.reason(), "signature" | "malformed"), "{refused}");
    }
    assert!(validator.validate(&good).await.is_ok(), "and the good one is still remembered");
}

#[tokio::test]
async fn all_claims_are_there_for_whoever_asks() {
    let claims = with(access_claims(), json!({"groups": ["a", {"b": 1.5}], "name": "Zoë \u{1f600}"}));
    let issuer = Issuer::new();
    let verified = validator(&issuer, policy()).validate(&sign(&claims)).await.unwrap();
    assert_eq!(Value::Object(verified.claims().clone()), claims);
    assert_eq!((verified.subject(), verified.text("ver")), (Some("pairwise"), Some("2.0")));
}

#[tokio::test]
async fn a_claim_that_is_named_twice_makes_a_token_malformed() {
    let honest = access_claims().to_string();
    for double in [format!(r#"{{"aud":"other",{}"#, &honest[1..]), format!(r#"{{"exp":1,{}"#, &honest[1..])] {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": KEY.kid()}).to_string();
        let part = |text: &str| entrant_proto::jose::to_base64url(text.as_bytes());
        let signed = format!("{}.{}", part(&header), part(&double));
        let signature = KEY.sign_bytes(signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", entrant_proto::jose::to_base64url(&signature));
        assert_eq!(reason(policy(), &token).await, "malformed", "{double}");
    }
}
