//! Federated identity credentials and the assertions presented to them.

use super::{Remedy, setup, spreading};

pub(super) const TABLE: &[Remedy] = &[
    spreading(
        70021,
        "No matching federated credential",
        "No federated credential of the app registration matches the assertion's issuer, subject and audience.",
        "Compare all three with `az ad app federated-credential list --id CLIENT_ID`; the comparison is \
         case-sensitive. If it was created within the last ten minutes, wait.",
    ),
    spreading(
        70025,
        "No federated credentials at all",
        "The app registration has no federated credential.",
        "Add one under App registrations > Certificates & secrets > Federated credentials (scenario: Managed \
         identity), with the identity's object (principal) id as subject; or check that CLIENT_ID is the app \
         registration and not the managed identity.",
    ),
    spreading(
        700_211,
        "Issuer not trusted",
        "No federated credential of the app registration has the assertion's issuer.",
        "Set the credential's issuer to https://login.microsoftonline.com/TENANT_ID/v2.0 with the tenant of the \
         managed identity (for Kubernetes: the cluster's OIDC issuer URL), exactly, trailing slash included.",
    ),
    spreading(
        700_212,
        "Audience does not match",
        "No federated credential of the app registration has the assertion's audience.",
        "Set the credential's audience to api://AzureADTokenExchange (US Government: \
         api://AzureADTokenExchangeUSGov, China: api://AzureADTokenExchangeChina), and ask the identity for a token \
         of that same resource.",
    ),
    spreading(
        700_213,
        "Subject does not match",
        "No federated credential of the app registration has the assertion's subject.",
        "Set the credential's subject to the managed identity's object (principal) id, not its client id: \
         `az identity show -n NAME -g GROUP --query principalId`. For Kubernetes it is \
         system:serviceaccount:NAMESPACE:NAME.",
    ),
    spreading(
        7_002_138,
        "Subject differs in case",
        "The assertion's subject equals a federated credential's except for upper and lower case.",
        "Write the credential's subject exactly as the assertion has it; GUIDs are in lower case.",
    ),
    spreading(
        7_002_131,
        "No matching expression",
        "No claims-matching expression of the app registration's federated credentials accepts the assertion.",
        "Check the credential's claimsMatchingExpression against the assertion's claims.",
    ),
    spreading(
        7_002_137,
        "No matching credential",
        "No federated credential of the app registration accepts the assertion.",
        "Compare issuer, subject and audience; a change takes up to ten minutes to reach every server.",
    ),
    setup(
        7_002_142,
        "Expression not accepted",
        "The federated credential's claims-matching expression cannot be applied to this assertion.",
        "Use an exact subject, or an issuer for which flexible credentials are supported.",
    ),
    setup(
        700_214,
        "Assertion for another audience",
        "The assertion's audience is not that of the token exchange.",
        "Ask the managed identity for the resource api://AzureADTokenExchange of your cloud.",
    ),
    setup(
        7_002_121,
        "Assertion for another audience",
        "The managed identity's token was issued for another resource than the token exchange.",
        "Ask the managed identity for the resource api://AzureADTokenExchange of your cloud.",
    ),
    setup(
        700_222,
        "Entra token as an assertion",
        "A token that Entra ID itself issued cannot serve as an assertion, unless a managed identity's.",
        "Present the token of a user-assigned managed identity, not of another app registration.",
    ),
    setup(
        700_226,
        "Not a managed identity",
        "With an Entra issuer only the token of a managed identity may serve as an assertion.",
        "Use a user-assigned managed identity as the credential's subject.",
    ),
    setup(
        700_227,
        "Audience may not be used",
        "The assertion's audience may not be used for federation.",
        "Ask for api://AzureADTokenExchange; tokens of the v1 issuer sts.windows.net are not accepted.",
    ),
    setup(
        700_229,
        "Only app tokens federate",
        "The assertion is a person's token; only an identity's own token may serve as an assertion.",
        "Present the token that the managed identity gets for itself.",
    ),
    setup(
        700_231,
        "Chained federation",
        "The assertion was itself obtained by federation, and federation does not chain.",
        "Federate the app registration directly with the first issuer.",
    ),
    setup(
        700_236,
        "Issuer's tenant not allowed",
        "The tenant does not accept assertions of that issuer.",
        "Use a managed identity of the same tenant as the app registration, or have an administrator allow the \
         issuer.",
    ),
    setup(
        700_223,
        "Federation blocked by policy",
        "A policy of the tenant forbids federated credentials.",
        "Ask the tenant's administrator to allow workload identity federation for this application.",
    ),
    setup(
        700_238,
        "Federation blocked by policy",
        "A policy of the tenant forbids this federated credential.",
        "Ask the tenant's administrator to allow workload identity federation for this application.",
    ),
    spreading(
        700_024,
        "Assertion outside its validity",
        "The client assertion is expired or not yet valid.",
        "Check this machine's clock against real time (`timedatectl`), and that a token file is still being rotated.",
    ),
    setup(
        700_027,
        "Assertion's signature not accepted",
        "The client assertion's signature cannot be verified with any key of the app registration or issuer.",
        "Upload the certificate's public half under App registrations > Certificates & secrets, and check that \
         CLIENT_ID names that registration; an issuer of one's own must publish its keys at its jwks_uri.",
    ),
    setup(
        700_263,
        "Credential already exists",
        "Another federated credential of the object has the same issuer and subject.",
        "Delete or change the existing one: `az ad app federated-credential list --id CLIENT_ID`.",
    ),
];
