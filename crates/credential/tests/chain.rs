//! The chain and the tools of a developer's machine.

use std::time::Duration;

use entrant_credential::sources::{Azd, AzureCli, Chain, Environment, Imds, development};
use entrant_credential::{Outcome, Selector, Source};
use entrant_testkit::{Logs, Stage, json_reply, reply};
use entrant_types::outside::CommandError;
use entrant_types::{AccessToken, Code, Fault, Scope};
use serde_json::json;

fn redis() -> Scope {
    Scope::new("https://redis.azure.com/.default")
}

async fn fetch(source: &dyn Source) -> Result<AccessToken, Fault> {
    source.fetch(&redis()).await.into_result(source.name())
}

#[tokio::test]
async fn only_a_source_that_does_not_apply_lets_the_chain_go_on() {
    let stage = Stage::new();
    stage.http.push(Ok(reply(500, "")));
    stage.commands.install("az", 0, r#"{"accessToken":"cli-token","expires_on":1767229200}"#, "");
    let outside = stage.outside();
    let chain = Chain::first_try(Environment::new(&outside))
        .or_else(Imds::at("http://127.0.0.1:1", Selector::SystemAssigned, &outside))
        .or_else(AzureCli::new(None, &outside));
    let fault = fetch(&chain).await.unwrap_err();
    assert_eq!(fault.codes, [Code::Http(500)]);
    assert!(fault.what.starts_with("imds: ") && fault.what.contains("environment: AZURE_TENANT_ID"), "{fault}");
    assert!(stage.commands.calls().is_empty(), "a failure stops the chain");
}

#[tokio::test]
async fn the_first_source_that_gave_a_token_stays_chosen() {
    let (stage, logs) = (Stage::new(), Logs::capture());
    stage.commands.install("az", 0, r#"{"accessToken":"cli-token","expires_on":1767229200}"#, "");
    let chain = Chain::first_try(Environment::new(&stage.outside())).or_else(AzureCli::new(None, &stage.outside()));
    assert_eq!(chain.name(), "chain");
    fetch(&chain).await.unwrap();
    assert_eq!(chain.name(), "chain:azure-cli");
    assert!(logs.text().contains("the credential chain chose its source"), "{}", logs.text());
    stage.env.set("AZURE_TENANT_ID", "contoso.example");
    stage.env.set("AZURE_CLIENT_ID", "00001111-aaaa-2222-bbbb-3333cccc4444");
    stage.env.set("AZURE_CLIENT_SECRET", "appeared-later");
    assert_eq!(fetch(&chain).await.unwrap().secret.expose(), "cli-token");
    stage.commands.fail("az", CommandError::NotFound);
    assert!(fetch(&chain).await.is_err(), "it does not become somebody else");
}

#[tokio::test]
async fn the_last_word_of_a_chain_names_every_attempt() {
    let stage = Stage::new();
    let chain = development(None, Selector::SystemAssigned, &stage.outside());
    let fault = fetch(&chain).await.unwrap_err();
    for source in ["environment:", "workload-identity:", "managed-identity:", "azure-cli:", "azd:"] {
        assert!(fault.what.contains(source), "{source} is not in {fault}");
    }
}

#[tokio::test]
async fn the_development_chain_never_dials_the_link_local_address_unasked() {
    let stage = Stage::new();
    fetch(&development(None, Selector::SystemAssigned, &stage.outside())).await.unwrap_err();
    assert_eq!(stage.http.count(), 0);
    let stage = Stage::new();
    stage.env.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8480");
    stage.http.push(Ok(json_reply(200, json!({"access_token": "identity-token", "expires_in": "3600"}))));
    let chain = development(None, Selector::SystemAssigned, &stage.outside());
    fetch(&chain).await.unwrap();
    assert_eq!(chain.name(), "chain:imds");
    assert!(stage.commands.calls().is_empty(), "no program is started where a variable decides");
}

#[tokio::test]
async fn the_azure_cli_is_asked_without_a_shell_and_its_answer_read() {
    let stage = Stage::new();
    stage.commands.install("az", 0, r#"{"accessToken":"cli-token","expires_on":1767229200,"tenant":"t"}"#, "");
    let source = AzureCli::new(Some("contoso.example".to_owned()), &stage.outside());
    let token = fetch(&source).await.unwrap();
    assert_eq!(token.lifetime.expires, Stage::START + Duration::from_secs(3600));
    assert_eq!(
        stage.commands.calls()[0].join(" "),
        "az account get-access-token --output json --scope https://redis.azure.com/.default --tenant contoso.example"
    );
}

#[tokio::test]
async fn an_old_azure_clis_local_time_is_not_trusted_but_the_tokens_own() {
    let stage = Stage::new();
    let token = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3NjcyMjkyMDB9.c2ln";
    let printed = json!({"accessToken": token, "expiresOn": "2026-01-01 03:00:00.000000"});
    stage.commands.install("az", 0, &printed.to_string(), "");
    let token = fetch(&AzureCli::new(None, &stage.outside())).await.unwrap();
    assert_eq!(token.lifetime.expires, Stage::START + Duration::from_secs(3600));
}

#[tokio::test]
async fn tools_that_are_not_there_or_not_signed_in_do_not_apply() {
    let stage = Stage::new();
    let outside = stage.outside();
    let sources: [&dyn Source; 2] = [&AzureCli::new(None, &outside), &Azd::new(None, &outside)];
    for source in sources {
        assert!(matches!(source.fetch(&redis()).await, Outcome::NotApplicable(why) if why.contains("not installed")));
    }
    stage.commands.install("az", 1, "", "whatever it says");
    stage.commands.install("azd", 1, r#"{"status":"unauthenticated"}"#, "whatever it says");
    for source in sources {
        assert!(matches!(source.fetch(&redis()).await, Outcome::NotApplicable(why) if why.contains("signed in")));
    }
}

#[tokio::test]
async fn tools_that_hang_or_print_nonsense_fail_with_what_to_do() {
    let stage = Stage::new();
    let outside = stage.outside();
    let sources: [(&str, &dyn Source); 2] =
        [("az", &AzureCli::new(None, &outside)), ("azd", &Azd::new(None, &outside))];
    for (program, source) in sources {
        stage.commands.fail(program, CommandError::Timeout(Duration::from_secs(13)));
        assert!(fetch(source).await.unwrap_err().is("command_failed"));
        for printed in ["", "{}", "not JSON", r#"{"token":"t","expiresOn":"soon"}"#] {
            stage.commands.install(program, 0, printed, "");
            let Outcome::Failed(fault) = source.fetch(&redis()).await else { panic!("{program} {printed}") };
            assert!(fault.is("command_output_unreadable"), "{program} {printed}");
        }
    }
    stage.commands.install("azd", 0, r#"{"token":"azd-token","expiresOn":"2026-01-01T01:00:00Z"}"#, "");
    assert_eq!(fetch(&Azd::new(None, &outside)).await.unwrap().lifetime.left(Stage::START).as_secs(), 3600);
}

#[tokio::test]
async fn a_scope_that_could_be_read_as_an_option_or_as_shell_text_is_not_passed_on() {
    let stage = Stage::new();
    stage.commands.install("az", 0, "{}", "");
    let source = AzureCli::new(None, &stage.outside());
    for scope in ["--help", "a b", "x; rm -rf /", "$(id)", "a&b"] {
        let outcome = source.fetch(&Scope::new(scope)).await;
        assert!(matches!(&outcome, Outcome::Failed(fault) if fault.is("argument_refused")), "{scope}: {outcome:?}");
    }
    assert!(stage.commands.calls().is_empty());
}
