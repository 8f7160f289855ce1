//! The seed of zero configuration: one tenant, the web app, its API, its identity and three people.

use super::{
    ApiSeed, AppSeed, FicSeed, HostSeed, IdentityKind, IdentitySeed, IssuerStyle, LifetimeSeed, RedisSeed,
    RedisUserSeed, SecretSeed, Seed, SignInSeed, TenantSeed, UserSeed,
};

/// The secret of the default web app, for the scenario with a client secret. It opens nothing but the emulator.
const WEB_APP_SECRET: &str = "emulator-only-secret-of-web-app";

impl Default for Seed {
    fn default() -> Self {
        Self {
            issuer_style: IssuerStyle::default(),
            tenant: vec![TenantSeed { id: None, domain: "contoso.example".into() }],
            app: vec![web_app(), protected_api()],
            user: people(),
            identity: vec![
                IdentitySeed { name: "web-app-identity".into(), kind: IdentityKind::User, ..Default::default() },
                IdentitySeed { name: "host-vm".into(), kind: IdentityKind::System, ..Default::default() },
            ],
            host: HostSeed::default(),
            redis: RedisSeed {
                user: vec![RedisUserSeed {
                    identity: Some("web-app-identity".into()),
                    policy: Some("data-owner".into()),
                    ..Default::default()
                }],
            },
            lifetimes: LifetimeSeed::default(),
            sign_in: SignInSeed::default(),
            issuer: Vec::new(),
            fault: Vec::new(),
        }
    }
}

fn web_app() -> AppSeed {
    AppSeed {
        name: "web-app".into(),
        // The port does not matter for localhost, so `--ports auto` needs no other registration.
        redirect_uris: vec!["http://localhost:5000/getAToken".into(), "http://localhost:5000/".into()],
        secrets: vec![SecretSeed { value: WEB_APP_SECRET.into(), expires: None }],
        assignment_required: true,
        roles: vec!["Admin".into()],
        fic: vec![
            FicSeed {
                name: "web-app-identity".into(),
                managed_identity: Some("web-app-identity".into()),
                ..Default::default()
            },
            FicSeed {
                name: "web-app-in-kubernetes".into(),
                service_account: Some("default/web-app".into()),
                ..Default::default()
            },
        ],
        ..Default::default()
    }
}

fn protected_api() -> AppSeed {
    AppSeed {
        name: "protected-api".into(),
        api: Some(ApiSeed {
            scopes: vec!["access_as_user".into()],
            roles: vec!["Admin".into()],
            token_version: Some(2),
            uri: None,
        }),
        ..Default::default()
    }
}

fn people() -> Vec<UserSeed> {
    let person = |upn: &str, name: &str| UserSeed { upn: upn.into(), name: Some(name.into()), ..Default::default() };
    vec![
        person("alice@contoso.example", "Alice Archer"),
        UserSeed { roles: vec!["Admin".into()], ..person("adele@contoso.example", "Adele Vance") },
        UserSeed { assigned: Some(Vec::new()), ..person("mallory@contoso.example", "Mallory Moss") },
    ]
}
